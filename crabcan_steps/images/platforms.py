"""For which machine an image is, and which of several is for ours (image-index.md: platform)."""
import os
import re

from .errors import ImageError
from .image import descriptor, of

MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "armv6l": "arm", "i686": "386"}
VARIANTS = {"armv7l": "v7", "armv6l": "v6"}
USUAL = {"amd64": "v1", "arm64": "v8", "arm": "v7"}  # what is meant where no variant is said


def machine(text=None):
    """(os, architecture, variant) of --platform, or of this machine."""
    if not text:
        name = os.uname().machine
        return "linux", MACHINES.get(name, name), VARIANTS.get(name)
    words = text.split("/")
    if not 1 < len(words) < 4 or not all(words):
        raise ImageError(f"--platform {text}: is linux/amd64, linux/arm64, linux/arm/v7 or the like")
    return words[0], words[1], words[2] if words[2:] else None


def generation(architecture, variant):
    """A variant as a number that can be compared: v8.1 is (8, 1). The text itself, if it is none like that."""
    text = variant or USUAL.get(architecture, "")
    match = re.fullmatch(r"v(\d{1,3})(?:\.(\d{1,3}))?", text)
    return (int(match[1]), int(match[2] or 0)) if match else text


def fits(name, wanted):
    """How well an image of a platform runs on another: None if not at all; of older processors, the newest is best."""
    have, need = generation(*name[1:]), generation(*wanted[1:])
    if name[:2] != wanted[:2] or type(have) is not type(need):
        return None
    return have if have == need or isinstance(have, tuple) and have < need else None


def choose(index, wanted, what):
    """The descriptor of an index that is for a machine. Raises ImageError, with those that there are."""
    there, best, rank = {}, None, None
    for one in of(index.get("manifests"), list, f"{what}: manifests"):
        descriptor(one, what)
        said = of(one.get("platform") or {}, dict, f"{what}: platform")
        name = tuple(of(said.get(key) or "", str, f"{what}: {key}") for key in ("os", "architecture", "variant"))
        if not said and len(index["manifests"]) == 1:
            return one
        found = fits(name, wanted)
        if found is not None and (rank is None or found > rank):
            best, rank = one, found
        there["/".join(filter(None, name))] = True
    if best:
        return best
    if not index["manifests"]:
        raise ImageError(f"{what}: names no image at all")
    names = [name for name in there if name]
    raise ImageError(f"{what}: is not for {'/'.join(filter(None, wanted))}, but for "
                     f"{', '.join(names[:20]) or 'nobody'}{' and more' * (len(names) > 20)}: --platform chooses")
