"""A process that may give files to all the ids of a container: root is one, others need their map.

For an ordinary user it is the root of a user namespace with chapter 5's maps; what it makes belongs to
the very ids that the container's users will have.
"""
import io
import json
import os

from .. import linux
from ..ch01_args import Spec
from ..ch05_namespaces import Users
from ..layer import LayerError, Undo
from .errors import Corrupt, ImageError

STATE = []  # in such a process: "helped", or "alone" if its only id is root


def lone():
    """What keeps this process from being root: "helped" (its ids are mapped), "alone" (it has one), or None."""
    return STATE[0] if STATE else None


def prefix():
    """What overlayfs' own attributes begin with: in a user namespace they are the user's."""
    return "user.overlay." if lone() else "trusted.overlay."


def inside(function, *args):
    """Calls a function there; returns its result, as a list if it yields. Its errors are raised here."""
    if powerful():
        return result_of(function, args)
    return Helper(function, *args).result()


def powerful():
    """Tells whether we are such a process."""
    return os.geteuid() == 0 and linux.read("/proc/self/setgroups").strip() == "allow"


class Helper:
    """A function at work there, while we do something else. Begin it before any thread."""

    def __init__(self, function, *args):
        users = None if powerful() else Users()
        self.undo = Undo()
        if users:
            users.prepare(Spec(), self.undo)
        mine, other = linux.socketpair(linux.AF_UNIX, linux.SOCK_SEQPACKET)
        self.reader, writer = linux.pipe2(os.O_CLOEXEC)
        self.pid = os.fork()
        if self.pid == 0:
            mine.close()
            os.close(self.reader)
            child(users, other, writer, function, args)
        linux.close(other)
        linux.close(writer)
        try:
            if mine.read(9) != b"ready":
                raise ImageError("no user namespace here: `workshop doctor` looks closer")
            if users:
                users.parent(self.pid, self.undo)
            mine.write(b"go")
        except BaseException:
            self.end()
            raise
        finally:
            linux.close(mine)

    def result(self):
        """Waits for what it has to say: its result, or its error, which is raised."""
        try:
            with io.open(os.dup(self.reader), "rb") as answer:
                text = answer.read()
        finally:
            self.end()
        return answered(text)

    def end(self):
        """Waits until it has ended."""
        linux.close(self.reader)
        os.waitpid(self.pid, 0)
        self.undo.close()


def child(users, control, writer, function, args):
    """In the namespace, whose root it becomes."""
    try:
        linux.observer = None  # what is recorded is the container's birth, not this
        linux.prctl(linux.PR_SET_PDEATHSIG, linux.SIGKILL)
        if users:
            linux.unshare(linux.CLONE_NEWUSER)
        control.write(b"ready")
        if control.read(9) == b"go":
            if users:
                users.child()
                STATE.append("helped" if users.root or users.helped else "alone")
            with io.open(writer, "w") as answer:
                json.dump(told(function, args), answer)
    finally:  # what it did not answer, its parent tells
        os._exit(0)


def told(function, args):
    """A result, or an error, as JSON can say it."""
    try:
        return {"result": result_of(function, args)}
    except Corrupt as error:
        return {"corrupt": str(error), "digest": error.digest}
    except (ImageError, LayerError, OSError) as error:
        return {"error": str(error)}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


def result_of(function, args):
    found = function(*args)
    return list(found) if hasattr(found, "__next__") else found


def answered(text):
    """The result, or the error, that came back."""
    try:
        answer = json.loads(text)
    except ValueError:
        raise ImageError("the process that unpacks was killed: out of memory?") from None
    if "corrupt" in answer:
        error = Corrupt(answer["digest"], "", "")
        error.args = (answer["corrupt"],)
        raise error
    if "error" in answer:
        raise ImageError(answer["error"])
    return answer["result"]
