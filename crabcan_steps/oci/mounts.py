"""The root of a bundle: its directory, with `mounts` in it, devices, and what is masked.

As in chapter 4: what the host gives is opened once, each mount is made detached and attached through
a descriptor of a place that was looked up below a descriptor of the new root. Unlike there, places
that are missing are made in the directory itself: the specification wants that.
"""
import errno
import os
import stat

from .. import linux, parts
from ..layer import Layer, LayerError, Stage, named
from .copyup import copy_up
from .devices import Node, defaults, links
from .mountoptions import PROPAGATION, RDONLY, Options

NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
CLONED = linux.OPEN_TREE_CLONE | linux.AT_EMPTY_PATH
LINKS = 40  # as many as the kernel follows (path_resolution(7))


class BundleRoot(parts.Root):
    """Chapter 4's, but it makes places that are missing."""

    def place(self, path, directory, rules=parts.IN_ROOT, depth=0):
        """Opens a place; makes it, and the directories above, step by step below the root."""
        path = os.path.normpath("/" + path)
        try:
            return self.find(path, rules)
        except FileNotFoundError:
            above, name = os.path.split(path)
            folder = self.place(above, True, rules, depth)
        try:
            return self.make(folder, above, name, directory, rules, depth)
        finally:
            linux.close(folder)

    def make(self, folder, above, name, directory, rules, depth):
        """Makes one name in a directory. A link to nowhere shows where the place is to be made."""
        try:
            text = linux.readlink(name, dir_fd=folder)
        except OSError:
            text = None  # nothing there, or no link
        if text is not None:
            if depth == LINKS or rules & linux.RESOLVE_NO_SYMLINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), f"{above}/{name}")
            return self.place(text if text[0] == "/" else f"{above}/{text}", directory, rules, depth + 1)
        try:
            if directory:
                linux.mkdir(name, 0o755, dir_fd=folder)
            else:
                linux.close(linux.open(name, NEW_FILE, 0o755, dir_fd=folder))
        except FileExistsError:
            pass  # somebody else was quicker; what it is now is looked at below
        return linux.openat2(folder, name, os.O_PATH, parts.NO_LINKS)


class Mount:
    """One entry of `mounts`."""

    def __init__(self, entry, bundle):
        self.target = os.path.normpath("/" + entry["destination"])
        self.options = Options(entry.get("options") or ())
        kind = entry.get("type") or ""
        self.kind = "bind" if self.options.bind or kind == "bind" else kind or "bind"
        self.source = entry.get("source") or ""
        self.maps = [entry.get("uidMappings"), entry.get("gidMappings")]
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
            there = root.find(self.target, parts.IN_ROOT)
            return self.attributes(there)
        if self.kind == "bind":
            self.hold()
            mount, rules = self.tree, parts.IN_ROOT
            self.attributes(mount)
        else:
            mount = self.new(root)
            self.directory = True
            rules = parts.NO_LINKS if self.kind in parts.WINDOWS else parts.IN_ROOT
        if self.target == "/":
            return self.over_root(root, mount)
        there = self.place(root, rules)
        if self.kind == "bind" and root.devices.get(linux.fstat(there).st_dev) in parts.WINDOWS:
            self.into_window(root, there)
        if self.options.copy_up:
            copy_up(there, mount)
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

    def into_window(self, root, there):
        """Over /proc nothing of the user's is put but what stays a piece of it: a file, as lxcfs
        gives them. A directory, or /proc as a whole, would hide what is masked there."""
        allowed = ("/proc/cpuinfo", "/proc/diskstats", "/proc/meminfo", "/proc/stat", "/proc/swaps",
                   "/proc/uptime", "/proc/loadavg", "/proc/slabinfo", "/proc/net/dev", "/proc/sys/kernel/ns_last_pid",
                   "/proc/sys/crypto/fips_enabled")
        if self.target.startswith("/proc") and self.target not in allowed:
            raise LayerError("mounts", "place", errno.EPERM, f"{self.name}: cannot be inside /proc")

    def over_root(self, root, mount):
        """A mount on the root itself becomes the root: what comes next goes into it."""
        there = linux.openat2(root.mount, ".", os.O_PATH, parts.NO_LINKS)
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
            root.add(self.target, self.kind, mount)

    def attributes(self, mount):
        """The flags of a bind: what is set is set; cleared only where it stands, as it may be locked."""
        options = self.options
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
        """A file system of the kernel's, not yet attached."""
        return self.filesystem(self.kind, self.options.data)

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
        bits = self.options.set & ~(RDONLY if self.options.copy_up else 0)
        mount = linux.fsmount(fs, bits & 0xFF)
        linux.close(fs)
        if bits & ~0xFF:
            linux.mount_setattr("", linux.AT_EMPTY_PATH, bits & ~0xFF, dir_fd=mount)
        return mount


def change(mount, recursive, bits, clear):
    """Sets and clears flags of a mount. Whoever sets how access times are kept clears all of them."""
    linux.mount_setattr("", linux.AT_EMPTY_PATH | recursive, bits, dir_fd=mount, attr_clr=clear)


