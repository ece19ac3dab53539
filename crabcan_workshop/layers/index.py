"""An image's layers, each read once: what it adds, changes and removes. All else is asked of this."""
import hashlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor

from crabcan_steps.ch12_images import META, OPAQUE, PREFIX
from crabcan_steps.images import tar
from crabcan_steps.images.errors import ImageError
from crabcan_steps.images.found import MOST_FILES
from crabcan_steps.images.stream import Stream
from crabcan_steps.images.tree import clean

from .secrets import HEAD, secrets

KINDS = {tar.REGULAR: "file", tar.LINK: "link", tar.SYMLINK: "symlink", tar.FOLDER: "directory"}


class File:
    """One version of a path: in which layer it came, and what it is."""
    __slots__ = "layer", "kind", "size", "mode", "owner", "link", "sum", "secrets"

    def __init__(self, layer, entry, sum_, secrets):
        self.layer, self.kind = layer, KINDS.get(entry.kind, "device")
        self.size = entry.size if entry.kind == tar.REGULAR else 0
        self.mode, self.owner = entry.mode, (entry.uid, entry.gid)
        self.link, self.sum, self.secrets = entry.link, sum_, secrets

    def same(self, other):
        """Tells whether two versions have the same content."""
        return (self.kind, self.sum, self.link) == (other.kind, other.sum, other.link)


class Change:
    """What a layer does to a path. what: added, changed, removed; or `mode`: only owner or mode."""
    __slots__ = "path", "what", "new", "old"

    def __init__(self, path, what, new=None, old=None):
        self.path, self.what, self.new, self.old = path, what, new, old


class Step:
    """A layer: its command, what it weighs, and its changes, {path: Change}. `read`: whether they are known yet."""

    def __init__(self, number, command, descriptor):
        self.number, self.command = number, command
        self.digest, self.stored = descriptor["digest"], descriptor["size"]
        self.size, self.changes, self.read = 0, {}, False


class Index:
    """All layers of an image, and the tree as the last one leaves it: {path: File}."""

    def __init__(self, image):
        self.name, self.image = image.what, image
        self.tree, self.below = {}, {}  # and for each directory the names in it
        self.stop = threading.Event()   # whoever looks has seen enough
        commands = [text for text, layer in image.history() if layer]
        self.steps = [Step(number, commands[number], one) for number, one in enumerate(image.layers)]

    def read(self, opened, told=lambda step: None):
        """Reads all layers, some at once: opened(digest) is a file. Calls told(step) when one is known."""
        with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
            jobs = [pool.submit(self.members, opened, step) for step in self.steps]
            try:
                for step, job in zip(self.steps, jobs):
                    self.lay(step, *job.result())
                    told(step)
            except BaseException:
                self.stop.set()
                for job in jobs:
                    job.cancel()
                raise
        return self

    def members(self, opened, step):
        """What a layer's tar has: ({path: File}, paths that are gone, directories that hide what is below)."""
        found, gone, opaque = {}, [], []
        with opened(step.digest) as file:
            stream = Stream(file, 1 << 44, step.digest, self.image.diff_ids[step.number])
            for entry in tar.entries(stream):
                path = "/".join(clean(entry.name))
                folder, _, name = path.rpartition("/")
                if name == OPAQUE:
                    opaque.append(folder)
                elif name.startswith(META) or not path:
                    continue
                elif name.startswith(PREFIX):
                    gone.append(f"{folder}/{name[len(PREFIX):]}".lstrip("/"))
                else:
                    found[path] = self.file(step, stream, entry, path)
                    if len(found) > MOST_FILES:
                        raise ImageError(f"a layer has more than {MOST_FILES} files: a bomb?")
            stream.finish(step.digest, self.image.diff_ids[step.number])
        return found, gone, opaque

    def file(self, step, stream, entry, path):
        """A member, its content hashed and looked at."""
        if entry.kind != tar.REGULAR:
            return File(step.number, entry, None, ())
        sum_, head = hashlib.blake2b(digest_size=16), b""
        for piece in tar.data(stream, entry):
            if self.stop.is_set():
                raise ImageError("stopped")
            sum_.update(piece)
            if len(head) < HEAD:
                head += bytes(piece[:HEAD])
        step.size += entry.size
        return File(step.number, entry, sum_.digest(), list(secrets(path, head)))

    def lay(self, step, found, gone, opaque):
        """A layer upon those below; whiteouts first, as they are about these."""
        for path in gone:
            self.remove(step, path)
        for folder in opaque:
            for name in list(self.below.get(folder, ())):
                self.remove(step, f"{folder}/{name}".lstrip("/"))
        for path, new in found.items():
            self.add(step, path, new)
        step.read = True

    def add(self, step, path, new):
        """A path is there, perhaps in place of another."""
        before = step.changes.get(path)
        old = self.tree.get(path) or (before.old if before else None)
        if old and old.kind == "directory" and new.kind != "directory":
            self.remove(step, path)
        if old is None or old.layer == step.number:
            what = "added"
        elif old.kind == new.kind == "directory":
            what = "mode" if (old.mode, old.owner) != (new.mode, new.owner) else None
        else:
            what = "mode" if old.same(new) else "changed"
        self.tree[path] = new
        folder, _, name = path.rpartition("/")
        while name not in self.below.setdefault(folder, {}):  # also of directories without an entry
            self.below[folder][name] = True
            folder, _, name = folder.rpartition("/")
            if not name:
                break
        if what:
            step.changes[path] = Change(path, what, new, old)
        else:  # removed and made again by one layer
            step.changes.pop(path, None)

    def remove(self, step, path):
        """A path and all below it are gone."""
        todo = [path]
        while todo:
            one = todo.pop()
            todo += [f"{one}/{name}" for name in self.below.pop(one, ())]
            if old := self.tree.pop(one, None):
                step.changes[one] = Change(one, "removed", None, old)
        folder, _, name = path.rpartition("/")
        self.below.get(folder, {}).pop(name, None)
