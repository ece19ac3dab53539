"""The root of a bundle: its directory, with `mounts` in it, devices, and what is masked.

Unlike in chapter 4, places that are missing are made in the directory itself: the specification
wants that.
"""
import errno
import os

from .. import linux
from ..layer import Layer, LayerError, Stage, named, warn
from ..mounts.root import NO_LINKS, WINDOWS
from . import ids
from .covers import Hidden, ReadOnly
from .devices import Node, defaults, links
from .mountoptions import PROPAGATION, RDONLY
from .mounts import CLONED, Mount
from .namespaces import lines
from .root import BundleRoot


class Tree(Layer):
    """Chapter 4 for a bundle: a mount namespace, and pivot_root(2) into `root.path`."""
    chapter, name, stage = 10, "mounts", Stage.FILESYSTEM
    cures = {("move_mount", errno.EINVAL): "a file goes on a file only, a directory on a directory",
             ("pivot_root", errno.EINVAL): "is the machine's root an initial ramdisk? Try --no-pivot"}

    def prepare(self, spec, undo):
        self.spec = spec
        self.shared = "mount" not in spec.spaces or bool(spec.spaces["mount"])  # others live there, too
        root = spec.config["root"]
        self.path = os.path.realpath(os.path.join(spec.bundle, root["path"]))
        self.read_only = bool(root.get("readonly"))
        self.mounts = [mount_of(entry, spec) for entry in spec.config.get("mounts") or ()]
        # The machine's own /dev, bound, is let be as it is.
        self.furnish = not any(m.target == "/dev" and m.kind == "bind" for m in self.mounts)
        self.nodes = {node.target: node for node in defaults()}
        self.nodes |= {node.target: node for node in map(Node.of, spec.linux.get("devices") or ())}
        self.nodes = list(self.nodes.values()) if self.furnish else []
        self.plain = "user" in spec.spaces  # then the kernel lets nobody make devices
        self.covers = [Hidden(path) for path in spec.linux.get("maskedPaths") or ()]
        self.covers += [ReadOnly(path) for path in spec.linux.get("readonlyPaths") or ()]
        self.propagation = spec.linux.get("rootfsPropagation") or "rprivate"
        self.tree, self.held = None, False
        self.shifted = [mount for mount in self.mounts if mount.options.idmap is not None]
        if "mount" not in spec.spaces:  # it stays the machine's until `delete`, which must know it
            self.open(undo)
            spec.state["mounted"] = [self.path, *linux.mount_ids(self.tree)]
            undo.callback(unmount, *spec.state["mounted"])
        if os.geteuid() == 0 and self.plain:  # in there its root may not open what is the machine's
            self.hold(undo)
        self.shift(undo)

    def shift(self, undo):
        """Those with maps of their own; the container's own maps are known only when it is there."""
        for mount in self.shifted:
            if mount.kind != "bind":
                raise LayerError(self.name, "mount_setattr", errno.ENOTSUP, f"{mount.name}: only a bind "
                                 "can be shifted")
            if not mount.maps["uid"] and not self.plain:
                raise LayerError(self.name, "mount_setattr", errno.EINVAL, f"{mount.name}: idmap wants "
                                 "uidMappings and gidMappings, or a user namespace")
            mount.hold(undo)
            if mount.maps["uid"]:
                maps = {kind: lines(given) for kind, given in mount.maps.items()}
                ids.shift(mount, ids.namespace_of(maps, undo))

    def parent(self, pid, undo):
        fd = None
        for mount in self.shifted:
            if not mount.maps["uid"]:
                fd = fd or linux.open(f"/proc/{pid}/ns/user", os.O_RDONLY)
                ids.shift(mount, fd)
        if fd:
            linux.close(fd)

    def open(self, undo=None):
        """A copy of the root's mount, not yet attached."""
        held = named(f"root.path {self.path}", linux.open, self.path, os.O_PATH | os.O_DIRECTORY)
        self.tree = linux.open_tree("", CLONED | linux.AT_RECURSIVE, dir_fd=held)
        linux.close(held)
        if undo:
            undo.callback(linux.close, self.tree)

    def hold(self, undo=None):
        """Opens all that the host gives, each name once."""
        self.held = True
        if self.tree is None:
            self.open(undo)
        for part in (*self.mounts, *self.nodes, *self.covers) if undo else self.covers:
            named(part.name, part.hold, undo)  # without: each where it is mounted, the order of mountinfo

    def child(self):
        linux.umask(0)  # modes are as they are given, whatever our caller's is
        if not self.shared:
            self.propagate("/", first=True)
        if not self.held:
            self.hold()
        root = BundleRoot(self.tree)
        root.plain = self.plain
        linux.mount_setattr("", linux.AT_EMPTY_PATH | linux.AT_RECURSIVE, 0, PROPAGATION["private"],
                            dir_fd=self.tree)
        linux.move_mount(self.tree, self.where())
        self.spec.root = root
        for part in self.mounts:
            part.make(root)
        for part in (*self.nodes, *links()) if self.furnish else ():
            part.make(root)
        if self.spec.terminal and self.furnish:
            linux.close(root.place("/dev/console", False, NO_LINKS))  # for the terminal to come
        for part in self.mounts:
            part.finish(root)
        linux.close(root.place(self.spec.workdir, True))
        self.spec.ask(b"hooks")
        linux.fchdir(root.mount)  # where these hooks begin
        self.spec.inside("createContainer")
        self.enter(root)
        for cover in self.covers:
            cover.make(root)

    def where(self):
        """Where the root hangs before it is the root: at its own path, where hooks look for it."""
        try:
            return linux.openat2(linux.AT_FDCWD, self.path, os.O_PATH | os.O_DIRECTORY, 0)
        except PermissionError:  # its user may not go there: at the top, which all may
            return linux.openat2(linux.AT_FDCWD, "/", os.O_PATH, 0)

    def propagate(self, path, first=False):
        """rootfsPropagation. Before the root is made, nothing of ours may reach the machine: slave."""
        how, recursive = self.propagation, linux.AT_RECURSIVE
        if how not in PROPAGATION:
            how = how[1:]
        elif not first:
            recursive = 0
        how = "slave" if first and how in ("shared", "slave") else "private" if first else how
        linux.mount_setattr(path, recursive, 0, PROPAGATION[how])

    def enter(self, root):
        """Makes it the root, and lets the old one go."""
        linux.fchdir(root.mount)
        if self.shared:
            linux.chroot(".")
        elif self.spec.settings.get("no-pivot"):
            bare(self.path)
            linux.move_mount(root.mount, linux.openat2(linux.AT_FDCWD, "/", os.O_PATH, 0))
            linux.chroot(".")
        else:
            linux.pivot_root(".", ".")            # the old root is now mounted over the new one
            linux.umount2(".", linux.MNT_DETACH)  # and gone, with all that hung from it
        linux.chdir("/")
        if not self.shared:
            self.propagate("/")
        if self.read_only:
            linux.mount_setattr("/", 0, RDONLY)


