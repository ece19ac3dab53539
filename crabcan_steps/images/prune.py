"""What nobody needs any more goes: blobs and layers of no image, what is left of containers that ended."""
import os

from .. import linux
from ..layer import warn
from . import container
from .errors import ImageError
from .image import Image
from .mapped import inside
from .found import named
from .place import FOLDER
from .remove import remove


def needed(store):
    """(digests, chains) that images with a name need, and containers that are there."""
    digests, chains = set(), set()
    used = {said.get("digest") for _, said, _ in container.every(store)}
    for digest in {*(one["digest"] for one in store.index()), *used} - {None}:
        try:
            image = Image(store.read(digest), digest)
            image.configure(store.read(image.target["digest"]))
        except ImageError as error:
            if digest in used:
                raise ImageError(f"nothing is removed, as it is not known what a container needs: {error}") from None
            warn(f"{error}: as good as not there, until it is pulled again")
            continue
        digests |= {digest, image.target["digest"], *(one["digest"] for one in image.layers)}
        chains |= {chain[7:] for chain in image.chains()}
    return digests, chains


def collect(store):
    """Removes all that is not needed; waits until nobody pulls. Returns the bytes of blobs that went."""
    store.alone()
    digests, chains = needed(store)
    gone = 0
    for kind in "sha256", "sha512":
        folder = linux.open(f"blobs/{kind}", FOLDER, dir_fd=store.root)
        for name in linux.listdir(folder):
            if f"{kind}:{name}" not in digests:
                gone += linux.stat(name, dir_fd=folder).st_size
                os.unlink(name, dir_fd=folder)
        linux.close(folder)
    folder = linux.open("partial", FOLDER, dir_fd=store.root)
    for name in linux.listdir(folder):
        os.unlink(name, dir_fd=folder)
    linux.close(folder)
    folder = linux.open("containers", FOLDER, dir_fd=store.root)
    for name in linux.listdir(folder):
        if name[0] == ".":  # whoever was making it was killed
            remove(folder, name)
    linux.close(folder)
    inside(layers, store, chains)
    return gone


def layers(store, kept):
    """In a process that may remove what other ids own."""
    folder = linux.open("layers", FOLDER, dir_fd=store.root)
    for name in linux.listdir(folder):
        if name not in kept:
            remove(folder, name)
    linux.close(folder)


def forget(store, text):
    """Takes a name away, of an image or of a container that was kept. Raises ImageError."""
    names = store.names()
    name = text if text in names else named(text)
    boxes = {box: (said, runs) for box, said, runs in container.every(store)}
    if name in names:
        using = [box for box, (said, runs) in boxes.items() if said.get("digest") == names[name]["digest"]]
        last = sum(one["digest"] == names[name]["digest"] for one in names.values()) == 1
        if using and last:
            raise ImageError(f"{text}: container {using[0]} is of it: end it, and `crabcan rmi {using[0]}`")
        store.name(name, None)
    elif text in boxes:
        if boxes[text][1]:
            raise ImageError(f"{text}: is a container that runs")
        inside(container.clear, store, text)
    else:
        raise ImageError(f"{text}: no such image or container here: `crabcan images` lists them")


def prune(store, all_containers=False):
    """Removes what is left of containers, with all_containers those with a name too, and then all unneeded."""
    container.sweep(store)
    if all_containers:
        for name, _, runs in list(container.every(store)):
            if not runs:
                inside(container.clear, store, name)
    return collect(store)
