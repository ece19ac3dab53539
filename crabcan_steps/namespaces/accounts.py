"""Who --user is, for chapter 5: looked up in the root that the container will have.

Never the C library's answer: it asks the host's users, or loads modules out of the container.
"""
import errno
import os
import stat

from .. import linux
from ..layer import named
from ..mounts.furniture import ETC
from ..mounts.passwd import found
from ..mounts.root import the_same

LARGEST = 1 << 20  # bytes
SAFE = linux.RESOLVE_IN_ROOT | linux.RESOLVE_NO_MAGICLINKS


def account(spec):
    """Looks --user up in the root that the container will have: given, our own, or the host's."""
    if spec.mount is None and hasattr(spec, "binds"):  # chapter 4 makes its files, so it knows them
        return found(ETC["passwd"], ETC["group"], *spec.user)
    root = named(f"--mount {spec.mount}", os.open, spec.mount or "/", os.O_PATH | os.O_DIRECTORY)
    try:
        the_same(spec, root)  # as the one that chapter 4 opens
        return lookup(root, *spec.user)
    finally:
        linux.close(root)


def lookup(root, user, group=None):
    """found(), in the files below a descriptor of the root.

    Raises OSError (ELOOP, EFBIG, ...) for a file that is none to be read."""
    return found(read(root, "etc/passwd"), read(root, "etc/group"), user, group)


def content(root, path, seen):
    """The bytes of the very file that was looked at. Not through /proc, which may be the container's."""
    fd = linux.openat2(root, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY, SAFE)
    with open(fd, "rb") as file:
        if not os.path.samestat(linux.fstat(fd), linux.fstat(seen)):
            raise OSError(errno.EAGAIN, "was exchanged while we read", f"/{path} of the root")
        return file.read(LARGEST + 1)


def read(root, path):
    """The text of a regular file below the root; whoever owns that may be changing it meanwhile."""
    try:
        fd = linux.openat2(root, path, os.O_PATH, SAFE)
    except (FileNotFoundError, NotADirectoryError):
        return ""
    try:
        if not stat.S_ISREG(linux.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "is no regular file", f"/{path} of the root")
        text = content(root, path, fd)
    finally:
        linux.close(fd)
    if len(text) > LARGEST:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), f"/{path} of the root")
    return os.fsdecode(text)
