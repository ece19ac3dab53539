"""Where images are kept: each blob under its own hash, so that it can be checked at any time.

    oci-layout, index.json     which names there are: the store is itself an OCI image layout
    blobs/sha256/HEX           manifests, configurations and layers, as they came
    partial/sha256-HEX         what is still coming; its lock (flock(2)) is with whoever fetches it
    layers/CHAIN/fs            a layer unpacked upon those below it, for overlayfs
    containers/ID              what a container changes; locked while it runs

Nothing stands under its final name before it is whole and on disk.
"""
import fcntl
import hashlib
import json
import os
import re

from .. import linux
from ..ch12_images import verified
from .errors import ImageError
from .place import default_root, opened, ours
from .reference import DIGEST

READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
PIECE = 1 << 18  # bytes at a time
NAME = "org.opencontainers.image.ref.name"


def checked(digest):
    """A digest, if it is one: it becomes a path. Raises ImageError."""
    if not isinstance(digest, str) or not re.fullmatch(DIGEST, digest):
        raise ImageError(f"{digest!r:.100} is no digest (sha256: and 64 hexadecimal digits)")
    return digest


class Store:
    """The store, open: everything in it is named below a descriptor."""

    def __init__(self, root=None, plain=False):
        """plain: only a layout, such as `crabcan save` writes."""
        self.path = root or default_root()
        self.root = opened(self.path, *[""] * plain)
        status = linux.fstat(self.root)
        if plain:
            for name in "blobs", "blobs/sha256", "partial":
                self.folder(name, 0o755)
            return
        ours(self.path, status)
        if status.st_mode & 0o077:  # set-user-ID files are in there
            linux.chmod(self.root, 0o700)
        for name in "blobs", "blobs/sha256", "blobs/sha512", "partial", "layers", "containers":
            self.folder(name)
        self.lock = linux.open("lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600, dir_fd=self.root)

    def close(self):
        """Lets go of it, and of the lock."""
        for fd in (self.root, self.lock):
            linux.close(fd)

    def folder(self, name, mode=0o700):
        """Makes a directory, if it is not there."""
        try:
            linux.mkdir(name, mode, dir_fd=self.root)
        except FileExistsError:
            pass

    def share(self):
        """Keeps `prune` and `rmi` away until this process ends: what is just coming has no name yet."""
        fcntl.flock(self.lock, fcntl.LOCK_SH)

    def unshare(self):
        """Lets them in again: what we use is written down by now."""
        fcntl.flock(self.lock, fcntl.LOCK_UN)

    def alone(self):
        """Waits until nobody pulls or starts, and lets nobody begin."""
        fcntl.flock(self.lock, fcntl.LOCK_EX)

    # Blobs.

    def has(self, digest):
        """The size of a blob, or None if it is not there."""
        try:
            return linux.stat(where(digest), dir_fd=self.root).st_size
        except FileNotFoundError:
            return None

    def open(self, digest):
        """A blob as a file. Whoever reads it to its end has to compare."""
        try:
            return open(os.open(where(digest), READ, dir_fd=self.root), "rb")
        except FileNotFoundError:
            raise ImageError(f"{digest}: is not in the store: pull the image again") from None

    def read(self, digest):
        """The bytes of a small blob, which are what the digest says. Raises Corrupt."""
        with self.open(digest) as file:
            return verified(file, digest, f"{self.path}/{where(digest)}")

    def intact(self, digest):
        """Tells whether a blob is there and is what it is called."""
        if self.has(digest) is None:
            return False
        sum_ = hashlib.new(digest.partition(":")[0])
        with self.open(digest) as file:
            while piece := file.read(PIECE):
                sum_.update(piece)
        return sum_.hexdigest() == digest.partition(":")[2]

    def remove(self, digest):
        """Takes a blob away, if it is there."""
        try:
            os.unlink(where(digest), dir_fd=self.root)
        except FileNotFoundError:
            pass

    # Names.

    def index(self):
        """What index.json says: a list of descriptors."""
        try:
            with open(os.open("index.json", READ, dir_fd=self.root), "rb") as file:
                return json.load(file)["manifests"]
        except FileNotFoundError:
            return []
        except (ValueError, KeyError, TypeError):
            raise ImageError(f"{self.path}/index.json: cannot be read: move it away, and pull again") from None

    def names(self):
        """{name: descriptor of its manifest}."""
        return {one.get("annotations", {}).get(NAME, one["digest"]): one for one in self.index()}

    def name(self, name, descriptor):
        """Gives a manifest a name, or with None takes the name away."""
        lock = os.open("names", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600, dir_fd=self.root)
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            kept = [one for one in self.index() if one.get("annotations", {}).get(NAME) != name]
            if descriptor:
                kept.append({**descriptor, "annotations": {NAME: name}})
            self.replace("oci-layout", b'{"imageLayoutVersion": "1.0.0"}\n')
            text = json.dumps({"schemaVersion": 2, "manifests": kept}, indent=1)
            self.replace("index.json", text.encode() + b"\n")
        finally:
            linux.close(lock)

    def replace(self, name, data):
        """Writes a file of the store's: whole, or not at all."""
        new = f".{name}.{os.getpid()}"
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600,
                          dir_fd=self.root), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.rename(new, name, src_dir_fd=self.root, dst_dir_fd=self.root)
        os.fsync(self.root)


def where(digest):
    """A blob's path in the store."""
    return "blobs/" + checked(digest).replace(":", "/")

