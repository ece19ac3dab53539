"""An image comes into the store, and its layers become directories."""
import os

from .. import linux
from ..layer import Undo, attempt, warn
from .errors import Corrupt, ImageError
from .image import Image, choose, is_index, machine, parsed
from .mapped import inside, lone
from .merged import Merged
from .progress import Progress
from .reference import Reference
from .remove import remove
from .store import FOLDER
from .stream import Stream
from .transfer import bring
from .tree import Tree, like
from .unpack import Unpack

MOST_BYTES, MOST_FILES = 16 << 30, 2_000_000  # of one layer, unless --max-size and --max-files say


class Options:
    """What the commands may change of a pull."""
    platform, insecure, quiet, squash = None, False, False, False
    max_size, max_files = MOST_BYTES, MOST_FILES


def source_of(reference, options):
    """Where an image comes from: files, or a registry."""
    if reference.file is not None:
        from .files import source_of as files
        return files(reference)
    from .registry import Registry
    return Registry(reference, options.insecure)


def pull(store, text, options=Options, name=None):
    """Brings an image into the store, all of it checked, under its name. Returns the Image."""
    reference = Reference(text)
    store.share()
    source = source_of(reference, options)
    try:
        data, kind = source.first(reference)
        if reference.digest:
            equal(data, reference.digest, text)
        for _ in range(4):  # an index may point at another
            document = parsed(data, text)
            if not is_index(document, kind):
                break
            chosen = choose(document, machine(options.platform), text)
            data, kind = source.document(chosen)
            equal(data, chosen["digest"], text)
        image = Image(data, text)
        progress = Progress(options.quiet)
        for attempt_ in range(2):
            try:
                bring(store, source, [image.target, *image.layers], progress)
                image.configure(store.read(image.target["digest"]))
                break
            except Corrupt as error:  # just thrown away: once more, and no more
                if attempt_:
                    raise
                warn(f"{error}: fetched again")
    finally:
        source.close()
    store.put(data)
    unpack_all(store, image, options)
    store.name(name or str(reference), {"mediaType": image.kind, "digest": image.digest, "size": image.size})
    return image


def equal(data, digest, what):
    """Refuses a document that is not what its digest says. Raises Corrupt."""
    import hashlib
    kind, _, wanted = digest.partition(":")
    found = hashlib.new(kind, data).hexdigest()
    if found != wanted:
        raise Corrupt(digest, f"{kind}:{found}", what)


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


def unpack_all(store, image, options=Options):
    """Makes a directory of each layer that has none yet; all of them on disk before one gets its name."""
    chains = image.chains()
    if all(unpacked(store, chain) for chain in chains):
        return
    told = inside(unpack_missing, store, image, options)
    for line in told:
        warn(line)


def unpacked(store, chain):
    """Tells whether a layer is there as a directory."""
    try:
        linux.stat(f"layers/{chain[7:]}", dir_fd=store.root)
        return True
    except FileNotFoundError:
        return False


def unpack_missing(store, image, options):
    """In a process that may give files their owners. Returns what is to be told."""
    import fcntl
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


def prefix():
    """What overlayfs' own attributes begin with: in a user namespace they are the user's."""
    return "user.overlay." if lone() else "trusted.overlay."
