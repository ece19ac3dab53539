"""A container of an image: its root is an overlay, its settings are the image's; all else is as it was."""
import errno
import os

from .. import linux
from ..ch01_args import Spec
from ..ch04_mounts import Mounts
from ..ch05_namespaces import Identity, Users
from ..ch09_runtime import assemble, run as run_layers
from ..ch12_images import configure
from ..layer import LayerError, warn
from ..mounts.parts import LOCKED, Bind
from ..mounts.root import ROOTS
from ..runtime.interpreter import shelter
from ..runtime.terminal import Terminal
from ..oci.root import BundleRoot
from . import container, overlay
from .accounts import ImageIdentity
from .errors import ImageError
from .found import Options, find, unpacked
from .place import again
from .store import Store

MOUNTING = ("mount", "mount_setattr", "open_tree", "unshare")  # what an overlay is made with


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


class ImageTerminal(Terminal):
    """Chapter 9's; and who asks the container to end asks as its image wants it."""

    def prepare(self, spec, undo):
        super().prepare(spec, undo)
        self.signal = signal_of(spec.stop_signal) if spec.stop_signal else linux.SIGTERM

    def connect(self, container):
        container.stop_signal = self.signal
        return super().connect(container)


def signal_of(name):
    """The number of a signal: SIGQUIT, QUIT, 3, SIGRTMIN+3. What is none is SIGTERM, with a word."""
    import signal  # only now: 4 ms
    base, _, more = name.upper().removeprefix("SIG").partition("+")
    number = int(base) if base.isdecimal() else getattr(signal, f"SIG{base}", None)
    number = number + int(more) if isinstance(number, int) and more.isdecimal() else number
    if isinstance(number, int) and 0 < number < signal.NSIG:
        return int(number)
    warn(f"the image's StopSignal {name:.40} is none: SIGTERM it is")
    return linux.SIGTERM


def layers(spec):
    """Those of chapters 2 to 9, with the image's instead of three of them."""
    ours = {Mounts: ImageMounts, Identity: ImageIdentity, Terminal: ImageTerminal}
    return [ours[type(layer)]() if type(layer) in ours else layer for layer in assemble(spec, 12)]


def image_of(store, spec):
    """The image that --image names: from the store, or brought there."""
    def pull(store, text, options):
        from .pull import pull as bring  # only now: with HTTP and the rest it takes 40 ms
        return bring(store, text, options)
    options = Options()
    options.platform, options.insecure = spec.platform, spec.insecure
    if ":" in spec.image and spec.image.split(":")[0] in ("oci", "oci-archive", "docker-archive"):
        return pull(store, spec.image, options)
    try:
        image = find(store, spec.image)
    except ImageError:
        warn(f"{spec.image}: is not here yet, and is pulled")
        return pull(store, spec.image, options)
    if not all(unpacked(store, chain) for chain in image.chains()):
        from .layers import unpack_all
        unpack_all(store, image, options)
    return image


def unrecorded(deed, *args):
    """Does what is not yet the container's birth: of files that come and go a recording tells nothing."""
    seen, linux.observer = linux.observer, None
    try:
        return deed(*args)
    finally:
        linux.observer = seen


def run(spec):
    """Pull, unpack, configure, run. Returns the exit status."""
    try:
        if not spec.image or spec.mount:
            raise ImageError("--image NAME says whose files the container has, and --mount DIR is for others: one of them")
        return brought(spec)
    except ImageError as error:
        warn(error)
        return 125


def brought(spec):
    """The same. Raises ImageError, LayerError."""
    shelter(assemble(spec, 12))  # before there is anything to be undone
    store = Store()
    store.share()
    image = unrecorded(image_of, store, spec)
    asked = "caps" in vars(spec) or "NET_RAW" in spec.cap_add
    if not image.layers:
        raise ImageError(f"{spec.image}: has no layers, so there is no file in it, and no command")
    configure(spec, image)
    if spec.net == "pasta" and not asked:
        spec.cap_drop = [*spec.cap_drop, "NET_RAW"]  # or it would get past the routes of chapter 11
    spec.store, spec.chains, spec.copied = store, image.chains(), False
    spec.prefix = "trusted.overlay." if os.geteuid() == 0 else "user.overlay."
    container.sweep(store)
    users = Users()
    users.prepare(Spec(), None)
    spec.maps = users.maps
    if spec.write_bundle:
        from .bundle import write
        write(spec, store, image, users)
        return 0
    spec.mount = f"image {spec.image}"  # as far as others ask: not a root of our own
    spec.box = container.create(store, image, users, spec.keep)
    store.unshare()
    try:
        return run_layers(spec, layers(spec))
    except LayerError as error:
        if error.call not in MOUNTING or spec.copied:
            raise
        warn(f"{error.explain(layers(spec))}: so the image is copied, which takes its time and room")
        spec.copied = True
        from .flatten import flatten
        unrecorded(flatten, store, spec.chains[::-1], spec.box.name, users)
        return run_layers(spec, layers(spec))
    finally:
        spec.box.close()
