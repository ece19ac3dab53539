"""The layers, one above the other, and on top what the container writes: overlayfs.

For root the layers are shown with shifted owners (idmapped mounts, Linux 5.19), so no copy is made for
another map of ids. An ordinary user mounts in his own user namespace, where overlayfs keeps its signs
in "user." attributes (userxattr, Linux 5.11).
"""
import os

import _socket

from .. import linux
from ..layer import named
from .place import again

PLAIN = "index=off,metacopy=off,redirect_dir=off"
LOCKED = linux.MOUNT_ATTR_NOSUID | linux.MOUNT_ATTR_NODEV  # the same bits as MS_NOSUID, MS_NODEV
VOLATILE = ",volatile"  # what is thrown away at the end need not reach the disk first (Linux 5.10)
COPY = linux.OPEN_TREE_CLONE | linux.AT_EMPTY_PATH
socketpair = linux.system_call(_socket.socketpair)  # with ends that can pass a descriptor on
FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def overlay(layers, container, settings):
    """Mounts the overlay over container/merged, in our own mount namespace; returns a detached copy.

    layers: descriptors, the topmost first; container: that of the directory with upper, work, merged."""
    upper, work, merged = (linux.open(name, FOLDER, dir_fd=container) for name in ("upper", "work", "merged"))
    lower = ":".join(f"/proc/self/fd/{fd}" for fd in layers)
    linux.mount("overlay", f"/proc/self/fd/{merged}", "overlay", LOCKED,
                f"lowerdir={lower},upperdir=/proc/self/fd/{upper},workdir=/proc/self/fd/{work},{settings}")
    linux.close(merged)
    merged = linux.open("merged", FOLDER, dir_fd=container)  # now what is mounted there
    copy = linux.open_tree("", linux.OPEN_TREE_CLONE | linux.AT_EMPTY_PATH, dir_fd=merged)
    for fd in (upper, work, merged):
        linux.close(fd)
    return copy


def own(store, chains, name, kept):
    """For an ordinary user: in the container's namespaces, as its root."""
    store = again(store)  # below is to be of this mount namespace
    layers = [linux.open(f"layers/{chain[7:]}/fs", FOLDER, dir_fd=store) for chain in chains]
    container = linux.open(f"containers/{name}", FOLDER, dir_fd=store)
    try:
        return overlay(layers, container, "userxattr" + ("" if kept else VOLATILE))
    finally:
        for fd in (*layers, container, store):
            linux.close(fd)


def shifted(store, chains, name, maps, kept):
    """For root: made by a child in a mount namespace of its own, which sends it. Raises OSError."""
    users = namespace(maps)
    ours, theirs = socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid == 0:
        mounted(store, chains, name, users, theirs, kept)
    linux.close(users)
    linux.close(theirs.detach())
    text, made = recvmsg(ours, mount="overlay", attributes=LOCKED, cloexec=False)
    linux.close(ours.detach())
    os.waitpid(pid, 0)
    if made is None:
        number, _, call = text.partition(b" ")
        error = OSError(int(number or 5), os.strerror(int(number or 5)), "overlay")
        error.call = call.decode() or "died"
        raise error
    return made


@linux.system_call
def recvmsg(socket, **about):
    """(text, descriptor or None) that come through a socket (SCM_RIGHTS in unix(7)).

    about: what the descriptor is, for who reads a recording; the helper's own calls are in none."""
    text, data, _, _ = socket.recvmsg(4096, _socket.CMSG_SPACE(4))
    return text, int.from_bytes(data[0][2][:4], "little") if data else None


def mounted(store, chains, name, users, socket, kept):
    """The child's whole life: only here are the shifted layers attached anywhere."""
    try:
        linux.observer = None  # not the container's birth
        linux.prctl(linux.PR_SET_PDEATHSIG, linux.SIGKILL)
        linux.unshare(linux.CLONE_NEWNS)
        linux.mount_setattr("/", linux.AT_RECURSIVE, propagation=linux.MS_PRIVATE)
        store = again(store)
        layers = [shift(store, f"layers/{chain[7:]}/fs", users) for chain in chains]
        copy = overlay(layers, linux.open(f"containers/{name}", FOLDER, dir_fd=store), PLAIN + ("" if kept else VOLATILE))
        socket.sendmsg([b"0"], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, copy.to_bytes(4, "little"))])
    except OSError as error:
        socket.send(f"{error.errno} {getattr(error, 'call', '')}".encode())
    finally:
        os._exit(0)


def shift(store, path, users):
    """A layer over itself, its owners shifted; only this namespace sees it so."""
    held = linux.open(path, FOLDER, dir_fd=store)
    tree = linux.open_tree("", COPY, dir_fd=held)
    linux.mount_setattr("", linux.AT_EMPTY_PATH, linux.MOUNT_ATTR_IDMAP, userns_fd=users, dir_fd=tree)
    linux.move_mount(tree, held)
    return tree


def namespace(maps):
    """A user namespace with these maps, as a descriptor; nobody lives in it."""
    mine, other = linux.socketpair(linux.AF_UNIX, linux.SOCK_SEQPACKET)
    pid = os.fork()
    if pid == 0:
        try:
            mine.close()
            linux.observer = None
            linux.prctl(linux.PR_SET_PDEATHSIG, linux.SIGKILL)
            linux.unshare(linux.CLONE_NEWUSER)
            other.write(b"ready")
            other.read(9)
        finally:
            os._exit(0)
    linux.close(other)
    try:
        if mine.read(9) != b"ready":
            raise OSError(1, os.strerror(1), "user namespace")
        for kind, lines in maps.items():
            linux.write(f"/proc/{pid}/{kind}_map", "".join("%d %d %d\n" % line for line in lines))
        return named("user namespace", linux.open, f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        linux.close(mine)
        os.waitpid(pid, 0)
