"""An image comes into the store, from files or from a registry, and its layers become directories."""
import hashlib
import re

from ..layer import warn
from .errors import Corrupt, ImageError
from .image import Image, is_index, parsed
from .found import Options
from .layers import complete
from .platforms import choose, machine
from .progress import Progress
from .reference import DIGEST, Reference
from .transfer import bring, put
from .unpacking import Unpacking


def source_of(reference, options):
    """Where an image comes from: files, or a registry."""
    if reference.file is not None:
        from .files import source_of as files
        return files(reference)
    from .registry import Registry
    return Registry(reference, options.insecure)


def called(name):
    """What somebody wants to call an image here: nothing that looks like a file or a digest. Raises ImageError."""
    if name is not None:
        reference = Reference(name)
        if reference.file is not None or reference.digest or re.fullmatch(DIGEST, name):
            raise ImageError(f"{name}: is no name for an image here: NAME:TAG")
    return name


def resolve(source, reference, options):
    """The manifest that a reference means, for one kind of machine: its bytes. Raises ImageError, Corrupt."""
    data, kind = source.first(reference)
    if reference.digest:
        equal(data, reference.digest, reference.text)
    for _ in range(4):  # an index may point at another
        document = parsed(data, reference.text)
        if not is_index(document, kind):
            break
        chosen = choose(document, machine(options.platform), reference.text)
        data, kind = source.document(chosen)
        equal(data, chosen["digest"], reference.text)
    return data


def pull(store, text, options=Options, name=None):
    """Brings an image into the store, all of it checked, under its name. Returns the Image."""
    reference = Reference(text)
    name = called(name)
    store.share()
    source = source_of(reference, options)
    try:
        data = resolve(source, reference, options)
        image = Image(data, text)
        fetch(store, source, [image.target], Progress(True))
        image.configure(store.read(image.target["digest"]))
        fitting(image, options)
        fetch_layers(store, source, image, options)
    finally:
        source.close()
    put(store, data)
    store.name(name or str(reference), {"mediaType": image.kind, "digest": image.digest, "size": image.size})
    return image


def fitting(image, options):
    """Refuses an image of another system; of another processor, it is only told. Raises ImageError."""
    system, processor, variant = image.machine()
    wanted = machine(options.platform)
    if system and system != wanted[0]:
        raise ImageError(f"{image.what}: is for {system}, and not for {wanted[0]}")
    if processor and processor != machine()[1]:
        warn(f"{image.what}: is for {processor}: its programs do not run on this machine as they are")


def fetch_layers(store, source, image, options):
    """Brings all layers; each is unpacked while the next ones are coming."""
    progress = Progress(options.quiet)
    unpacking = None if complete(store, image) else Unpacking(store, image, options)
    try:
        fetch(store, source, image.layers, progress, unpacking.came if unpacking else lambda digest: None)
    except BrokenPipeError:
        pass  # unpacking has failed: why, it tells
    except BaseException:
        if unpacking:
            unpacking.stop()
        raise
    if unpacking:
        unpacking.finish()


def fetch(store, source, descriptors, progress, came=lambda digest: None):
    """Brings blobs; what came wrong is just thrown away, and fetched once more, but no more."""
    try:
        bring(store, source, descriptors, progress, came)
    except Corrupt as error:
        warn(f"{error}: fetched again")
        bring(store, source, descriptors, progress, came)


def equal(data, digest, what):
    """Refuses a document that is not what its digest says. Raises Corrupt."""
    kind, _, wanted = digest.partition(":")
    found = hashlib.new(kind, data).hexdigest()
    if found != wanted:
        raise Corrupt(digest, f"{kind}:{found}", what)