def bare(root):
    """Without pivot_root the old mounts stay below. Whole views of the kernel's must not: where one
    is, the kernel lets everybody mount another, and what is masked in the container's were in vain."""
    lines = linux.read("/proc/self/mountinfo").splitlines()
    for line in reversed(lines):
        place, kind = line.split()[4], line.partition(" - ")[2].split()[0]
        if kind in WINDOWS and not f"{place}/".startswith(f"{root}/"):
            try:
                linux.umount2(place, linux.MNT_DETACH)
            except OSError as error:
                # Another user namespace's is no whole view; and others come and go on their own.
                if error.errno not in (errno.EINVAL, errno.ENOENT):
                    raise


def unmount(path, number, in_table):
    """Takes away what was mounted on the machine, for a container in the machine's mount namespace. Only
    the mount of that number: an engine may have one of its own there, and ours may never have come."""
    from ..mounts.inner import mounts  # only now: few need it
    try:
        there = linux.open(path, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW)
    except (FileNotFoundError, NotADirectoryError):
        return
    try:
        if linux.mount_ids(there)[0] == number:
            linux.umount2(f"/proc/self/fd/{there}", linux.MNT_DETACH)
        elif (os.fsencode(path), str(in_table).encode()) in mounts():
            warn(f"{path}: something was mounted over the container's root, which therefore stays")
    finally:
        linux.close(there)


def mount_of(entry, spec):
    """The kind of mount that an entry is."""
    if entry.get("type") in ("cgroup", "cgroup2"):
        from .cgroupmounts import CgroupMount
        return CgroupMount(entry, spec.bundle, "cgroup" in spec.spaces)
    return Mount(entry, spec.bundle)
