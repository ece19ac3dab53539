"""What a root file system is made of, for chapter 4: each part knows how to make itself in the root.

A name is a question: asked twice, it may be answered differently. So what the user has named is
opened once (hold), and what was opened is looked at, cloned and used. Every mount is made detached,
as a descriptor, and attached to a place that was looked up below a descriptor of the new root.
"""
import errno
import os
import stat

from .. import linux
from ..layer import LayerError, named
from .root import NEW_FILE, NO_LINKS, OURS, WINDOWS, Root

LOCKED = linux.MOUNT_ATTR_NOSUID | linux.MOUNT_ATTR_NODEV
DEVICE = linux.MOUNT_ATTR_NOSUID | linux.MOUNT_ATTR_NOEXEC
NO_EXEC = LOCKED | linux.MOUNT_ATTR_NOEXEC
READ_ONLY = LOCKED | linux.MOUNT_ATTR_RDONLY


class Bind:
    """A tree of the host's files, to be seen at a second place."""
    depth = linux.AT_RECURSIVE

    def __init__(self, source, target, attributes=LOCKED, asked=None, held=None):
        self.source, self.target, self.attributes = source, target, attributes
        # The option with which the user has asked for it; True: it is --add.
        self.option = f"--add {source}:{target}" if asked is True else asked
        # Chapter 5 shifts the owners of its files. Not of our own /usr: there the host's root shall
        # stay a stranger, to whom nothing is writable even if somebody undoes the read-only.
        self.shift = bool(asked)
        self.held, self.tree = held, None  # descriptors: of what is there, and of our copy
        self.chosen = held is None  # by you or by us, not by whoever owns the root

    def open(self):
        """Copies the mount. Private, or what is mounted in there would still come and go."""
        if self.tree is None:
            if self.held is None:
                self.held = linux.open(self.source, os.O_PATH)
            mode = linux.fstat(self.held).st_mode
            self.directory = stat.S_ISDIR(mode)
            device = stat.S_ISCHR(mode) or stat.S_ISBLK(mode)
            if device and self.chosen:  # is there to be opened
                self.attributes, self.shift = self.attributes & linux.MOUNT_ATTR_RDONLY | DEVICE, False
            elif self.attributes == DEVICE:
                raise LayerError("mounts", self.option, 0, "is no device")
            self.tree = linux.open_tree("", linux.OPEN_TREE_CLONE | self.depth
                                        | linux.AT_EMPTY_PATH, dir_fd=self.held)
            linux.close(self.held)
            self.held = None
            linux.mount_setattr("", linux.AT_EMPTY_PATH | linux.AT_RECURSIVE, self.attributes,
                                linux.MS_PRIVATE, dir_fd=self.tree)
        return self.tree

    def close(self):
        """Lets go of what it still holds."""
        for fd in (self.held, self.tree):
            if fd is not None:
                linux.close(fd)

    def make(self, root):
        root = Root.of(root)
        mount, there = self.open(), root.place(self.target, self.directory)
        kind = root.devices.get(linux.fstat(there).st_dev)
        if self.option and kind in WINDOWS:
            raise LayerError("mounts", "place", errno.EBUSY, self.option)
        named(self.target, linux.move_mount, mount, there)
        root.cover(self.target.rstrip("/"))
        self.close()
        linux.close(there)


class FileSystem:
    """A new file system of the kernel's: proc, tmpfs, devpts."""

    def __init__(self, fstype, target, attributes=NO_EXEC, shows=0, **settings):
        self.fstype, self.target, self.attributes = fstype, target, attributes
        self.shows = shows  # the CLONE_* bit of the namespace that it shows
        self.settings = settings

    def open(self):
        fs = linux.fsopen(self.fstype)
        linux.fsconfig(fs, linux.FSCONFIG_SET_STRING, "source", self.fstype)  # for /proc/mounts
        for key, value in self.settings.items():
            linux.fsconfig(fs, linux.FSCONFIG_SET_STRING, key, value)
        linux.fsconfig(fs, linux.FSCONFIG_CMD_CREATE)
        mount = linux.fsmount(fs, self.attributes)
        OURS[linux.fstat(mount).st_dev] = self.fstype
        return mount

    def make(self, root):
        try:
            mount = self.open()
        except PermissionError:
            if not self.shows:
                raise
            return  # its namespace is the host's, and so not ours to show: better without
        root = Root.of(root)
        root.attach(mount, self.target, True, NO_LINKS)
        root.add(self.target, mount)


class Cover:
    """Something over a path of /proc or /sys: hidden it seems empty, or else it cannot be written."""

    def __init__(self, target, hidden):
        self.target, self.hidden = target, hidden

    def make(self, root):
        root = Root.of(root)
        try:
            there = root.find(self.target, NO_LINKS)
        except FileNotFoundError:
            return  # not on this kernel
        mount = self.open(root, there)
        linux.move_mount(mount, there)
        linux.close(mount)
        linux.close(there)

    def open(self, root, there):
        if not self.hidden:  # the same again, read-only
            mount = linux.open_tree("", linux.OPEN_TREE_CLONE | linux.AT_EMPTY_PATH, dir_fd=there)
            linux.mount_setattr("", linux.AT_EMPTY_PATH, READ_ONLY | NO_EXEC, dir_fd=mount)
            return mount
        if stat.S_ISDIR(linux.fstat(there).st_mode):
            return FileSystem("tmpfs", self.target, READ_ONLY, size="4k", mode="0555").open()
        null = root.find("/dev/null", NO_LINKS)
        return linux.open_tree("", linux.OPEN_TREE_CLONE | linux.AT_EMPTY_PATH, dir_fd=null)


class Entry:
    """A directory, a link or a small file in a tmpfs of ours."""

    def __init__(self, target, mode=0o755, link=None, text=None):
        self.target, self.mode, self.link, self.text = target, mode, link, text

    def make(self, root):
        root = Root.of(root)
        above, _, name = self.target.rpartition("/")
        own = root.seen.get(above)  # a file system of ours: it is open already
        folder = root.place(above, True, NO_LINKS) if own is None else own
        if self.link is not None:
            linux.symlink(self.link, name, dir_fd=folder)
        elif self.text is not None:
            linux.write(name, self.text, NEW_FILE, dir_fd=folder)
        else:
            linux.mkdir(name, self.mode, dir_fd=folder)
        if own is None:
            linux.close(folder)
