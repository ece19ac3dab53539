"""Where an image is read: in the store, or right in an archive or a directory, without copying it first."""
import contextlib

from crabcan_steps.ch12_images import verified
from crabcan_steps.images.errors import ImageError
from crabcan_steps.images.found import Options, find
from crabcan_steps.images.image import Image
from crabcan_steps.images.pull import pull, resolve, source_of
from crabcan_steps.images.reference import Reference
from crabcan_steps.images.store import Store


@contextlib.contextmanager
def image_at(text, options):
    """(image, opened) of what a name means; opened(digest) is a blob as a file. Raises ImageError."""
    reference = Reference(text)
    chosen = Options()
    chosen.platform, chosen.insecure = options.platform, options.insecure
    if reference.file is None:
        store = Store()
        store.share()
        yield stored(store, text, reference, chosen), store.open
        store.close()
        return
    source = source_of(reference, chosen)
    try:
        image = Image(resolve(source, reference, chosen), text)
        with source.blob(image.target["digest"])[0] as file:
            image.configure(verified(file, image.target["digest"], text))
        yield image, lambda digest: source.blob(digest)[0]
    finally:
        source.close()


def stored(store, text, reference, options):
    """An image of the store; brought there if it is not."""
    if not options.platform:
        try:
            return find(store, text)
        except ImageError:
            pass
    name = f"{reference}-{options.platform.replace('/', '-')}" if options.platform and not reference.digest else None
    return pull(store, text, options, name)  # another machine's does not take the name of ours
