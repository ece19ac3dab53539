"""Blobs on their way into the store: hashed while they stream, on disk before they have their name."""
import fcntl
import hashlib
import os
import threading

from .. import linux
from .errors import Corrupt, ImageError
from .store import PIECE, where

AT_ONCE = 4        # layers that are fetched at the same time
ROOM = 64 << 20    # bytes that stay free, whatever comes
UNPACKED = 3       # times its size that a compressed layer needs, as a rule


def take(store, digest, size, fetch, told=lambda count: None):
    """Brings a blob into the store. fetch(at) returns (at, pieces): what comes from this byte on,
    or from an earlier one, if the other side cannot begin in its middle.

    Raises Corrupt if it is not what the digest says, having thrown away what came."""
    name = f"partial/{digest.replace(':', '-')}"
    while store.has(digest) is None:
        where(digest)  # no digest, no file
        fd = os.open(name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=store.root)
        with open(fd, "r+b") as file:
            fcntl.flock(fd, fcntl.LOCK_EX)  # waits for another pull of the same
            if not same(store, name, fd):
                continue  # which has brought it, or given up
            receive(file, digest, size, fetch, told)
            file.flush()
            os.fsync(fd)
            os.rename(name, where(digest), src_dir_fd=store.root, dst_dir_fd=store.root)
            synced = linux.open(os.path.dirname(where(digest)), os.O_RDONLY, dir_fd=store.root)
            os.fsync(synced)
            linux.close(synced)


def put(store, data):
    """Keeps bytes; returns their digest."""
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    take(store, digest, len(data), lambda at: (at, iter([data[at:]])))
    return digest


def same(store, name, fd):
    """Tells whether a name still leads to the file that we have locked."""
    try:
        return os.path.samestat(linux.stat(name, dir_fd=store.root), linux.fstat(fd))
    except FileNotFoundError:
        return False


def receive(file, digest, size, fetch, told):
    """Appends to what came before. What is too much, or wrong, is not kept."""
    kind, _, wanted = digest.partition(":")
    begin = os.fstat(file.fileno()).st_size
    begin, pieces = fetch(begin if size is None or begin <= size else 0)
    file.truncate(begin)
    file.seek(0)
    sum_, count = hashlib.new(kind), 0
    while piece := file.read(PIECE):
        sum_.update(piece)
        count += len(piece)
    told(count)
    for piece in pieces:
        count += len(piece)
        if size is not None and count > size:
            file.truncate(0)
            raise ImageError(f"{digest}: is longer than the {size} bytes that were announced")
        sum_.update(piece)
        file.write(piece)
        told(len(piece))
    if size is not None and count < size:
        raise ConnectionError(f"{digest}: ended after {count} of {size} bytes")
    if sum_.hexdigest() != wanted:
        file.truncate(0)
        raise Corrupt(digest, f"{kind}:{sum_.hexdigest()}", "what came is another")


def room(store, descriptors):
    """Tells before anything is damaged that the disk is too small. Raises ImageError."""
    wanted = sum(one.get("size", 0) for one in descriptors)
    free = os.fstatvfs(store.root)
    if free.f_blocks and free.f_bavail * free.f_frsize < wanted * (1 + UNPACKED) + ROOM:
        raise ImageError(f"{store.path}: {free.f_bavail * free.f_frsize >> 20} MiB are free, and this image "
                         f"wants about {wanted * (1 + UNPACKED) + ROOM >> 20}: `crabcan prune`, or "
                         "CRABCAN_STORE=DIR on a larger disk")
    if free.f_files and free.f_favail < 1000:
        raise ImageError(f"{store.path}: its file system has only {free.f_favail} inodes left (df -i)")


def bring(store, source, descriptors, progress, came):
    """Fetches what is missing, several at once, and calls came(digest) for each. The first error ends them all."""
    missing = {}
    for one in descriptors:
        if store.intact(one["digest"]):
            came(one["digest"])
        else:
            missing[one["digest"]] = one
    for digest in missing:
        store.remove(digest)  # or it is there, and wrong
    room(store, missing.values())
    progress.begin(missing.values())
    from concurrent.futures import ThreadPoolExecutor  # only now: 15 ms
    stop = threading.Event()

    def one(descriptor):
        def told(count):
            if stop.is_set():
                raise ImageError("another layer has failed")
            progress.add(descriptor["digest"], count)
        try:
            source.into(store, descriptor, told)
            progress.done(descriptor["digest"])
            came(descriptor["digest"])
        except BaseException:
            stop.set()
            raise

    with ThreadPoolExecutor(AT_ONCE) as pool:
        waiting = [pool.submit(one, descriptor) for descriptor in missing.values()]
        try:
            errors = [error for error in (job.exception() for job in waiting) if error]
        except BaseException:  # Ctrl-C
            stop.set()
            raise
    progress.end()
    for error in sorted(errors, key=lambda error: str(error) == "another layer has failed"):
        raise error
