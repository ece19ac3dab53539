"""Chapter 10's heart: what `run` did in a row is now commands of their own, each another process.

    crabcan-oci create                        child
    prepare() of every layer
    clone3 ---------------------------------> wait for "go"
    parent() of every layer
    "go" -----------------------------------> child() of every layer, by stage
    run its hooks  <------------------------- "hooks", before it changes its root
    "go on" --------------------------------> listen at ID/start
    write state, end  <---------------------- "ready"
                                              ... waits, whoever made it has gone ...
    crabcan-oci start
    connect to ID/start, "start" -----------> startContainer hooks, seccomp, execve
    started           <---------------------- the connection closes by itself, or says what went wrong
"""
import io
import os

import _socket

from .. import ch02_clone, linux
from ..clone.start import Start
from ..layer import LayerError, named
from ..namespaces import accounts
from . import hooks
from . import quickjson as json
from .state import CONFIG, SOCKET, Refused, born, now


class Waiting(Start):
    """The child's last stop: it waits for `start`, whichever process that will be."""
    chapter, name = 10, "start"

    def prepare(self, spec, undo):
        super().prepare(spec, undo)
        self.spec, self.config, self.folder = spec, spec.config, spec.folder
        self.keep = int(spec.settings.get("preserve-fds") or 0)
        self.hooks = spec.config.get("hooks") or {}
        self.state = json.dumps({**spec.told, "status": "created", "pid": 4194305}).split("4194305")
        spec.ask, spec.inside = self.ask, self.inside
        self.listener = None
        if spec.waits:
            self.listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
            undo.callback(self.listener.close)
            named(SOCKET, self.listener.bind, f"/proc/self/fd/{self.folder.folder}/{SOCKET}")
            self.listener.listen(1)

    # In the parent.

    def answer(self, word, pid):
        """Does what the child asks for while it is being made."""
        if word != b"hooks":
            raise LayerError(self.name, "died", 0)
        for which in "prestart", "createRuntime":
            hooks.run(self.hooks, which, self.text(pid))
        ch02_clone.say(self.parent_end, b"go on")

    def text(self, pid):
        """The state, for a hook."""
        return str(pid).join(self.state).encode()

    # In the child.

    def ask(self, word):
        """Has the parent run its hooks, if there are any, and waits for it."""
        if self.hooks.get("prestart") or self.hooks.get("createRuntime"):
            named("socket", self.child_end.write, word)
            if named("socket", self.child_end.read, 9) != b"go on":
                os._exit(125)

    def inside(self, which):
        """Runs hooks in here."""
        if self.hooks.get(which):
            hooks.run(self.hooks, which, self.text(os.getpid()))

    def child(self):
        self.home()
        self.close()
        self.enter()
        linux.prctl(linux.PR_SET_PDEATHSIG, 0)  # whoever has made us will end
        self.program.clear()
        linux.umask(self.spec.umask)
        self.find()
        named("socket", self.child_end.write, b"ready")
        if self.listener is None:
            if named("socket", self.child_end.read, 9) != b"start":
                os._exit(125)
        else:
            self.wait()
        self.inside("startContainer")

    def wait(self):
        """Until `start` connects. Who connects may be killed half-way: then the next one counts."""
        named("socket", self.child_end.close)
        while True:
            self.child_end = linux.accept(self.listener.fileno())
            if named("socket", self.child_end.read, 9) == b"start":
                break
            self.child_end.close()
        linux.close(self.listener.detach())

    def enter(self):
        """The last look at the working directory: as the user who will be in it."""
        try:
            place = linux.openat2(linux.AT_FDCWD, self.workdir, os.O_PATH | os.O_DIRECTORY,
                                  linux.RESOLVE_NO_MAGICLINKS)
        except PermissionError:
            pass  # WorkDir has entered it, when we still could
        else:
            linux.fchdir(place)
            linux.close(place)
        linux.getcwd()  # fails if we stand outside of the root

    def close(self):
        """Every descriptor but 0 to 2, what --preserve-fds says, the socket and the listener."""
        stay = {self.child_end.fileno()} | ({self.listener.fileno()} if self.listener else set())
        first = 3 + self.keep
        for fd in sorted(stay):
            if fd > first:
                linux.close_range(first, fd - 1)
            first = max(first, fd + 1)
        linux.close_range(first, linux.LAST_FD)
        for fd in range(3, 3 + self.keep):
            os.set_inheritable(fd, True)

    def home(self):
        """HOME, if the bundle does not say: as the container's own passwd(5) has it."""
        if self.program.env.get(b"HOME"):
            return
        home = "/"
        root = linux.open("/", os.O_PATH | os.O_DIRECTORY)
        try:
            home = accounts.lookup(root, str(self.spec.uid))[3] or "/"
        except (OSError, LayerError):
            pass  # whatever stands there is no passwd
        linux.close(root)
        self.program.env[b"HOME"] = os.fsencode(home)

    def find(self):
        """Looks the program up as execve will, so that create can tell that there is none."""
        if not self.config.get("process"):
            return  # may be created, and not started
        failure = None
        for path in self.program.paths:
            try:
                if os.stat(path).st_mode & 0o170000 == 0o100000 and os.access(path, os.X_OK, effective_ids=True):
                    return
                failure = failure or (13, path)
            except OSError as error:
                failure = failure if error.errno in (2, 20) and failure else (error.errno, path)
        number, path = failure
        raise LayerError("program", "find", number, self.program.name)


