"""An image's layers, each read once: what it adds, changes and removes. All else is asked of this."""
import hashlib
import re

from crabcan_steps.ch12_images import META, OPAQUE, PREFIX
from crabcan_steps.images import tar
from crabcan_steps.images.stream import Stream
from crabcan_steps.images.tree import clean

HEAD = 1 << 16  # bytes of a file in which secrets are looked for
SECRETS = (  # what it is called, words without which it is none, its shape
           ("private key", (b"PRIVATE KEY",), rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"),
           ("AWS key", (b"AKIA", b"ASIA"), rb"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"), ("GitHub token", (b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_"), rb"\bgh[pousr]_[A-Za-z0-9]{36}\b"),
           ("GitLab token", (b"glpat-",), rb"\bglpat-[\w-]{20}\b"), ("Slack token", (b"xox",), rb"\bxox[abprs]-[\w-]{10,}"),
           ("Google key", (b"AIza",), rb"\bAIza[\w-]{35}\b"), ("npm token", (b"_authToken", b"npm_"), rb"_authToken\s*=\s*[\w-]{10,}|\bnpm_[A-Za-z0-9]{36}\b"),
           ("registry account", (b'"auth"',), rb'"auth"\s*:\s*"[A-Za-z0-9+/=]{8,}"'),
           ("password", None, rb"(?i)(?<![a-z])(?:password|passwd|secret|token|api_?key)\s*[=:]\s*['\"]?[^\s'\"]{8,}"))
SHAPES = [(name, words, re.compile(shape)) for name, words, shape in SECRETS]
QUIET = re.compile(r"^(?:usr/(?:share|lib|include)|lib|usr/local/lib)/")  # programs' own: only the sure shapes
KINDS = {tar.REGULAR: "file", tar.LINK: "link", tar.SYMLINK: "symlink", tar.FOLDER: "directory"}


class File:
    """One version of a path: in which layer it came, and what it is."""

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

    def __init__(self, path, what, new=None, old=None):
        self.path, self.what, self.new, self.old = path, what, new, old


class Step:
    """A layer: its command, what it weighs, and its changes, {path: Change}."""

    def __init__(self, number, command, descriptor):
        self.number, self.command = number, command
        self.digest, self.stored = descriptor["digest"], descriptor["size"]
        self.size, self.changes = 0, {}


class Index:
    """All layers of an image, and the tree as the last one leaves it: {path: File}."""

    def __init__(self, store, image):
        self.name, self.image, self.steps = image.what, image, []
        self.tree, self.below = {}, {}  # and for each directory the names in it
        commands = [text for text, layer in image.history() if layer]
        self.idle = [text for text, layer in image.history() if not layer]
        for number, one in enumerate(image.layers):
            step = Step(number, commands[number], one)
            self.steps.append(step)
            with store.open(one["digest"]) as file:
                self.read(step, Stream(file, 1 << 44), image.diff_ids[number])

    def read(self, step, stream, diff_id):
        """Collects a layer's members; whiteouts first, as they are about the layers below."""
        members, gone, opaque = {}, [], []
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
                members[path] = self.file(step, stream, entry, path)
        stream.finish(step.digest, diff_id)
        for path in gone:
            self.remove(step, path)
        for folder in opaque:
            for name in list(self.below.get(folder, ())):
                self.remove(step, f"{folder}/{name}".lstrip("/"))
        for path, new in members.items():
            self.add(step, path, new)

    def file(self, step, stream, entry, path):
        """A member, its content hashed and looked at."""
        if entry.kind != tar.REGULAR:
            return File(step.number, entry, None, ())
        sum_, head = hashlib.blake2b(digest_size=16), b""
        for piece in tar.data(stream, entry):
            sum_.update(piece)
            if len(head) < HEAD:
                head += bytes(piece[:HEAD])
        step.size += entry.size
        return File(step.number, entry, sum_.digest(), list(secrets(path, head)))

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
        self.below.setdefault(folder, {})[name] = True
        if what:
            step.changes[path] = Change(path, what, new, old)

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


def secrets(path, head):
    """What the beginning of a file looks like. Any text may have a password in it; of programs we do not ask."""
    for name, words, shape in SHAPES:
        if words is None and (b"\0" in head or QUIET.match(path)):
            continue
        if words is None or any(word in head for word in words):
            if shape.search(head):
                yield name
