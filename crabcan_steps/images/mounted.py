"""A container's root, where it is an image's: an overlay, or a copy where there can be none. Chapter 4's mounts on top."""
import errno

from .. import linux
from ..ch04_mounts import Mounts
from ..layer import LayerError
from ..mounts.parts import LOCKED, Bind
from ..mounts.root import ROOTS
from ..oci.root import BundleRoot
from . import overlay
from .place import again


class Overlay(Bind):
    """The root: the image's layers with the container's own on top."""

    def __init__(self, make):
        super().__init__("the image", "/", LOCKED, None)
        self.make_it, self.directory = make, True

    def open(self):
        if self.tree is None:
            self.tree = self.make_it()
            linux.mount_setattr("", linux.AT_EMPTY_PATH, self.attributes, linux.MS_PRIVATE, dir_fd=self.tree)
        ROOTS[self.tree] = BundleRoot(self.tree)  # places that it lacks are made: it is nobody else's
        return self.tree


class Copy(Bind):
    """The root where there can be no overlay."""

    def __init__(self, store, box):
        super().__init__(f"containers/{box.name}/rootfs", "/", LOCKED)
        self.store = store

    def open(self):
        if self.tree is None:
            store = again(self.store)
            self.held = linux.open(self.source, overlay.FOLDER, dir_fd=store)
            linux.close(store)
        tree = super().open()
        ROOTS[tree] = BundleRoot(tree)
        return tree


class Place:
    """A directory that must be there: the working directory, a volume."""

    def __init__(self, path):
        self.path = path

    def make(self, root):
        try:
            linux.close(ROOTS[root].place(self.path, True))
        except OSError as error:
            raise LayerError("mounts", f"directory {self.path}", error.errno,
                             "the image wants it (WorkingDir, Volumes), and there it cannot be") from None


class ImageMounts(Mounts):
    """Chapter 4's, with an overlay for a root."""
    cures = {**Mounts.cures,
             ("mount", errno.EINVAL): "overlayfs does not take these directories: see dmesg",
             ("mount", errno.ENODEV): "this kernel has no overlayfs: modprobe overlay",
             ("mount", errno.EPERM): "overlayfs for ordinary users needs Linux 5.11"}

    def prepare(self, spec, undo):
        super().prepare(spec, undo)
        self.plan += [Place(path) for path in (*spec.volumes, spec.workdir)]

    def hold(self, undo=None):
        spec = self.spec
        chains = spec.chains[::-1]
        if spec.copied:
            self.root = Copy(spec.store, spec.box)
        elif undo:  # root: all that can fail, before clone
            made = overlay.shifted(spec.store, chains, spec.box.name, spec.maps, spec.keep)
            self.root = Overlay(lambda: made)
        else:
            self.root = Overlay(lambda: overlay.own(spec.store, chains, spec.box.name, spec.keep))
        super().hold(undo)
