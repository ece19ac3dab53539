"""Mounts whose owners are shifted (idmapped mounts, MOUNT_ATTR_IDMAP in mount_setattr(2)).

The kernel takes the shift from a user namespace: the container's own, or one made for just that.
"""
import os

from .. import linux
from ..layer import named


def shift(mount, namespace):
    """Shifts a detached mount as the maps of a user namespace say."""
    recursive = linux.AT_RECURSIVE if mount.options.idmap else 0
    named(f"{mount.name}: idmap", linux.mount_setattr, "", linux.AT_EMPTY_PATH | recursive,
          linux.MOUNT_ATTR_IDMAP, 0, namespace, mount.tree)


def namespace_of(maps, undo):
    """A descriptor of a user namespace with these maps, {"uid": lines, "gid": lines}; nobody is in it."""
    ours, theirs = os.pipe2(os.O_CLOEXEC)
    pid, pidfd = linux.clone3(linux.CLONE_NEWUSER)
    if pid == 0:
        os.close(theirs)
        os.read(ours, 1)  # until its descriptor is closed, even if by our death
        os._exit(0)
    try:
        for kind, lines in maps.items():
            linux.write(f"/proc/{pid}/{kind}_map", "".join("%d %d %d\n" % line for line in lines))
        fd = linux.open(f"/proc/{pid}/ns/user", os.O_RDONLY)
        undo.callback(linux.close, fd)
        return fd
    finally:
        os.close(theirs)
        os.close(ours)
        linux.waitid(os.P_PIDFD, pidfd, os.WEXITED)
        linux.close(pidfd)
