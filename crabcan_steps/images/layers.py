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
from .place import FOLDER
from .remove import remove
from .stream import Stream
from .transfer import same
from .tree import Tree
from .unpack import Unpack


def unpack_all(store, image, options=Options):
    """Makes a directory of each layer that has none yet."""
    if not complete(store, image):
        for line in inside(unpack_missing, store, image, options):
            warn(line)


def complete(store, image):
    """Tells whether all layers are unpacked."""
    return all(unpacked(store, chain) for chain in image.chains())


def unpack_missing(store, image, options, wait=lambda digest: None):
    """In a process that may give files their owners; all are on disk before one gets its name. Returns what is to be told."""
    mask = os.umask(0)
    chains, made, told = image.chains(), {}, []  # chain: the directory, locked
    try:
        for at, chain in enumerate(chains):
            if chain not in made and not unpacked(store, chain):
                wait(image.layers[at]["digest"])
                if (folder := claimed(store, chain)) is not None:
                    made[chain] = folder
                    lower = [(".new-" if one in made else "") + one[7:] for one in reversed(chains[:at])]
                    told += unpack(store, image, at, folder, lower, options)
        for at, (chain, folder) in enumerate(made.items()):
            if at == 0:
                linux.libc_call("syncfs", folder)
            os.rename(f"layers/.new-{chain[7:]}", f"layers/{chain[7:]}", src_dir_fd=store.root, dst_dir_fd=store.root)
        os.fsync(store.root)
    except BaseException:
        layers = linux.open("layers", FOLDER, dir_fd=store.root)
        for chain in made:
            attempt(remove, layers, f".new-{chain[7:]}")
        linux.close(layers)
        raise
    finally:
        os.umask(mask)
        for folder in made.values():
            linux.close(folder)
    return told


def claimed(store, chain):
    """An empty directory for a layer, locked; None if another pull has made the layer while we waited for its lock."""
    name = f"layers/.new-{chain[7:]}"
    while not unpacked(store, chain):
        store.folder(name)
        try:
            folder = linux.open(name, FOLDER, dir_fd=store.root)
        except FileNotFoundError:
            continue
        fcntl.flock(folder, fcntl.LOCK_EX)
        if same(store, name, folder):
            remove(folder, "fs")  # left by somebody who was killed
            return folder
        linux.close(folder)
    return None


def unpack(store, image, at, folder, lower, options):
    """One layer, upon those below it. Returns what is to be told."""
    with Undo() as undo:
        def opened(path, folder):
            fd = linux.open(path, FOLDER, dir_fd=folder)
            undo.callback(linux.close, fd)
            return fd
        linux.mkdir("fs", 0o755, dir_fd=folder)
        roots = [opened(f"layers/{one}/fs", store.root) for one in lower]
        root, merged = opened("fs", folder), Merged(roots, prefix())
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
