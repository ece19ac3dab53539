"""What a container changes: its directory in the store, and what becomes of it.

    containers/ID/upper, work    overlayfs' own; merged: where it is mounted, for a moment
    containers/ID/image.json     of which image

Its lock is with whoever runs it, and the kernel drops it with him: so what is left of one that was
killed is known, and taken away by the next. With --keep it stays, for `crabcan commit`.
"""
import fcntl
import json
import os
import re

from .. import linux
from ..layer import locked
from .errors import ImageError
from .mapped import inside
from .place import FOLDER
from .remove import remove
from .store import READ


class Box:
    """One container's directory, open and locked."""

    def __init__(self, store, name, folder):
        self.store, self.name, self.folder = store, name, folder
        self.kept = False

    def close(self):
        """Takes it away, unless it has a name. The lock is held to the end."""
        if not self.kept:
            inside(clear, self.store, self.name)
        linux.close(self.folder)


def valid(name):
    """A name of a container, if it can be one: it becomes that of a directory."""
    if not re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,63}", name):
        raise ImageError(f"--keep {name:.80}: letters, digits and _.- only, at most 64")
    return name


def create(store, image, users, name=None):
    """A new directory, locked; its top belongs to the container's root. Raises ImageError if there is one of this name."""
    kept, name = bool(name), valid(name) if name else f"{os.getpid()}-{os.urandom(4).hex()}"
    new = f".{name}.{os.getpid()}"  # until it is locked nobody shall take it for one that was left
    linux.mkdir(f"containers/{new}", 0o700, dir_fd=store.root)
    folder = linux.open(f"containers/{new}", FOLDER, dir_fd=store.root)
    fcntl.flock(folder, fcntl.LOCK_EX)
    box = Box(store, name, folder)
    box.kept = kept
    linux.write("image.json", json.dumps({"image": image.what, "digest": image.digest, "kept": kept}),
                os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=folder)
    for part in "upper", "work", "merged":
        linux.mkdir(part, 0o755, dir_fd=folder)
    try:
        os.rename(f"containers/{new}", f"containers/{name}", src_dir_fd=store.root, dst_dir_fd=store.root)
    except OSError:
        clear(store, new)
        raise ImageError(f"--keep {name}: there is one of this name: `crabcan commit {name} IMAGE` makes an image "
                         f"of it, `crabcan rmi {name}` takes it away") from None
    top = linux.stat(f"layers/{image.chains()[-1][7:]}/fs", dir_fd=store.root)
    upper = linux.open("upper", FOLDER, dir_fd=folder)
    linux.chmod(upper, top.st_mode & 0o7777)
    if users.root:
        linux.fchown(upper, *(users.maps[kind][0][1] for kind in ("uid", "gid")))
    linux.close(upper)
    return box


def running(store, name):
    """Tells whether somebody runs it."""
    return locked(linux.open(f"containers/{name}", FOLDER, dir_fd=store.root))


def every(store):
    """(name, what image.json says, whether it runs) of each container."""
    folder = linux.open("containers", FOLDER, dir_fd=store.root)
    for name in sorted(name for name in linux.listdir(folder) if name[0] != "."):
        try:
            runs = running(store, name)
            yield name, record(store, name), runs
        except FileNotFoundError:
            continue  # it has just ended
    linux.close(folder)


def record(store, name):
    """What image.json says; {} where whoever made it was killed before."""
    try:
        with open(os.open(f"containers/{name}/image.json", READ, dir_fd=store.root), "rb") as file:
            return json.load(file)
    except (FileNotFoundError, ValueError):
        return {}


def sweep(store):
    """Takes away what killed ones have left."""
    left = [name for name, said, runs in every(store) if not runs and not said.get("kept")]
    for name in left:
        inside(clear, store, name)
    return left


def clear(store, name):
    """In a process that may remove what the container's users have made."""
    folder = linux.open("containers", FOLDER, dir_fd=store.root)
    remove(folder, name)
    linux.close(folder)
