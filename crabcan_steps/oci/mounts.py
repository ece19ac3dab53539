"""One entry of a bundle's `mounts`: a bind of the host's files, or a new file system of the kernel's.

As in chapter 4: what the host gives is opened once, each mount is made detached and attached through
a descriptor of a place that was looked up below a descriptor of the new root.
"""
import errno
import os
import stat

from .. import linux
from ..layer import LayerError, named
from ..mounts.root import IN_ROOT, NO_LINKS, WINDOWS
from .copyup import copy_up
from .mountoptions import PROPAGATION, RDONLY, Options

SYSFS_MAGIC = 0x62656572  # <linux/magic.h>
CLONED = linux.OPEN_TREE_CLONE | linux.AT_EMPTY_PATH
OVER_PROC = ("cpuinfo", "diskstats", "meminfo", "stat", "swaps", "uptime", "loadavg", "slabinfo",
             "net/dev", "sys/kernel/ns_last_pid", "sys/crypto/fips_enabled")  # as lxcfs gives them


def copy_of(held):
    """A new mount of what is held, private: a copy of a shared one is its peer, and what is mounted
    over the copy would be mounted over the machine's own, too."""
    mount = linux.open_tree("", CLONED, dir_fd=held)
    linux.mount_setattr("", linux.AT_EMPTY_PATH, 0, PROPAGATION["private"], dir_fd=mount)
    return mount


