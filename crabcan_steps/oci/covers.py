"""What a bundle hides (maskedPaths), and what it lets nobody write (readonlyPaths)."""
import errno
import os
import stat

from .. import linux
from ..layer import named
from ..mounts.parts import FileSystem
from ..mounts.root import IN_ROOT
from .mountoptions import RDONLY
from .mounts import CLONED, copy_of

NULL = os.makedev(1, 3)


class Hidden:
    """A masked path: seems empty. What covers a file is the machine's /dev/null, opened beforehand."""

    def __init__(self, path):
        self.path, self.name, self.null = path, f"linux.maskedPaths: {path}", None

    def hold(self, undo=None):
        if self.null is None:
            held = linux.open("/dev/null", os.O_PATH | os.O_NOFOLLOW)
            status = linux.fstat(held)
            if not stat.S_ISCHR(status.st_mode) or status.st_rdev != NULL:
                raise FileNotFoundError(errno.ENOENT, "the machine's /dev/null is another file", self.name)
            self.null = copy_of(held)
            linux.close(held)
            if undo:
                undo.callback(linux.close, self.null)

    def make(self, root):
        try:
            there = root.find(self.path, IN_ROOT)
        except (FileNotFoundError, NotADirectoryError):
            return
        if stat.S_ISDIR(linux.fstat(there).st_mode):
            mount = FileSystem("tmpfs", self.path, RDONLY, size="4k", mode="0555").open()
        else:
            mount, self.null = self.null, None
        named(self.name, linux.move_mount, mount, there)
        linux.close(mount)
        linux.close(there)


class ReadOnly:
    """A read-only path: the same once more, and nobody writes."""

    def __init__(self, path):
        self.path, self.name = path, f"linux.readonlyPaths: {path}"

    def hold(self, undo=None):
        """Nothing of the host's."""

    def make(self, root):
        try:
            there = root.find(self.path, IN_ROOT)
        except (FileNotFoundError, NotADirectoryError):
            return
        mount = linux.open_tree("", CLONED | linux.AT_RECURSIVE, dir_fd=there)
        linux.mount_setattr("", linux.AT_EMPTY_PATH, RDONLY, dir_fd=mount)
        named(self.name, linux.move_mount, mount, there)
        linux.close(mount)
        linux.close(there)
