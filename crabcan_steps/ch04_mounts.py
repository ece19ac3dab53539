"""Chapter 4: a root of its own. What is not mounted into it does not exist for the container.

The root is a list of parts (parts.py): trees of the host's, new file systems, directories, links.
It lives in the container's own mount namespace and is gone with it: nothing is made on the host.
"""
import errno
import os
import stat

from . import linux
from .layer import Layer, Stage, named, powerless, warn
from .parts import (BENEATH, DEVICE, LOCKED, NO_EXEC, READ_ONLY, Bind, Cover, Entry,
                    FileSystem, present, the_same)

DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
DEV_LINKS = {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1",
             "stderr": "/proc/self/fd/2", "ptmx": "pts/ptmx"}
ETC = {"passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
       "group": "root:x:0:\nnogroup:x:65534:\n"}
# What in /proc and /sys tells of the whole machine or steers it: hidden, or to be read only. The
# same paths as runc's and Docker's defaults.
HIDDEN = ("/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys",
          "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi", "/proc/timer_list",
          "/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware")
STEERING = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
ROOT_SIZE = {"size": "1g", "nr_inodes": "256k"}  # where no limit on memory holds a container back


class Mounts(Layer):
    """A mount namespace (mount_namespaces(7)), and pivot_root(2) into a root of our choosing."""
    chapter, name, flags, stage = 4, "mounts", linux.CLONE_NEWNS, Stage.FILESYSTEM
    options = {"mount": "--mount", "add": "--add", "read_only": "--read-only", "tmpfs": "--tmpfs",
               "device": "--device"}
    held = True  # nothing is left for the child to open, unless prepare() says so
    cures = {
        ("open", errno.ENOENT): "this path must exist on the host",
        ("open", errno.ENOTDIR): "must be a directory",
        ("open", errno.EACCES): "you must be allowed to enter each directory on the way",
        ("openat2", errno.ENOENT): "the root has no such place, and we make none in your files: "
                                   "make it first (mkdir, or touch for a file)",
        ("openat2", errno.ENOTDIR): "a file stands where a directory belongs",
        ("place", errno.ENOENT): "a symbolic link stands there, and leads nowhere in this root: name "
                                 "the place that it should lead to, and make that first",
        ("openat2", errno.ELOOP): "a symbolic link stands where a mount belongs: not followed",
        ("openat2", errno.EACCES): "you must be allowed to enter this directory",
        ("move_mount", errno.EINVAL): "a file goes on a file only, a directory on a directory",
        ("place", errno.EBUSY): "/proc and /sys show the container, masked where they show more: "
                                "nothing may hide that",
        ("fsconfig", errno.EPERM): "the kernel wants a full /proc here before it gives another: are "
                                   "we in a container with parts of it masked?",
        ("pivot_root", errno.EINVAL): "the present root is no mount of its own (an initial ramdisk?)",
        ("open_tree", errno.EPERM): powerless,
        ("mount_setattr", errno.EPERM): powerless,
        ("open_tree", errno.ENOSYS): "the kernel is older than 5.2",
        ("mount_setattr", errno.ENOSYS): "the kernel is older than 5.12",
    }

    def prepare(self, spec, undo):
        self.spec = spec
        self.root, self.plan = own_root(spec) if spec.mount is None else (None, [])
        self.plan += furniture() + places(spec)
        self.plan += [Bind(host, target, DEVICE, f"--device {host}") for host, target in spec.device]
        self.plan += [Bind(host, target, READ_ONLY if read_only else LOCKED, f"--add {host}:{target}")
                      for host, target, read_only in spec.add]
        self.read_only, self.held = spec.read_only, False
        spec.binds = []
        if os.geteuid() == 0:  # an ordinary user may not; then the child does it, as its own root
            self.hold(undo)

    def hold(self, undo=None):
        """Opens all that the host gives, each name once: what is found now is what will be there."""
        self.held = True
        if self.root is None:
            self.root, mirror = named(f"--mount {self.spec.mount}", given_root, self.spec)
            self.plan[:0] = mirror
            self.read_only |= isinstance(self.root, FileSystem)
        self.spec.binds += [part for part in (self.root, *self.plan) if isinstance(part, Bind)]
        for bind in self.spec.binds:
            if undo:
                undo.callback(bind.close)
            named(bind.option or bind.source, bind.open)

    def child(self):
        linux.mount_setattr("/", linux.AT_RECURSIVE, propagation=linux.MS_PRIVATE)
        if not self.held:
            self.hold()
        root = self.root.open()
        linux.move_mount(root, linux.openat2(linux.AT_FDCWD, "/", os.O_PATH, 0))
        for part in self.plan:
            part.make(root)
        if self.read_only:
            linux.mount_setattr("", linux.AT_EMPTY_PATH, linux.MOUNT_ATTR_RDONLY, dir_fd=root)
        linux.fchdir(root)
        linux.pivot_root(".", ".")             # the old root is now mounted over the new one
        linux.umount2(".", linux.MNT_DETACH)   # and gone, with all that hung from it
        linux.chdir("/")


