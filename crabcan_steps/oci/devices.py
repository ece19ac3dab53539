"""Devices below /dev: made where the kernel lets us (mknod(2)), else the machine's own, bound there."""
import os
import stat

from .. import linux
from ..mounts.root import NO_LINKS
from ..layer import exists, named
from .mounts import copy_of

DEFAULT = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9),
           "tty": (5, 0)}
LINKS = {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1",
         "stderr": "/proc/self/fd/2", "ptmx": "pts/ptmx"}
KINDS = {"c": stat.S_IFCHR, "u": stat.S_IFCHR, "b": stat.S_IFBLK, "p": stat.S_IFIFO}


class Node:
    """A device, or a FIFO, in the container."""

    def __init__(self, target, kind, major, minor, mode=0o666, uid=0, gid=0):
        self.target = os.path.normpath("/" + target.lstrip("/"))
        self.kind, self.device = KINDS[kind], os.makedev(major, minor)
        self.mode, self.uid, self.gid = mode & 0o7777, uid, gid
        self.name, self.tree = f"linux.devices: {self.target}", None
        self.outside = None  # (a directory of ours, uid, gid) to make it in, where inside nobody can

    @classmethod
    def of(cls, entry):
        """One of `linux.devices`."""
        mode = entry.get("fileMode")
        return cls(entry["path"], entry["type"], entry.get("major") or 0, entry.get("minor") or 0,
                   0o666 if mode is None else mode, entry.get("uid") or 0, entry.get("gid") or 0)

    def hold(self, undo=None):
        """Opens the machine's own, for where none can be made. Where it has none, we make one outside."""
        if self.tree is not None or self.kind == stat.S_IFIFO:
            return
        held = self.found()
        made = held is None and self.outside
        if made:
            held = self.made_outside(*self.outside)
        if held is None:
            return  # then it must be made inside
        self.tree = copy_of(held)
        linux.close(held)
        if undo:
            undo.callback(linux.close, self.tree)
        if made:  # /run may be mounted so that there are no devices in it
            linux.mount_setattr("", linux.AT_EMPTY_PATH, dir_fd=self.tree, attr_clr=linux.MOUNT_ATTR_NODEV)

    def found(self):
        """A descriptor of the machine's own; None if there is none."""
        try:
            held = linux.open(self.target, os.O_PATH)
        except OSError:
            return None
        if self.same(held):
            return held
        return linux.close(held)

    def made_outside(self, folder, uid, gid):
        """A descriptor of a new one, in our directory: it is removed with that."""
        name = ".device" + self.target.replace("/", "-")
        linux.mknod(name, self.kind | self.mode, self.device, folder)
        held = linux.openat2(folder, name, os.O_PATH, NO_LINKS)
        self.give(held, uid, gid)
        return held

    def make(self, root):
        above, name = os.path.split(self.target)
        folder = root.place(above, True)
        try:
            if not root.ours(folder):
                self.there(folder, name)
            elif root.plain and self.kind != stat.S_IFIFO or not self.made(folder, name):
                self.bound(root)
        finally:
            linux.close(folder)

    def made(self, folder, name):
        """Makes it; False if the kernel does not let us."""
        try:
            linux.mknod(name, self.kind | self.mode, self.device, folder)
        except FileExistsError:
            return self.same(name, folder)
        except PermissionError:
            return False
        there = linux.openat2(folder, name, os.O_PATH, NO_LINKS)
        self.give(there, self.uid, self.gid)
        linux.close(there)
        return True

    def give(self, held, uid, gid):
        """Its mode, whatever the umask made of it, and its owner."""
        linux.chmod(f"/proc/self/fd/{held}", self.mode)
        os.chown(f"/proc/self/fd/{held}", uid, gid)

    def there(self, folder, name):
        """Below a mount of the machine's files nothing is made: it is there, or cannot be had."""
        if not named(self.name, self.same, name, folder):
            raise PermissionError(1, "another one stands there", self.name)

    def same(self, there, folder=None):
        """Tells whether what stands there, a name or a descriptor, is this device already."""
        status = linux.fstat(there) if folder is None else linux.lstat(there, dir_fd=folder)
        return stat.S_IFMT(status.st_mode) == self.kind and status.st_rdev == self.device

    def bound(self, root):
        if self.tree is None:
            self.hold()
        if self.tree is None:
            raise PermissionError(1, "neither can it be made here, nor is it on the machine", self.name)
        there = root.place(self.target, False)
        named(self.name, linux.move_mount, self.tree, there)
        linux.close(self.tree)
        linux.close(there)


class Link:
    """One of the links that every program expects in /dev."""

    def __init__(self, name, text):
        self.label, self.text = name, text

    def make(self, root):
        folder = root.place("/dev", True)
        try:
            if not root.ours(folder):
                return  # the machine's own /dev, bound: nothing there is ours to make
            linux.symlink(self.text, self.label, dir_fd=folder)
        except FileExistsError:
            if self.label == "ptmx":
                exchange(folder, self.label, self.text)
        finally:
            linux.close(folder)


def exchange(folder, name, text):
    """A device ptmx in an image's /dev would be the machine's: the container's goes in its place."""
    if not stat.S_ISLNK(linux.lstat(name, dir_fd=folder).st_mode):
        os.unlink(name, dir_fd=folder)
        linux.symlink(text, name, dir_fd=folder)


def defaults():
    """Those that the specification wants in every container."""
    return [Node(f"/dev/{name}", "c", *numbers) for name, numbers in DEFAULT.items()]


def links():
    """The links of /dev."""
    found = [Link(name, text) for name, text in LINKS.items()]
    return found + [Link("core", "/proc/kcore")] if exists("/proc/kcore") else found
