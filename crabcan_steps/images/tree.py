"""The directory that a layer is unpacked into: nothing is ever opened but a name in an open directory.

A path is walked a name at a time, each opened without following (O_NOFOLLOW). A link on the way is
followed by us, within this root: its target is more names to walk, and ".." at the root stays there.
"""
import os
import stat

from .. import linux
from ..ch12_images import sign, step
from .copying import copy, like
from .errors import ImageError
from .implied import Implied
from .merged import OPEN
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
            if len(word) > 63 and len(os.fsencode(word)) > 255:
                raise ImageError(f"a layer has a name of more than 255 bytes: {word[:60]!r}...")
            parts.append(word)
    return tuple(parts)


class Tree:
    """A layer's directory while it is filled, and what is below it."""

    def __init__(self, root, lower):
        self.root, self.lower = root, lower  # a descriptor; a Merged
        self.hidden = set()   # what this layer takes away of those below
        self.implied, self.copied = Implied(), set()
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
                self.back()
                continue
            found = self.step(name)
            if isinstance(found, int):
                above, self.at = self.fd, (*self.at, name)
                self.fd = found
                if above != self.root:
                    linux.close(above)
                continue
            links += 1
            if links > LINKS:
                raise ImageError(f"a layer's path leads through too many links: {'/'.join(parts):.200}")
            todo[:0] = [word for word in found.split("/") if word not in ("", ".")]
            if found.startswith("/"):
                self.forget()
        return self.fd

    def back(self):
        """One directory back. The way here led through no link, so it is what stands above; and at the root it stays."""
        above, fd = self.at[:-1], linux.open("..", OPEN, dir_fd=self.fd) if self.at[1:] else self.root
        self.forget()
        self.at, self.fd = above, fd

    def step(self, name):
        """One name further: a descriptor, made if need be, or the text of a link that stands there."""
        try:
            found = step(self.fd, name)
        except FileNotFoundError:
            return self.imply(name)
        if found is None:
            os.unlink(name, dir_fd=self.fd)  # a file, in whose place something needs a directory
            return self.imply(name)
        return found

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

    def place(self, path):
        """(directory, path) of a name, links on the way followed within the root."""
        folder = self.folder(path[:-1])
        return folder, (*self.at, path[-1])

    def mark(self, folder, path, attribute, plain=False):
        """Sets overlayfs' attribute for "opaque"; plain: the directory is new, nothing of the old one stays."""
        fd = linux.open(path[-1], OPEN, dir_fd=folder)
        sign(os.setxattr, fd, attribute, b"y")
        if plain and self.implied.get(path):
            linux.fchown(fd, 0, 0)
            linux.chmod(fd, 0o755)
            self.implied[path] = None
        linux.close(fd)

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
        self.copied.discard((*self.at, name))
        if stat.S_ISDIR(status.st_mode):
            remove(folder, name)
            self.implied.clear((*self.at, name))  # of folder: we have just walked there
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
        self.copied.add((*self.at, name))
        return True