class Tree(Layer):
    """Chapter 4 for a bundle: a mount namespace, and pivot_root(2) into `root.path`."""
    chapter, name, stage = 10, "mounts", Stage.FILESYSTEM
    cures = {("move_mount", errno.EINVAL): "a file goes on a file only, a directory on a directory",
             ("pivot_root", errno.EINVAL): "is the machine's root an initial ramdisk? Try --no-pivot"}

    def prepare(self, spec, undo):
        self.spec = spec
        if "mount" not in spec.spaces or spec.spaces["mount"]:
            raise LayerError(self.name, "linux.namespaces", errno.ENOTSUP,
                             "a container without a new mount namespace would mount on the machine")
        root = spec.config["root"]
        self.path = os.path.realpath(os.path.join(spec.bundle, root["path"]))
        self.read_only = bool(root.get("readonly"))
        self.mounts = [mount_of(entry, spec) for entry in spec.config.get("mounts") or ()]
        self.nodes = [*map(Node.of, spec.linux.get("devices") or ())]
        taken = {node.target for node in self.nodes}
        furnish = not any(m.target == "/dev" and m.kind == "bind" for m in self.mounts)
        self.nodes += [node for node in defaults() if node.target not in taken] if furnish else []
        self.furnish = furnish
        self.plain = "user" in spec.spaces  # then the kernel lets nobody make devices
        self.covers = [Hidden(path) for path in spec.linux.get("maskedPaths") or ()]
        self.covers += [ReadOnly(path) for path in spec.linux.get("readonlyPaths") or ()]
        self.propagation = spec.linux.get("rootfsPropagation") or "rprivate"
        self.tree = None
        if os.geteuid() == 0:  # an ordinary user may not; then the child does it, as its own root
            self.hold(undo)

    def hold(self, undo=None):
        """Opens all that the host gives, each name once."""
        held = named(f"root.path {self.path}", linux.open, self.path, os.O_PATH | os.O_DIRECTORY)
        self.tree = linux.open_tree("", CLONED | linux.AT_RECURSIVE, dir_fd=held)
        linux.close(held)
        if undo:
            undo.callback(linux.close, self.tree)
        for part in (*self.mounts, *self.nodes, *self.covers):
            named(part.name, part.hold, undo)

    def child(self):
        self.propagate("/", first=True)
        if self.tree is None:
            self.hold()
        root = BundleRoot(self.tree, {})
        root.plain = self.plain
        linux.mount_setattr("", linux.AT_EMPTY_PATH | linux.AT_RECURSIVE, 0, PROPAGATION["private"],
                            dir_fd=self.tree)
        linux.move_mount(self.tree, self.where())
        self.spec.root = root
        for part in self.mounts:
            part.make(root)
        if self.furnish:
            for part in (*self.nodes, *links()):
                part.make(root)
        else:
            for part in self.nodes:
                part.make(root)
        linux.close(root.place(self.spec.workdir, True))
        self.spec.ask(b"hooks")
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
        if self.spec.settings.get("no-pivot"):
            linux.move_mount(root.mount, linux.openat2(linux.AT_FDCWD, "/", os.O_PATH, 0))
            linux.chroot(".")
        else:
            linux.pivot_root(".", ".")            # the old root is now mounted over the new one
            linux.umount2(".", linux.MNT_DETACH)  # and gone, with all that hung from it
        linux.chdir("/")
        self.propagate("/")
        if self.read_only:
            linux.mount_setattr("/", 0, RDONLY)


def mount_of(entry, spec):
    """The kind of mount that an entry is."""
    if entry.get("type") in ("cgroup", "cgroup2"):
        from .cgroupmounts import CgroupMount
        return CgroupMount(entry, spec.bundle, "cgroup" in spec.spaces)
    return Mount(entry, spec.bundle)


class Hidden:
    """A masked path: seems empty. What covers a file is the machine's /dev/null, opened beforehand."""

    def __init__(self, path):
        self.path, self.name, self.null = path, f"linux.maskedPaths: {path}", None

    def hold(self, undo=None):
        if self.null is None:
            held = linux.open("/dev/null", os.O_PATH)
            self.null = linux.open_tree("", CLONED, dir_fd=held)
            linux.close(held)
            if undo:
                undo.callback(linux.close, self.null)

    def make(self, root):
        try:
            there = root.find(self.path, parts.IN_ROOT)
        except (FileNotFoundError, NotADirectoryError):
            return
        if stat.S_ISDIR(linux.fstat(there).st_mode):
            mount = parts.FileSystem("tmpfs", self.path, RDONLY, size="4k", mode="0555").open()
        else:
            self.hold()
            mount, self.null = self.null, None
        named(self.name, linux.move_mount, mount, there)
        linux.close(mount)
        linux.close(there)


class ReadOnly:
    """A read-only path: the same once more, and nobody writes."""

    def __init__(self, path):
        self.path, self.name = path, f"linux.readonlyPaths: {path}"

    def hold(self, undo=None):
        """Nothing of the host's."""

    def make(self, root):
        try:
            there = root.find(self.path, parts.IN_ROOT)
        except (FileNotFoundError, NotADirectoryError):
            return
        mount = linux.open_tree("", CLONED | linux.AT_RECURSIVE, dir_fd=there)
        linux.mount_setattr("", linux.AT_EMPTY_PATH, RDONLY, dir_fd=mount)
        named(self.name, linux.move_mount, mount, there)
        linux.close(mount)
        linux.close(there)


