"""What the child of chapter 10 looks at last, and what is told of a program that cannot be run."""
import os
import stat

from .. import linux
from ..layer import LayerError
from .state import Refused

NAME_OF_FILE = "config.json"
NONE = (2, 20)  # ENOENT, ENOTDIR
MOST = 1 << 16   # descriptors


def inherited(word):
    """Those of descriptors 3 to N+2 that our caller has open for the container (--preserve-fds N).

    What we have opened ourselves execve closes, and what has been handed to us it does not: one of
    ours under such a number would be a way out of the container."""
    if not str(word).isascii() or not str(word).isdigit() or int(word) > MOST:
        raise Refused(f"--preserve-fds {word}: a number up to {MOST}")
    return [fd for fd in range(3, 3 + int(word)) if is_open(fd) and os.get_inheritable(fd)]


def is_open(fd):
    try:
        linux.fstat(fd)
        return True
    except OSError:
        return False


def stand(workdir, entered):
    """Enters the working directory, as the user who will be in it. Raises OSError if it lies outside."""
    try:
        place = linux.openat2(linux.AT_FDCWD, workdir, os.O_PATH | os.O_DIRECTORY,
                              linux.RESOLVE_NO_MAGICLINKS)
        linux.fchdir(place)
        linux.close(place)
    except PermissionError:
        if not entered:  # by WorkDir, when we still could
            raise
    linux.getcwd()  # fails if we stand outside of the root


def home_of(uid, environment, accounts):
    """HOME, if the bundle does not say: as the container's own passwd(5) has it, else /."""
    if environment.get(b"HOME"):
        return
    home = "/"
    root = linux.open("/", os.O_PATH | os.O_DIRECTORY)
    try:
        home = accounts.lookup(root, str(uid))[3] or "/"
    except (OSError, LayerError):
        pass  # whatever stands there is no passwd
    linux.close(root)
    environment[b"HOME"] = os.fsencode(home)


def look_up(program):
    """Looks the program up as execve will, so that create can tell that there is none."""
    failure = None
    for path in program.paths:
        try:
            if stat.S_ISREG(os.stat(path).st_mode) and os.access(path, os.X_OK, effective_ids=True):
                return
            failure = failure or 13  # EACCES
        except OSError as error:
            failure = failure if error.errno in NONE and failure else error.errno
    raise LayerError("program", "stat", failure, program.name)


def no_program(error):
    """The line for a program that cannot be run, in the words that engines look for."""
    name = error.about
    if error.errno in NONE and "/" not in name:
        return f'exec: "{name}": executable file not found in $PATH'
    looked = f"stat {name}: " if error.errno in NONE else ""
    return f'exec: "{name}": {looked}{os.strerror(error.errno).lower()}'


def write_whole(path, text):
    """Writes a file that others wait for: it is there, then it is whole."""
    new = f"{os.path.dirname(path) or '.'}/.{os.path.basename(path)}.{os.getpid()}"
    linux.write(new, text, os.O_WRONLY | os.O_CREAT | os.O_EXCL)  # others may write in that directory
    try:
        os.rename(new, path)
    except OSError:
        os.unlink(new)
        raise


def told(config, name, bundle):
    """The state of a container as its hooks read it, before there is a record."""
    return {"ociVersion": config["ociVersion"], "id": name, "status": "creating", "pid": 0,
            "bundle": bundle, "annotations": config.get("annotations") or {}}