class Mount:
    """One entry of `mounts`."""

    def __init__(self, entry, bundle):
        self.target = os.path.normpath("/" + entry["destination"].lstrip("/"))  # two at the front it would keep
        self.options = Options(entry.get("options") or ())
        kind = entry.get("type") or ""
        self.kind = "bind" if self.options.bind or kind == "bind" else kind or "bind"
        self.source = entry.get("source") or ""
        self.maps = {kind: entry.get(f"{kind}Mappings") for kind in ("uid", "gid")}
        if self.maps["uid"] and self.options.idmap is None:
            self.options.idmap = self.options.recursive
        if self.kind == "bind":
            self.source = os.path.join(bundle, self.source)
        self.tree = None
        self.name = f"mounts: {self.target}"

    def hold(self, undo=None):
        """Opens what the host gives. A bind is a copy of the mount, and recursive only if so asked."""
        if self.kind != "bind" or self.options.remount or self.tree is not None:
            return
        recursive = linux.AT_RECURSIVE if self.options.recursive else 0
        held = named(self.source, linux.open, self.source, os.O_PATH)
        self.directory = stat.S_ISDIR(linux.fstat(held).st_mode)
        self.tree = linux.open_tree("", CLONED | recursive, dir_fd=held)
        linux.close(held)
        if undo:
            undo.callback(linux.close, self.tree)

    def make(self, root):
        """In the child: attaches it."""
        if self.options.remount:
            there = root.find(self.target, IN_ROOT)
            return self.attributes(there)
        if self.kind == "bind":
            self.hold()
            mount, rules = self.tree, IN_ROOT
            self.attributes(mount)
        else:
            mount = self.new(root)
            self.directory = True
            rules = NO_LINKS if self.kind in WINDOWS else IN_ROOT
        if self.target == "/":
            return self.over_root(root, mount)
        there = self.place(root, rules)
        if self.kind == "bind" and root.devices.get(linux.fstat(there).st_dev) in WINDOWS:
            self.into_window(root, there)
        if self.options.copy_up:
            copy_up(there, mount, any(word.startswith("mode=") for word in self.options.data))
            if self.options.set & RDONLY:
                linux.mount_setattr("", linux.AT_EMPTY_PATH, RDONLY, dir_fd=mount)
        named(self.target, linux.move_mount, mount, there)
        linux.close(there)
        self.settle(root, mount)
        return None

    def place(self, root, rules):
        try:
            return root.place(self.target, self.directory, rules)
        except NotADirectoryError as error:
            error.filename = f"{self.target}: a directory stands on a directory only, a file on a file"
            raise
        except OSError as error:
            if error.errno == errno.ELOOP and rules == NO_LINKS:
                error.filename = f"{self.target}: {self.kind} must be mounted on ordinary directory"
            raise

    def into_window(self, root, there):
        """Over /proc nothing of the user's is put but what stays a piece of it: a file, as lxcfs
        gives them. A directory, or /proc as a whole, would hide what is masked there."""
        kind = root.devices[linux.fstat(there).st_dev]
        straight = self.target.startswith("/proc/")  # else a link of the image's has led us here
        if kind == "proc" and not (straight and self.target[6:] in OVER_PROC):
            raise LayerError("mounts", "place", errno.EPERM, f"{self.name}: cannot be inside /proc")

    def over_root(self, root, mount):
        """A mount on the root itself becomes the root: what comes next goes into it."""
        there = linux.openat2(root.mount, ".", os.O_PATH, NO_LINKS)
        linux.move_mount(mount, there)
        linux.close(there)
        root.mount = mount

    def settle(self, root, mount):
        """After it hangs in the tree: propagation, and who we know it as."""
        for how, recursive in self.options.propagation:
            linux.mount_setattr("", linux.AT_EMPTY_PATH | (linux.AT_RECURSIVE if recursive else 0),
                                0, how, dir_fd=mount)
        if self.kind == "bind":
            root.cover(self.target)
            linux.close(mount)
        else:
            root.know(self.target, self.kind, mount)

    def finish(self, root):
        """A /dev that nobody shall write to, once everything is in it."""
        if self.target == "/dev" and self.kind == "tmpfs" and self.options.set & RDONLY:
            linux.mount_setattr("", linux.AT_EMPTY_PATH, RDONLY, dir_fd=root.seen["/dev"])

    def attributes(self, mount):
        """The flags of a bind: what is set is set; cleared only where it stands, as it may be locked."""
        options = self.options
        if options.recursive and options.set & RDONLY and linux.fstatfs(mount) == SYSFS_MAGIC:
            options.below_set |= RDONLY  # else an ordinary user's cgroups could be written in there
        if not options.propagation:
            linux.mount_setattr("", linux.AT_EMPTY_PATH | linux.AT_RECURSIVE, 0,
                                PROPAGATION["private"], dir_fd=mount)
        if options.set or options.clear:
            here = os.fstatvfs(mount).f_flag
            clear = options.clear & (~0xF | here & 0xF) if here & 0xF else options.clear & ~0xF
            if options.set or clear:
                named(self.name, change, mount, 0, options.set, clear)
        if options.below_set or options.below_clear:
            named(self.name, change, mount, linux.AT_RECURSIVE, options.below_set, options.below_clear)

    def new(self, root):
        """A file system of the kernel's, not yet attached. A tmpfs is as open as the directory that it covers."""
        covered = root.mode(self.target) if self.kind == "tmpfs" else []
        return self.filesystem(self.kind, covered + self.options.data)

    def filesystem(self, kind, data):
        fs = named(self.name, linux.fsopen, kind)
        linux.fsconfig(fs, linux.FSCONFIG_SET_STRING, "source", self.source or kind)
        for word in self.options.superblock:
            linux.fsconfig(fs, linux.FSCONFIG_SET_FLAG, word)
        for word in data:
            key, equals, value = word.partition("=")
            try:
                if equals:
                    linux.fsconfig(fs, linux.FSCONFIG_SET_STRING, key, value)
                else:
                    linux.fsconfig(fs, linux.FSCONFIG_SET_FLAG, key)
            except OSError as error:
                error.filename = f"{self.name}: option {word}"
                raise
        named(self.name, linux.fsconfig, fs, linux.FSCONFIG_CMD_CREATE)
        late = self.options.copy_up or self.target == "/dev"  # something is put there first
        bits = self.options.set & ~(RDONLY if late else 0)
        mount = linux.fsmount(fs, bits & 0xFF)
        linux.close(fs)
        if bits & ~0xFF:
            linux.mount_setattr("", linux.AT_EMPTY_PATH, bits & ~0xFF, dir_fd=mount)
        return mount


def change(mount, recursive, bits, clear):
    """Sets and clears flags of a mount. Whoever sets how access times are kept clears all of them."""
    linux.mount_setattr("", linux.AT_EMPTY_PATH | recursive, bits, dir_fd=mount, attr_clr=clear)
