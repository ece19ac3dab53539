"""A container of an image: its root is the image's (mounted.py), its settings, too; all else is as it was."""
import os

from .. import linux
from ..ch01_args import Spec
from ..ch04_mounts import Mounts
from ..ch05_namespaces import Identity, Users
from ..ch09_runtime import assemble, run as run_layers
from ..ch12_images import configure
from ..layer import LayerError, warn
from ..runtime.interpreter import shelter
from ..runtime.terminal import Terminal
from . import container
from .accounts import ImageIdentity
from .errors import ImageError
from .found import Options, find, unpacked
from .mounted import ImageMounts
from .store import Store

MOUNTING = ("mount", "mount_setattr", "open_tree", "unshare")  # what an overlay is made with


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
