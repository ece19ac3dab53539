"""What a layer takes away of those below it: .wh.NAME, and .wh..wh..opq for all of a directory.

They say nothing about their own layer (image-spec, layer.md), wherever in the archive they stand: so
they are collected, and applied when all else is there. overlayfs has signs of its own for both.
"""
import os
import stat

from .. import linux
from .errors import ImageError
from .merged import OPEN

PREFIX, OPAQUE, META = ".wh.", ".wh..wh..opq", ".wh..wh."


class Whiteouts:
    """Those of one layer. Paths are within the root, links in them already followed."""

    def __init__(self, tree, prefix):
        self.tree, self.attribute = tree, prefix + "opaque"
        self.gone, self.opaque = {}, {}  # dicts, as they keep their order

    def note(self, parts):
        """Notes a member that is none but a whiteout; tells whether it is one."""
        name = parts[-1]
        if not name.startswith(PREFIX):
            return False
        if name == OPAQUE:
            self.opaque[parts[:-1]] = True
        elif not name.startswith(META):  # others of these are aufs' own
            hidden = name.removeprefix(PREFIX)
            if hidden in ("", ".", ".."):
                raise ImageError(f"/{'/'.join(parts)}: a whiteout of nothing that has a name")
            self.gone[(*parts[:-1], hidden)] = True
            self.tree.hidden.add((*parts[:-1], hidden))
        return True

    def apply(self):
        """Leaves the signs that hide what is below."""
        for path in self.gone:
            self.hide(path)
        for path in self.opaque:
            if path:
                self.cover(path)
            elif self.tree.lower.roots:
                sign(os.setxattr, self.tree.root, self.attribute, b"y")

    def hide(self, path):
        """One name is gone. Where this layer has it anew, as a directory, only what was in it."""
        folder, real = self.parent(path)
        if folder is None:
            return
        status, below = self.tree.status(folder, path[-1]), self.tree.lower.find(real)
        if not below:
            return
        if status is None:
            sign(os.mknod, path[-1], stat.S_IFCHR, 0, dir_fd=folder)
        elif stat.S_ISDIR(status.st_mode):
            self.mark(folder, path[-1], real, plain=True)

    def cover(self, path):
        """A directory shows nothing of those below. A link of that name below is hidden, not followed."""
        folder, real = self.parent(path)
        if folder is None:
            return
        status, below = self.tree.status(folder, path[-1]), self.tree.lower.find(real)
        if status is None and below:
            linux.mkdir(path[-1], 0o755, dir_fd=folder)
            self.tree.implied[real] = None
        if below and (status is None or stat.S_ISDIR(status.st_mode)):
            self.mark(folder, path[-1], real)

    def parent(self, path):
        """The directory that a path is in, and the path with links followed; None if nothing is there."""
        folder = self.tree.folder(path[:-1])
        return folder, (*self.tree.at, path[-1])

    def mark(self, folder, name, real, plain=False):
        """Sets overlayfs' attribute for "opaque"."""
        fd = linux.open(name, OPEN, dir_fd=folder)
        sign(os.setxattr, fd, self.attribute, b"y")
        if plain and self.tree.implied.get(real):  # it is new: nothing of the old one stays
            linux.fchown(fd, 0, 0)
            linux.chmod(fd, 0o755)
            self.tree.implied[real] = None
        linux.close(fd)


def sign(call, *args, **options):
    """Makes one of overlayfs' signs. Raises ImageError where the file system has no place for it."""
    try:
        call(*args, **options)
    except OSError as error:
        raise ImageError(f"the file system of the store takes no whiteouts ({error.strerror}: is it an overlay, or "
                         "without extended attributes?): CRABCAN_STORE=DIR on another") from None
