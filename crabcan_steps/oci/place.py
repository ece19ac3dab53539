"""Where states are kept: a directory that belongs to us alone, and one in it for each container."""
import errno
import fcntl
import os
import time

from .. import linux

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
PATIENCE = 10  # seconds that a command waits for another one
ALLOWED = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-."


class Refused(Exception):
    """What was asked for cannot be done: one line, in words that engines look for."""


class NotThere(Refused):
    """No container of this name."""


def default_root():
    """Where states are kept unless --root says: gone at the next boot, as the containers are."""
    if os.geteuid() == 0 and os.access("/run", os.W_OK):
        return "/run/crabcan"
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    return f"{runtime}/crabcan" if runtime.startswith("/") else f"/tmp/crabcan-{os.geteuid()}"


def valid(name):
    """An id, if it can be one; it becomes the name of a directory."""
    if not name:
        raise Refused("container id must not be empty")
    if name.strip(ALLOWED) or name in (".", "..") or len(name) > 255:
        raise Refused(f"invalid container id format: {name!r:.300}: letters, digits and _+-. only")
    return name


def make(root):
    """Makes the directory of states, and those above it, where nobody else may write."""
    if root != "/" and not os.path.isdir(root):
        make(os.path.dirname(root))
        try:
            linux.mkdir(root, 0o711)
        except FileExistsError:
            pass  # somebody was quicker; mine() looks at what is there


def mine(root):
    """Opens a directory of states. Refuses one in which somebody else could write: what stands in
    a record is done, down to programs that run after the end."""
    top = linux.open(root, FOLDER)
    status = linux.fstat(top)
    if status.st_uid != os.geteuid() or status.st_mode & 0o022:
        linux.close(top)
        raise PermissionError(errno.EPERM, "belongs to somebody else, or others may write there: "
                              "give another one by --root", root)
    return top


def hold(folder, name):
    """Locks a container's directory until we end, or close it. Raises Refused if others do not let go."""
    last = time.monotonic() + PATIENCE
    while True:
        try:
            return fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > last:
                raise Refused(f"container {name}: {holder(folder)} is at work on it, and does not end: "
                              "end that first") from None
            time.sleep(0.01)


def holder(folder):
    """Who holds the lock, in words (proc(5), /proc/locks)."""
    inode = f":{linux.fstat(folder).st_ino}"
    lines = [line.split() for line in linux.read("/proc/locks").splitlines()]
    return next((f"process {line[4]}" for line in lines if line[1] == "FLOCK" and line[5].endswith(inode)),
                "somebody")


def every(root):
    """The names of all containers."""
    try:
        top = mine(root)
    except FileNotFoundError:
        return []
    with linux.scandir(top) as entries:
        found = sorted(entry.name for entry in entries if not entry.name.strip(ALLOWED)
                       and entry.is_dir(follow_symlinks=False))
    linux.close(top)
    return found
