"""A mount of type cgroup: what the container sees of its cgroups, and no more.

Version 2 is one tree. Version 1 is one for each controller, in a small tmpfs. In a cgroup namespace
the kernel shows a tree from our cgroup on; without one we bind just our own directory of it.
"""
import errno
import os

from .. import linux
from ..mounts.parts import FileSystem
from ..mounts.root import NO_LINKS
from .mountoptions import NODEV, NOEXEC, NOSUID, PROPAGATION, RDONLY
from .mounts import CLONED, Mount


class CgroupMount(Mount):
    """The entry of `mounts`."""

    def __init__(self, entry, bundle, own_namespace):
        super().__init__(entry, bundle)
        self.own_namespace, self.trees = own_namespace, None

    def hold(self, undo=None):
        """Looks where the machine has its trees."""
        if self.trees is None:
            self.trees = list(trees())

    def make(self, root):
        self.hold()
        self.directory = True
        there = root.place(self.target, True)
        if all(kind == "cgroup2" for _, kind, _ in self.trees):
            mount = self.tree_of(*self.trees[0])
            linux.move_mount(mount, there)
            self.settle(root, mount)
        else:
            self.each(root, there)
        linux.close(there)

    def each(self, root, there):
        """A directory for each tree, and a link for each controller that shares one."""
        mount = FileSystem("tmpfs", self.target, NOSUID | NODEV | NOEXEC, mode="0755", size="1m").open()
        linux.move_mount(mount, there)
        for path, kind, words in self.trees:
            name = os.path.basename(path)
            try:
                tree = self.tree_of(path, kind, words)
            except PermissionError:
                continue  # of an outer user namespace, and not ours to show
            linux.mkdir(name, 0o755, dir_fd=mount)
            place = linux.openat2(mount, name, os.O_PATH, NO_LINKS)
            linux.move_mount(tree, place)
            linux.close(place)
            linux.close(tree)
            for word in name.split(",") if "," in name else ():
                linux.symlink(name, word, dir_fd=mount)
        if self.options.set & RDONLY:
            linux.mount_setattr("", linux.AT_EMPTY_PATH, RDONLY, dir_fd=mount)
        self.settle(root, mount)

    def tree_of(self, path, kind, words):
        """One tree, detached."""
        bits = self.options.set | NOSUID | NODEV | NOEXEC
        if self.own_namespace:
            data = [] if kind == "cgroup2" else words
            self.options.set = bits
            return self.filesystem(kind, data)
        own = path + own_path(kind, words)
        held = linux.open(own, os.O_PATH)
        tree = linux.open_tree("", CLONED, dir_fd=held)
        linux.close(held)
        linux.mount_setattr("", linux.AT_EMPTY_PATH, bits, PROPAGATION["private"], dir_fd=tree)
        return tree


def trees():
    """(path, type, its options) of each mounted tree of cgroups (proc(5), mountinfo)."""
    seen = set()
    for line in linux.read("/proc/self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        path, (kind, _, words) = before.split()[4], after.split()[:3]
        if kind in ("cgroup", "cgroup2") and path.startswith("/sys/fs/cgroup") and path not in seen:
            seen.add(path)
            yield path, kind, [w for w in words.split(",") if w not in ("rw", "ro", "nsdelegate",
                                                                        "memory_recursiveprot", "favordynmods")
                               and not w.startswith("release_agent")]


def own_path(kind, words):
    """Where we are in a tree (proc(5), cgroup)."""
    for line in linux.read("/proc/self/cgroup").splitlines():
        number, controllers, path = line.split(":", 2)
        if kind == "cgroup2" and number == "0" or kind == "cgroup" and controllers and (
                set(controllers.split(",")) <= set(words)):
            return path
    raise OSError(errno.ENOENT, "we are in none of its cgroups", words)
