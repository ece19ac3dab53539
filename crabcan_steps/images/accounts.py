"""Who a container of an image runs as: names of users are looked up in the image's own files."""
import os

from .. import linux
from ..ch05_namespaces import Identity
from ..layer import LayerError, warn
from ..mounts.passwd import found
from .merged import Merged
from .overlay import FOLDER

LARGEST = 1 << 20  # bytes of /etc/passwd


class ImageIdentity(Identity):
    """Chapter 5's, with the accounts of the image's own layers."""

    def prepare(self, spec, undo):
        asked, spec.user = spec.user, None
        super().prepare(spec, undo)
        spec.user = asked
        passwd, group = (accounts(spec, name) for name in ("passwd", "group"))
        uid, gid, groups, home = found(passwd, group, *(asked or ("0", None)))
        if asked and home is None and asked[1] is None:
            gid = 0  # as Docker has it: who has no account is in root's group, whose files images make for him
        if asked:
            self.uid, self.gid, self.groups = uid, gid, groups
        spec.uid, spec.home = self.uid, home
        for number in self.uid, self.gid, *self.groups:
            if number >= spec.ids:
                raise LayerError(self.name, "uid", 22, f"--user {number}: the map has {spec.ids}")


def accounts(spec, name):
    """The text of /etc/passwd or /etc/group as the container will see it; "" without one."""
    roots = [linux.open(f"layers/{chain[7:]}/fs", FOLDER, dir_fd=spec.store.root) for chain in reversed(spec.chains)]
    merged = Merged(roots, spec.prefix)
    try:
        text = merged.read(("etc", name), LARGEST + 1)
    except OSError:  # a directory that is closed to us: root in there could read it
        warn(f"/etc/{name} of the image cannot be read from here")
        text = b""
    merged.close()
    for fd in roots:
        linux.close(fd)
    return os.fsdecode(text) if len(text) <= LARGEST else ""
