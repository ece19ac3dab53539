"""The directory that a layer is unpacked into: nothing is ever opened but a name in an open directory.

A path is walked a name at a time, each opened without following (O_NOFOLLOW). A link on the way is
followed by us, within this root: its target is more names to walk, and ".." at the root stays there.
"""
import errno
import os
import stat

from .. import linux
from .errors import ImageError
from .merged import OPEN, whiteout
from .remove import remove

LINKS = 40  # as many as the kernel follows (path_resolution(7))
PATH = 4096  # PATH_MAX: what is longer, nobody could name


def clean(name):
    """A member's name as the names on its way, below the root: "/a/../b/./c" is b, c."""
    if len(name) > PATH:
        raise ImageError(f"a layer has a path of {len(name)} bytes, and nobody can name more than {PATH}: "
                         f"{name[:60]!r}...")
    parts = []
    for word in os.fsdecode(name).split("/"):
        if word == "..":
            parts = parts[:-1]
        elif word not in ("", "."):
            if len(os.fsencode(word)) > 255:
                raise ImageError(f"a layer has a name of more than 255 bytes: {word[:60]!r}...")
            parts.append(word)
    return tuple(parts)


class Tree:
    """A layer's directory while it is filled, and what is below it."""

    def __init__(self, root, lower):
        self.root, self.lower = root, lower  # a descriptor; a Merged
        self.hidden = set()   # what this layer takes away of those below
        self.implied = {}     # directories without an entry of their own: path -> status in a lower layer
        self.at, self.fd = (), root

    def forget(self):
        """Lets go of the directory that is open: it may be another, or none, from now on."""
        if self.fd != self.root:
            linux.close(self.fd)
        self.at, self.fd = (), self.root

    def folder(self, parts):
        """The descriptor of a directory, made if it is missing. It is good until the next call."""
        if parts[:len(self.at)] != self.at:
            self.forget()
        todo, links = list(parts[len(self.at):]), 0
        while todo:
            name = todo.pop(0)
            if name == "..":
                above = self.at[:-1]
                self.forget()
                todo[:0] = above
                continue
            step = self.step(name)
            if isinstance(step, int):
                above, self.at = self.fd, (*self.at, name)
                self.fd = step
                if above != self.root:
                    linux.close(above)
                continue
            links += 1
            if links > LINKS:
                raise ImageError(f"a layer's path leads through too many links: {'/'.join(parts):.200}")
            todo[:0] = [word for word in step.split("/") if word not in ("", ".")]
            if step.startswith("/"):
                self.forget()
        return self.fd

    def step(self, name):
        """One name further: a descriptor, or the text of a link that stands there."""
        try:
            return linux.open(name, OPEN, dir_fd=self.fd)
        except FileNotFoundError:
            return self.imply(name)
        except OSError as error:
            if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                raise
        if stat.S_ISLNK(linux.lstat(name, dir_fd=self.fd).st_mode):
            return linux.readlink(name, dir_fd=self.fd)
        os.unlink(name, dir_fd=self.fd)  # a file, in whose place something needs a directory
        return self.imply(name)

    def imply(self, name):
        """A directory that has no entry: it is as in the layers below, or a plain one."""
        path = (*self.at, name)
        found = None if path in self.hidden else self.lower.find(path)
        if found and stat.S_ISLNK(found[2].st_mode):
            return linux.readlink(name, dir_fd=found[0])
        linux.mkdir(name, 0o755, dir_fd=self.fd)
        fd = linux.open(name, OPEN, dir_fd=self.fd)
        if found and stat.S_ISDIR(found[2].st_mode):
            below = linux.open(name, OPEN, dir_fd=found[0])
            like(fd, below)
            linux.close(below)
            self.implied[path] = found[2]
        else:
            self.implied[path] = None
        return fd

    def status(self, folder, name):
        """What stands there in this layer; None if nothing does."""
        try:
            return linux.lstat(name, dir_fd=folder)
        except FileNotFoundError:
            return None

    def clear(self, folder, name):
        """Makes room for a new entry of a name that was there before."""
        status = self.status(folder, name)
        if status is None:
            return
        if stat.S_ISDIR(status.st_mode):
            remove(folder, name)
            path = (*self.at, name)  # of folder: we have just walked there
            for gone in [one for one in self.implied if one[:len(path)] == path]:
                del self.implied[gone]
        else:
            os.unlink(name, dir_fd=folder)

    def copy_up(self, parts):
        """Brings a file of a lower layer into this one, for a hard link to it. Tells whether it could."""
        found = self.lower.find(parts) if parts not in self.hidden else None
        if not found or stat.S_ISDIR(found[2].st_mode):
            return False
        folder, name = self.folder(parts[:-1]), parts[-1]
        if self.at != parts[:-1]:
            found = self.lower.find((*self.at, name))
        if not found:
            return False
        copy(found, folder)
        return True


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
