"""An image's configuration becomes a Spec, by the rules of image-spec's conversion.md.

What the user says counts more than what the image says; a command replaces Cmd, and stands behind
Entrypoint. Nothing of the image reaches the host: names of users are looked up in its own files.
"""
import os

from ..ch05_namespaces import Identity
from ..layer import LayerError, warn
from ..mounts.passwd import found
from .errors import ImageError
from .merged import Merged
from .overlay import FOLDER

LARGEST = 1 << 20  # bytes of /etc/passwd
FILES = 1024       # open files, where a bare container has 64: servers count on some


def configure(spec, image):
    """Fills in what the user has not said."""
    settings, asked = image.settings, vars(spec)
    entrypoint = [spec.entrypoint] if spec.entrypoint else settings.get("Entrypoint") or []
    command = list(spec.command) or ([] if spec.entrypoint else settings.get("Cmd") or [])
    spec.command = tuple(entrypoint + command)
    if not spec.command:
        raise ImageError(f"{image.what}: says no command, so say one: crabcan run --image {image.what} -- /bin/sh")
    if any("\0" in word for word in spec.command):
        raise ImageError(f"{image.what}: its command contains NUL")
    own = [word.partition("=")[::2] for word in settings.get("Env") or []]
    spec.env = [*((name, value) for name, value in own if name and "\0" not in name + value), *spec.env]
    if "workdir" not in asked:
        spec.workdir = inner(settings.get("WorkingDir") or "/")
    if spec.user is None and "uid" not in asked and settings.get("User"):
        name, _, group = settings["User"].partition(":")
        if (name, group) not in (("0", ""), ("root", "")):
            spec.user = (name or "0", group or None)
    spec.caps = asked.get("caps", "docker")
    spec.nofile = asked.get("nofile", FILES)
    spec.stop_signal = settings.get("StopSignal")
    spec.volumes = [inner(path) for path in settings.get("Volumes") or {}]


def inner(path):
    """A path within the root, absolute and without "..", whatever the image says."""
    return os.path.normpath("/" + path.replace("\0", "").lstrip("/"))


class ImageIdentity(Identity):
    """Chapter 5's, with the accounts of the image's own layers."""

    def prepare(self, spec, undo):
        asked, spec.user = spec.user, None
        super().prepare(spec, undo)
        spec.user = asked
        passwd, group = (accounts(spec, name) for name in ("passwd", "group"))
        uid, gid, groups, home = found(passwd, group, *(asked or ("0", None)))
        if asked:
            self.uid, self.gid, self.groups = uid, gid, groups
        spec.uid, spec.home = self.uid, home
        for number in self.uid, self.gid, *self.groups:
            if number >= spec.ids:
                raise LayerError(self.name, "uid", 22, f"--user {number}: the map has {spec.ids}")


def accounts(spec, name):
    """The text of /etc/passwd or /etc/group as the container will see it; "" without one."""
    roots = [os.open(f"layers/{chain[7:]}/fs", FOLDER, dir_fd=spec.store.root) for chain in reversed(spec.chains)]
    merged = Merged(roots, spec.prefix)
    try:
        text = merged.read(("etc", name), LARGEST + 1)
    except OSError:  # a directory that is closed to us: root in there could read it
        warn(f"/etc/{name} of the image cannot be read from here")
        text = b""
    merged.close()
    for fd in roots:
        os.close(fd)
    return os.fsdecode(text) if len(text) <= LARGEST else ""