def no_program(error):
    """The line for a program that cannot be run, in the words that engines look for."""
    name = error.about
    if error.errno in (2, 20) and "/" not in name:
        return f'exec: "{name}": executable file not found in $PATH'
    return f'exec: "{name}": {"stat " + name + ": " if error.errno in (2, 20) else ""}' \
           f"{os.strerror(error.errno).lower()}"


def create(spec, layers, state):
    """Makes the container of a bundle; its first process waits. Raises LayerError, Refused."""
    start = Waiting()
    container = ch02_clone.create(spec, layers, start)
    record(state, spec, container.pid)
    return container


def record(state, spec, pid):
    """Writes down what later commands need."""
    state.write(CONFIG, json.dumps(spec.config).encode())
    state.save(id=spec.id, pid=pid, born=born(pid), bundle=spec.bundle, created=now(),
               ociVersion=spec.config["ociVersion"], annotations=spec.config.get("annotations") or {},
               rootfs=os.path.realpath(os.path.join(spec.bundle, spec.config["root"]["path"])),
               owner=os.geteuid(), **spec.state)
    if spec.settings.get("pid-file"):
        write_whole(spec.settings["pid-file"], str(pid))


def write_whole(path, text):
    """Writes a file that others wait for: it is there, then it is whole."""
    new = f"{os.path.dirname(path) or '.'}/.{os.path.basename(path)}.{os.getpid()}"
    linux.write(new, text, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.rename(new, path)


def start(state):
    """Lets a created container's program run. Raises LayerError if it cannot be executed."""
    status = state.status()
    if status == "stopped":
        raise Refused("cannot start a container that has stopped")
    if status != "created":
        raise Refused(f"cannot start an already running container: {state.id} is {status}")
    if not state.config().get("process"):
        raise Refused("cannot start a container without process: its config.json had none")
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    named(SOCKET, connection.connect, f"/proc/self/fd/{state.folder}/{SOCKET}")
    control = io.FileIO(connection.detach(), "r+")
    ch02_clone.say(control, b"start")
    try:
        ch02_clone.receive(control)
    finally:
        os.unlink(SOCKET, dir_fd=state.folder)


def told(config, name, bundle):
    """The state of a container as its hooks read it, before there is a record."""
    return {"ociVersion": config["ociVersion"], "id": name, "status": "creating", "pid": 0,
            "bundle": bundle, "annotations": config.get("annotations") or {}}
