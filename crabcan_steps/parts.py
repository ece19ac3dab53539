"""What a root file system is made of, for chapter 4: each part knows how to make itself in the root.

Every mount is made detached, as a descriptor, and attached to a place that was looked up inside
the new root: no path of the container's is ever followed from the host's root.
"""
import os
import stat

from . import linux
from .layer import named

LOCKED = linux.MOUNT_ATTR_NOSUID | linux.MOUNT_ATTR_NODEV
DEVICE = linux.MOUNT_ATTR_NOSUID | linux.MOUNT_ATTR_NOEXEC
NO_EXEC = LOCKED | linux.MOUNT_ATTR_NOEXEC
READ_ONLY = LOCKED | linux.MOUNT_ATTR_RDONLY

NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL
IN_ROOT = linux.RESOLVE_IN_ROOT | linux.RESOLVE_NO_MAGICLINKS


class Bind:
    """A tree of the host's files, to be seen at a second place."""

    def __init__(self, source, target, attributes=LOCKED, asked=False):
        self.source, self.target, self.attributes = source, target, attributes
        self.asked = asked                 # by the user, who wants to know if it falls short
        # Chapter 5 shifts the owners of its files. Not of our own /usr: there the host's root shall
        # stay a stranger, to whom nothing is writable even if somebody undoes the read-only.
        self.shift = asked
        self.tree = None
        self.directory = stat.S_ISDIR(linux.stat(source).st_mode)

    def open(self):
        """Copies the mount. Private, or what is mounted in there would still come and go."""
        if self.tree is None:
            self.tree = linux.open_tree(self.source, linux.OPEN_TREE_CLONE | linux.AT_RECURSIVE)
            linux.mount_setattr("", linux.AT_EMPTY_PATH | linux.AT_RECURSIVE, self.attributes,
                                linux.MS_PRIVATE, dir_fd=self.tree)
        return self.tree

    def make(self, root):
        attach(self.open(), root, self.target, self.directory)


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
        return linux.fsmount(fs, self.attributes)

    def make(self, root):
        try:
            mount = self.open()
        except PermissionError:
            if not self.shows:
                raise
            return  # its namespace is the host's, and so not ours to show: better without
        attach(mount, root, self.target, True, linux.RESOLVE_NO_SYMLINKS)


class Cover:
    """Something over a path of /proc or /sys: hidden it seems empty, or else it cannot be written."""

    def __init__(self, target, hidden):
        self.target, self.hidden = target, hidden

    def make(self, root):
        try:
            there = linux.openat2(root, self.target, os.O_PATH, IN_ROOT | linux.RESOLVE_NO_SYMLINKS)
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
        return linux.open_tree("dev/null", linux.OPEN_TREE_CLONE, dir_fd=root)


class Entry:
    """A directory, a link or a small file in a tmpfs of ours."""

    def __init__(self, target, mode=0o755, link=None, text=None):
        self.target, self.mode, self.link, self.text = target, mode, link, text

    def make(self, root):
        above, name = os.path.split(self.target)
        folder = place(root, above, True)
        if self.link is not None:
            linux.symlink(self.link, name, dir_fd=folder)
        elif self.text is not None:
            linux.write(name, self.text, NEW_FILE, dir_fd=folder)
        else:
            linux.mkdir(name, self.mode, dir_fd=folder)
            linux.chmod(name, self.mode, dir_fd=folder)  # whatever the umask made of it
        linux.close(folder)


def attach(mount, root, target, directory, rules=0):
    """Attaches a detached mount to a place inside the root."""
    there = place(root, target, directory, rules)
    named(target, linux.move_mount, mount, there)
    linux.close(mount)
    linux.close(there)


def place(root, path, directory, rules=0):
    """Opens a place for a mount, looked up as if `root` were /; makes it, if in a tmpfs of ours."""
    try:
        return linux.openat2(root, path, os.O_PATH, IN_ROOT | rules)
    except FileNotFoundError:
        above, name = os.path.split(path.rstrip("/"))
        folder = place(root, above, True)
        if linux.fstat(folder).st_dev != linux.fstat(root).st_dev or not name:
            raise
        if directory:
            linux.mkdir(name, dir_fd=folder)
        else:
            linux.write(name, "", NEW_FILE, dir_fd=folder)
        return linux.openat2(folder, name, os.O_PATH, linux.RESOLVE_NO_SYMLINKS)
