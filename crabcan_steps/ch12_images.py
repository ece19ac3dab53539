"""Chapter 12: images. Two JSON documents and some tar files, each found by its hash.

    a name  -->  index.json  -->  manifest  -->  configuration    what to run, and in which order layers lie
                                            -->  layer, layer ... tars, to be unpacked one upon the other

A layer only adds. What it takes away of those below it, it says by whiteouts. Unpacked, each is a
directory that many containers share; overlayfs shows them as one (images/mounted.py).
"""
import errno
import hashlib
import os
import stat

from . import linux
from .images.errors import Corrupt, ImageError
from .images.merged import OPEN

PREFIX, OPAQUE, META = ".wh.", ".wh..wh..opq", ".wh..wh."
LARGEST = 4 << 20  # bytes of a manifest, as the distribution specification has it
FILES = 1024       # open files, where a bare container has 64: servers count on some


def verified(file, digest, place):
    """The bytes of a document, which are what its digest says. Raises Corrupt."""
    data = file.read(LARGEST + 1)
    kind, _, wanted = digest.partition(":")
    found = hashlib.new(kind, data).hexdigest()
    if len(data) > LARGEST or found != wanted:
        raise Corrupt(digest, f"{kind}:{found}", place)
    return data


def compare(stored, unpacked, layer, diff_id):
    """Both hashes of a layer: of the blob as it is stored, and of the tar in it. Raises Corrupt, ImageError."""
    if stored != layer:
        raise Corrupt(layer, stored, "the store")
    if unpacked != diff_id:
        raise ImageError(f"layer {layer}: its content is {unpacked}, and the image's configuration says "
                         f"{diff_id}: whoever made the image has mixed them up")


def chains(diff_ids):
    """The name of each layer together with those below it (image-spec, config.md: ChainID)."""
    names = []
    for diff_id in diff_ids:
        both = f"{names[-1]} {diff_id}".encode() if names else None
        names.append("sha256:" + hashlib.sha256(both).hexdigest() if both else diff_id)
    return names


def step(folder, name):
    """One name further on a path, and never through a link: a descriptor, or the link's text.

    None where a file stands; raises FileNotFoundError where nothing does."""
    try:
        return linux.open(name, OPEN, dir_fd=folder)
    except OSError as error:
        if error.errno not in (errno.ENOTDIR, errno.ELOOP):
            raise
    if stat.S_ISLNK(linux.lstat(name, dir_fd=folder).st_mode):
        return linux.readlink(name, dir_fd=folder)
    return None


class Whiteouts:
    """What a layer takes away of those below: .wh.NAME, and .wh..wh..opq for all of a directory.

    They say nothing about their own layer (image-spec, layer.md), wherever in the tar they stand: so
    they are collected, and applied when all else is there. overlayfs has signs of its own for both."""

    def __init__(self, tree, prefix):
        self.tree, self.attribute = tree, prefix + "opaque"
        self.gone, self.opaque = {}, {}  # dicts, as they keep their order

    def note(self, parts):
        """Notes a member that is a whiteout; tells whether it is one. Raises ImageError."""
        name = parts[-1]
        if not name.startswith(PREFIX):
            return False
        if name == OPAQUE:
            self.opaque[parts[:-1]] = True
        elif not name.startswith(META):  # others of these are aufs' own
            hidden = name.removeprefix(PREFIX)
            if hidden in ("", ".", ".."):
                raise ImageError(f"/{'/'.join(parts)}: a whiteout of nothing that has a name")
            self.gone[(*parts[:-1], hidden)] = True
            self.tree.hidden.add((*parts[:-1], hidden))
        return True

    def apply(self):
        """Leaves the signs that hide what is below."""
        for path in self.gone:
            self.hide(*self.tree.place(path))
        for path in self.opaque:
            if path:
                self.cover(*self.tree.place(path))
            elif self.tree.lower.roots:
                sign(os.setxattr, self.tree.root, self.attribute, b"y")

    def hide(self, folder, path):
        """One name is gone. Where this layer has it anew, as a directory, only what was in it."""
        status = self.tree.status(folder, path[-1])
        if not self.tree.lower.find(path):
            return  # there is nothing to hide
        if status is None:
            sign(os.mknod, path[-1], stat.S_IFCHR, 0, dir_fd=folder)
        elif stat.S_ISDIR(status.st_mode):
            self.tree.mark(folder, path, self.attribute, plain=True)

    def cover(self, folder, path):
        """A directory shows nothing of those below. A link of that name below is hidden, not followed."""
        status, below = self.tree.status(folder, path[-1]), self.tree.lower.find(path)
        if status is None and below:
            linux.mkdir(path[-1], 0o755, dir_fd=folder)
            self.tree.implied[path] = None
        if below and (status is None or stat.S_ISDIR(status.st_mode)):
            self.tree.mark(folder, path, self.attribute)


def sign(call, *args, **options):
    """Makes one of overlayfs' signs. Raises ImageError where the file system has no place for it."""
    try:
        call(*args, **options)
    except OSError as error:
        raise ImageError(f"the file system of the store takes no whiteouts ({error.strerror}: is it an overlay, or "
                         "without extended attributes?): CRABCAN_STORE=DIR on another") from None


def configure(spec, image):
    """The image's configuration becomes a Spec (conversion.md). What the user says counts more."""
    settings, asked = image.settings, vars(spec)
    entrypoint = [spec.entrypoint] if spec.entrypoint else settings.get("Entrypoint") or []
    command = list(spec.command) or ([] if spec.entrypoint else settings.get("Cmd") or [])
    spec.command = tuple(entrypoint + command)
    if not spec.command or not spec.command[0] or any("\0" in word for word in spec.command):
        raise ImageError(f"{image.what}: says no command, so say one: crabcan run --image {image.what} -- /bin/sh")
    own = [word.partition("=")[::2] for word in settings.get("Env") or []]
    spec.env = [*((name, value) for name, value in own if name and "\0" not in name + value), *spec.env]
    if "workdir" not in asked:
        spec.workdir = inner(settings.get("WorkingDir") or "/")
    if spec.user is None and "uid" not in asked and settings.get("User") not in (None, "", "0", "root"):
        name, _, group = settings["User"].partition(":")
        spec.user = (name or "0", group or None)
    spec.caps, spec.nofile = asked.get("caps", "docker"), asked.get("nofile", FILES)
    spec.stop_signal = settings.get("StopSignal")
    spec.volumes = [inner(path) for path in settings.get("Volumes") or {}]


def inner(path):
    """A path within the root, absolute and without "..", whatever the image says."""
    return os.path.normpath("/" + path.replace("\0", "").lstrip("/"))
