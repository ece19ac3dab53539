"""The layers of an image become directories, each unpacked once, upon those below it."""
import fcntl
import os

from .. import linux
from ..layer import Undo, attempt, warn
from .copying import like
from .errors import Corrupt, ImageError
from .found import Options, unpacked
from .mapped import inside, lone, prefix
from .merged import Merged
from .remove import remove
from .store import FOLDER
from .stream import Stream
from .tree import Tree
from .unpack import Unpack


def unpack_all(store, image, options=Options):
    """Makes a directory of each layer that has none yet; all of them on disk before one gets its name."""
    chains = image.chains()
    if all(unpacked(store, chain) for chain in chains):
        return
    told = inside(unpack_missing, store, image, options)
    for line in told:
        warn(line)


def unpack_missing(store, image, options):
    """In a process that may give files their owners. Returns what is to be told."""
    lock = os.open("unpacking", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600, dir_fd=store.root)
    fcntl.flock(lock, fcntl.LOCK_EX)  # two pulls that share layers make them once
    chains, made, told = image.chains(), [], []
    try:
        for at, chain in enumerate(chains):
            if not unpacked(store, chain):
                new = f".new-{chain[7:]}"
                made.append((new, chain[7:]))
                below = dict(made)
                names = {value: key for key, value in below.items()}
                lower = [names.get(one[7:], one[7:]) for one in reversed(chains[:at])]
                told += unpack(store, image, at, new, lower, options)
        for new, name in made:
            synced = linux.open(f"layers/{new}", FOLDER, dir_fd=store.root)
            if new == made[0][0]:
                linux.libc_call("syncfs", synced)
            linux.close(synced)
            os.rename(f"layers/{new}", f"layers/{name}", src_dir_fd=store.root, dst_dir_fd=store.root)
        os.fsync(store.root)
    except BaseException:
        layers = linux.open("layers", FOLDER, dir_fd=store.root)
        for new, _ in made:
            attempt(remove, layers, new)
        linux.close(layers)
        raise
    finally:
        linux.close(lock)
    return told


def unpack(store, image, at, name, lower, options):
    """One layer, upon those below it. Returns what is to be told."""
    with Undo() as undo:
        def opened(path, folder):
            fd = linux.open(path, FOLDER, dir_fd=folder)
            undo.callback(linux.close, fd)
            return fd
        layers = opened("layers", store.root)
        remove(layers, name)  # left by somebody who was killed
        linux.mkdir(name, 0o700, dir_fd=layers)
        linux.mkdir(f"{name}/fs", 0o755, dir_fd=layers)
        roots = [opened(f"{one}/fs", layers) for one in lower]
        root, merged = opened(f"{name}/fs", layers), Merged(roots, prefix())
        undo.callback(merged.close)
        if roots:
            like(root, roots[0])
        work = Unpack(Tree(root, merged), prefix(), options.max_files, rich=not lone(),
                      squash=options.squash or lone() == "alone")
        undo.callback(work.tree.forget)
        filled(store, image.layers[at], image.diff_ids[at], work, options)
    short = image.layers[at]["digest"][7:19]
    if work.left_out:
        yield f"{short}: {work.left_out} devices or extended attributes could not be made, and were left out"
    if work.beyond and not lone():
        yield f"{short}: {work.beyond}, and a container has ids up to 65535: more in root's line of /etc/subuid and /etc/subgid"
    if work.squashed:
        yield f"{short}: {work.squashed} files are root's here, as your ids do not go so far"


def filled(store, one, diff_id, work, options):
    """Unpacks a blob, and compares both its digests. Raises ImageError; Corrupt, if the blob has changed."""
    with store.open(one["digest"]) as file:
        stream = Stream(file, options.max_size)
        try:
            work.all(stream)
            stream.finish(one["digest"], diff_id)
        except ImageError:
            if store.intact(one["digest"]):
                raise
            store.remove(one["digest"])
            raise Corrupt(one["digest"], "another by now (pull it again)", store.path) from None
        finally:
            stream.pieces.close()
