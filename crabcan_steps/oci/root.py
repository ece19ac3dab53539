"""Where something goes in a bundle's root. Chapter 4 looks places up; here those that are missing are made."""
import errno
import os
import stat

from .. import linux
from ..mounts.root import IN_ROOT, NO_LINKS, Root

NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
LINKS = 40  # as many as the kernel follows (path_resolution(7))


class BundleRoot(Root):
    """Chapter 4's, but it makes places that are missing."""

    def __init__(self, mount):
        super().__init__(mount)
        self.files = linux.fstat(mount).st_dev  # the file system of the bundle's own files

    def know(self, path, kind, mount):
        """Notes a file system that we have made."""
        self.seen[path] = mount
        self.devices[linux.fstat(mount).st_dev] = kind

    def ours(self, folder):
        """Tells whether a directory is of the bundle's own files, or of a file system that we made."""
        device = linux.fstat(folder).st_dev
        return device == self.files or device in self.devices

    def mode(self, path):
        """A directory's permissions, as an option of a tmpfs; none where it is still to be made."""
        try:
            there = self.find(path.rstrip("/"), IN_ROOT)
        except OSError:
            return []
        bits = stat.S_IMODE(linux.fstat(there).st_mode)
        linux.close(there)
        return [f"mode={bits:o}"]

    def place(self, path, directory, rules=IN_ROOT, depth=0):
        """Opens a place; makes it, and the directories above, step by step below the root."""
        path = os.path.normpath("/" + path.lstrip("/"))
        try:
            return self.find(path, rules)
        except FileNotFoundError:
            above, name = os.path.split(path)
            folder = self.place(above, True, rules, depth)
        try:
            return self.make(folder, above, name, directory, rules, depth)
        finally:
            linux.close(folder)

    def make(self, folder, above, name, directory, rules, depth):
        """Makes one name in a directory. A link to nowhere shows where the place is to be made."""
        try:
            text = linux.readlink(name, dir_fd=folder)
        except OSError:
            text = None  # nothing there, or no link
        if text is not None:
            if depth == LINKS or rules & linux.RESOLVE_NO_SYMLINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), f"{above}/{name}")
            return self.place(text if text[0] == "/" else f"{above}/{text}", directory, rules, depth + 1)
        try:
            if directory:
                linux.mkdir(name, 0o755, dir_fd=folder)
            else:
                linux.close(linux.open(name, NEW_FILE, 0o755, dir_fd=folder))
        except FileExistsError:
            pass  # somebody else was quicker; what it is now is looked at below
        return linux.openat2(folder, name, os.O_PATH, NO_LINKS)