def own_root(spec):
    """An empty tmpfs with the host's /usr in it, read-only: nothing to download, yet at home."""
    plan = [Entry("/" + name) for name in ("etc", "home", "run", "var", "mnt")]
    plan += [Entry("/root", 0o700), Entry("/tmp", 0o1777), Entry("/var/tmp", 0o1777)]
    for path in ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/alternatives",
                 "/etc/ld.so.cache"):  # the host's own: only its root could exchange them
        kind = kind_of(path)
        if kind == stat.S_IFLNK:
            plan.append(Entry(path, link=linux.readlink(path)))
        elif kind:
            plan.append(Bind(path, path, READ_ONLY))
    name = spec.hostname or "localhost"
    files = ETC
    if spec.user:
        from .accounts import introduced  # only now, as few ask for it
        files = introduced(ETC, spec.user)
    files = files | {"hostname": name + "\n", "hosts": f"127.0.0.1 localhost {name}\n::1 localhost\n"}
    plan += [Entry("/etc/" + file, text=text) for file, text in files.items()]
    return FileSystem("tmpfs", "/", LOCKED, mode="0755", **ROOT_SIZE), plan


def kind_of(path):
    """What stands at a path, not following it; None if nothing does. Another error is one."""
    try:
        return stat.S_IFMT(linux.lstat(path).st_mode)
    except FileNotFoundError:
        return None


def given_root(spec):
    """The user's directory, opened once. If it lacks a place for a mount: a mirror of it.

    That is a tmpfs with its entries bound in. To make the place in the directory itself would leave
    something behind; what the container made in the tmpfs would be lost, so it is read-only.
    """
    folder = linux.open(spec.mount, os.O_PATH | os.O_DIRECTORY)
    the_same(spec, folder)  # as --user was looked up in
    attributes = READ_ONLY if spec.read_only else LOCKED
    targets = [target for _, target, _ in spec.add] + [target for target, _, _ in spec.tmpfs]
    tops = dict.fromkeys(["proc", "sys", "dev", *(target.split("/")[1] for target in targets)])
    missing = [f"/{top}" for top in tops if not present(folder, top)]
    if not missing:
        return Bind(spec.mount, "/", attributes, f"--mount {spec.mount}", folder), []
    warn(f"--mount {spec.mount}: has no {', '.join(missing)}, so its / is shown by a mirror, "
         "in which nothing new can be made")
    plan = []
    listing = linux.open(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=folder)
    for name in linux.listdir(listing):
        if name not in ("proc", "sys", "dev"):  # ours
            plan += mirrored(spec, folder, name, attributes)
    linux.close(listing)
    linux.close(folder)
    return FileSystem("tmpfs", "/", LOCKED, mode="0755", **ROOT_SIZE), plan


def mirrored(spec, folder, name, attributes):
    """One entry of a directory as parts: opened, not followed, and only then looked at."""
    try:
        held = linux.openat2(folder, name, os.O_PATH | os.O_NOFOLLOW, BENEATH)
    except FileNotFoundError:  # taken away since it was listed
        return []
    if not stat.S_ISLNK(linux.fstat(held).st_mode):
        option = f"--mount {spec.mount}"
        return [Bind(f"{spec.mount}/{name}", "/" + name, attributes, option, held)]
    text = linux.readlink("", dir_fd=held)
    linux.close(held)
    return [Entry("/" + name, link=text)]


def places(spec):
    """What --tmpfs asks for."""
    return [FileSystem("tmpfs", target, NO_EXEC + more, **{"mode": "1777"} | ROOT_SIZE | settings)
            for target, more, settings in spec.tmpfs]


def furniture():
    """What every program expects of a machine: /proc, /sys, /dev (devices are the host's own)."""
    return [FileSystem("proc", "/proc"),
            FileSystem("sysfs", "/sys", READ_ONLY | NO_EXEC, shows=linux.CLONE_NEWNET),
            FileSystem("tmpfs", "/dev", mode="0755", size="64k"),
            *(Entry("/dev/" + name, text="") for name in DEVICES),
            *(Bind("/dev/" + name, "/dev/" + name, DEVICE) for name in DEVICES),
            *(Entry("/dev/" + name, link=link) for name, link in DEV_LINKS.items()),
            Entry("/dev/pts"), Entry("/dev/shm"), Entry("/dev/mqueue"),
            FileSystem("devpts", "/dev/pts", DEVICE, ptmxmode="0666", mode="0620"),
            FileSystem("tmpfs", "/dev/shm", mode="1777", size="64m"),
            FileSystem("mqueue", "/dev/mqueue", shows=linux.CLONE_NEWIPC),
            *(Cover(path, hidden=True) for path in HIDDEN),
            *(Cover(path, hidden=False) for path in STEERING)]
