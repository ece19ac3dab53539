"""A file's attributes, and a file, from one directory to another."""
import os
import stat

from .. import linux
from .merged import whiteout


def like(fd, other, uid=0, gid=0):
    """Gives a file owner, mode, attributes and times of another; root's number may be another."""
    status = linux.fstat(other)
    linux.fchown(fd, status.st_uid + uid, status.st_gid + gid)
    for name in os.listxattr(other):
        if not name.endswith(("overlay.opaque", "overlay.origin", "overlay.impure")):
            try:
                os.setxattr(fd, name, os.getxattr(other, name))
            except OSError:
                pass  # what we may not give, it does not get
    linux.chmod(fd, stat.S_IMODE(status.st_mode))
    os.utime(fd, ns=(status.st_mtime_ns, status.st_mtime_ns))


def copy(found, folder, uid=0, gid=0):
    """Copies one file (directory, name, status) into another directory, under the same name."""
    source, name, status = found
    if stat.S_ISREG(status.st_mode):
        with open(linux.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=source), "rb") as old, \
                open(linux.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=folder), "wb") as new:
            while piece := old.read(1 << 18):
                new.write(piece)
            new.flush()
            like(new.fileno(), old.fileno(), uid, gid)
        return
    if stat.S_ISLNK(status.st_mode):
        linux.symlink(linux.readlink(name, dir_fd=source), name, dir_fd=folder)
    elif not whiteout(status):
        os.mknod(name, status.st_mode, status.st_rdev, dir_fd=folder)
        os.chmod(name, stat.S_IMODE(status.st_mode), dir_fd=folder)
    else:
        return
    os.chown(name, status.st_uid + uid, status.st_gid + gid, dir_fd=folder, follow_symlinks=False)
    os.utime(name, ns=(status.st_mtime_ns, status.st_mtime_ns), dir_fd=folder, follow_symlinks=False)
