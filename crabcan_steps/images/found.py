"""What is here already: an image by its name, and whether a layer of it is unpacked."""
from .. import linux
from .errors import ImageError
from .image import Image
from .reference import Reference

MOST_BYTES, MOST_FILES = 16 << 30, 2_000_000  # of one layer, unless --max-size and --max-files say


class Options:
    """What the commands may change of a pull."""
    platform, insecure, quiet, squash = None, False, False, False
    max_size, max_files = MOST_BYTES, MOST_FILES


def find(store, text):
    """An image of the store, by name, digest or the digest's beginning. Raises ImageError."""
    names = store.names()
    found = names.get(text) or text.count("/") + text.count(":") < 8 and names.get(named(text))
    if not found:
        bare = text.removeprefix("sha256:")
        fits = [one for one in names.values() if len(bare) > 3 and one["digest"][7:].startswith(bare)]
        if len({one["digest"] for one in fits}) != 1:
            raise ImageError(f"{text}: no such image here: `crabcan pull {text}`, or `crabcan images` for those there are")
        found = fits[0]
    image = Image(store.read(found["digest"]), text)
    return image.configure(store.read(image.target["digest"]))


def named(text):
    """The name that a reference has in the store, or the text itself if it is none."""
    try:
        return str(Reference(text))
    except ImageError:
        return text


def unpacked(store, chain):
    """Tells whether a layer is there as a directory."""
    try:
        linux.stat(f"layers/{chain[7:]}", dir_fd=store.root)
        return True
    except FileNotFoundError:
        return False
