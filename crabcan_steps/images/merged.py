"""The layers below, as overlayfs would show them: what stands at a path, and in which of them."""
import os
import stat

from .. import linux

OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def whiteout(status):
    """Tells whether it is overlayfs' sign for "is not there any more": a character device 0/0."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def xattr(fd, name):
    """The value of an extended attribute, None if there is none."""
    try:
        return os.getxattr(fd, name)
    except OSError:
        return None


class Merged:
    """Descriptors of unpacked layers, the topmost first. Nothing in them is followed."""

    def __init__(self, roots, prefix):
        self.roots, self.opaque = list(roots), prefix + "opaque"
        self.at, self.fds = (), self.roots  # the directory that was last asked for

    def folders(self, parts):
        """The directories that make up the one at a path, the topmost first; [] if there is none."""
        if tuple(parts[:len(self.at)]) != self.at:
            self.close()
        for name in parts[len(self.at):]:
            deeper, path = list(self.below(self.fds, name)), (*self.at, name)
            self.close()
            self.at, self.fds = path, deeper
        return self.fds

    def below(self, folders, name):
        """One step down."""
        for folder in folders:
            try:
                status = linux.lstat(name, dir_fd=folder)
            except FileNotFoundError:
                continue
            if not stat.S_ISDIR(status.st_mode):
                return  # a file or a whiteout hides what is below it
            fd = linux.open(name, OPEN, dir_fd=folder)
            yield fd
            if xattr(fd, self.opaque) == b"y":
                return

    def find(self, parts):
        """(directory, name, status) of what stands at a path, in the layer that has it; or None."""
        for folder in self.folders(parts[:-1]):
            try:
                status = linux.lstat(parts[-1], dir_fd=folder)
            except FileNotFoundError:
                continue
            return None if whiteout(status) else (folder, parts[-1], status)
        return None

    def read(self, parts, most, links=40):
        """The bytes of a small regular file, links followed within the root; b"" if there is none."""
        parts, done = list(parts), []
        while parts:
            name = parts.pop(0)
            if name == "..":
                done = done[:-1]
                continue
            found = self.find([*done, name])
            if not found:
                return b""
            if stat.S_ISLNK(found[2].st_mode):
                links -= 1
                if links < 0:
                    return b""
                text = linux.readlink(name, dir_fd=found[0])
                done = [] if text.startswith("/") else done
                parts[:0] = [word for word in text.split("/") if word not in ("", ".")]
            else:
                done.append(name)
        if not done or not (found := self.find(done)) or not stat.S_ISREG(found[2].st_mode):
            return b""
        with open(linux.open(found[1], os.O_RDONLY | os.O_NOFOLLOW, dir_fd=found[0]), "rb") as file:
            return file.read(most)

    def close(self):
        """Lets go of the last directory; the roots stay open."""
        if self.fds is not self.roots:
            for fd in self.fds:
                linux.close(fd)
        self.at, self.fds = (), self.roots
