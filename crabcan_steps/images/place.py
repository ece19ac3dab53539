"""Where the store is: a directory of ours alone, and the very one that we have opened first."""
import errno
import os

from .. import linux
from .errors import ImageError

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def default_root():
    """Where the store is unless CRABCAN_STORE says."""
    if said := os.environ.get("CRABCAN_STORE"):
        return os.path.abspath(said)
    if os.geteuid() == 0:
        return "/var/lib/crabcan"
    return os.path.join(os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share"), "crabcan")


def opened(path, cure=": CRABCAN_STORE=DIR is for one elsewhere"):
    """The directory, made if it is not there. Raises ImageError, with what may be done."""
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
        return linux.open(path, FOLDER)
    except OSError as error:
        if os.path.islink(path):
            raise ImageError(f"{path}: is a link, which may lead elsewhere at any time: "
                             f"CRABCAN_STORE={os.path.realpath(path)} is the place itself") from None
        raise ImageError(f"{path}: {'is no directory' if error.errno == errno.EEXIST else error.strerror}{cure}") from None


def ours(path, status):
    """Refuses a directory in which others have a say. Raises ImageError."""
    if status.st_uid != os.geteuid():
        raise ImageError(f"{path}: belongs to somebody else (uid {status.st_uid}): each user has a store of his own: CRABCAN_STORE=DIR")
    if status.st_mode & 0o022:
        raise ImageError(f"{path}: others may write there: chmod go-w {path}, if it is a store; or CRABCAN_STORE=DIR")


def again(store):
    """The store's directory as this mount namespace has it, by its name. Raises OSError if that leads elsewhere by now."""
    fd = linux.open(store.path, FOLDER)
    if not os.path.samestat(linux.fstat(fd), linux.fstat(store.root)):
        linux.close(fd)
        raise OSError(errno.ESTALE, "was exchanged for another directory", store.path)
    return fd
