"""The kernel's files in /proc, through a handle of our own: opened once, before anything is joined.

A path would be looked up anew each time, in a mount namespace that may be another container's by
then: what is mounted over it there would get what we write (CVE-2025-52881).
"""
import errno
import os

from .. import linux

PROC_SUPER_MAGIC = 0x9FA0  # <linux/magic.h>
STRAIGHT = linux.RESOLVE_BENEATH | linux.RESOLVE_NO_XDEV | linux.RESOLVE_NO_MAGICLINKS


def hold(undo):
    """A descriptor of /proc. Raises OSError if something else is mounted there."""
    proc = linux.open("/proc", os.O_PATH | os.O_DIRECTORY)
    undo.callback(linux.close, proc)
    if linux.fstatfs(proc) != PROC_SUPER_MAGIC:
        raise OSError(errno.EXDEV, "is no procfs: try `mount -t proc proc /proc`", "/proc")
    return proc


@linux.system_call
def write(proc, path, text):
    """Writes to one of its files, over which nothing is mounted and to which no link leads."""
    try:
        fd = linux.openat2(proc, path, os.O_WRONLY, STRAIGHT)
        try:
            if os.write(fd, text.encode()) != len(text.encode()):
                raise OSError(errno.EIO, "written only in part")
        finally:
            linux.close(fd)
    except OSError as error:
        error.filename = f"/proc/{path}"
        raise


def namespace(proc, name):
    """A descriptor of one of our namespaces."""
    folder = linux.openat2(proc, "self/ns", os.O_PATH | os.O_DIRECTORY, STRAIGHT)
    fd = linux.open(name, os.O_RDONLY, dir_fd=folder)
    linux.close(folder)
    return fd
