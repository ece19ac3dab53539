"""Chapter 4: a root of its own. What is not mounted into it does not exist for the container.

The root is a list of parts (parts.py): trees of the host's, new file systems, directories, links.
It lives in the container's own mount namespace and is gone with it: nothing is made on the host.
"""
import errno
import os
import stat

from . import linux
from .layer import Layer, LayerError, Stage, named
from .parts import DEVICE, IN_ROOT, LOCKED, NO_EXEC, READ_ONLY, Bind, Cover, Entry, FileSystem

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
    cures = {
        ("stat", errno.ENOENT): "this path must exist on the host",
        ("open", errno.ENOENT): "this directory must exist on the host",
        ("open", errno.ENOTDIR): "must be a directory",
        ("openat2", errno.ENOENT): "the root has no such place, and we make none in your files: "
                                   "make it first (mkdir, or touch for a file)",
        ("openat2", errno.ELOOP): "a symbolic link stands where a mount belongs: not followed",
        ("openat2", errno.EACCES): "you must be allowed to enter this directory",
        ("move_mount", errno.EINVAL): "a file goes on a file only, a directory on a directory",
        ("fsconfig", errno.EPERM): "the kernel wants a full /proc here before it gives another: are "
                                   "we in a container with parts of it masked?",
        ("pivot_root", errno.EINVAL): "the present root is no mount of its own (an initial ramdisk?)",
        ("open_tree", errno.EPERM): "root without power (CAP_SYS_ADMIN): are we in a container?",
        ("open_tree", errno.ENOSYS): "the kernel is older than 5.2",
        ("mount_setattr", errno.ENOSYS): "the kernel is older than 5.12",
    }

    def prepare(self, spec, undo):
        self.read_only = spec.read_only
        self.root, self.plan = own_root(spec) if spec.mount is None else given_root(spec)
        self.plan += furniture() + [*places(spec), *devices(spec)]
        for host, target, read_only in spec.add:
            named(f"--add {host}:{target}", linux.stat, host)  # fails early
            self.plan.append(Bind(host, target, READ_ONLY if read_only else LOCKED, True))
        spec.binds = [part for part in (self.root, *self.plan) if isinstance(part, Bind)]
        if os.geteuid() == 0:  # an ordinary user may not; then the child does it, as its own root
            for bind in spec.binds:
                undo.callback(linux.close, bind.open())

    def child(self):
        linux.mount_setattr("/", linux.AT_RECURSIVE, propagation=linux.MS_PRIVATE)
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
    for name in ("usr", "bin", "sbin", "lib", "lib32", "lib64"):
        kind = kind_of("/" + name)
        if kind == stat.S_IFLNK:
            plan.append(Entry("/" + name, link=linux.readlink("/" + name)))
        elif kind == stat.S_IFDIR:
            plan.append(Bind("/" + name, "/" + name, READ_ONLY))
    for path in ("/etc/alternatives", "/etc/ld.so.cache"):
        if kind_of(path):
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
    """The user's directory. If it lacks a place for a mount, a tmpfs with its contents bound in.

    To make the place in the directory itself would leave something behind.
    """
    folder = os.path.realpath(spec.mount)
    option = f"--mount {spec.mount}"
    fd = named(option, linux.open, folder, os.O_PATH | os.O_DIRECTORY)
    attributes = READ_ONLY if spec.read_only else LOCKED
    targets = ["/proc", "/sys", "/dev", *(target for _, target, _ in spec.add),
               *(target for target, _, _ in spec.tmpfs)]
    complete = all(named(option, present, fd, target) for target in targets)
    linux.close(fd)
    if complete:
        return Bind(folder, "/", attributes, asked=True), []
    plan = []
    for entry in named(option, linux.scandir, folder):
        if entry.name in ("proc", "sys", "dev"):
            continue  # ours
        if entry.is_symlink():
            plan.append(Entry("/" + entry.name, link=linux.readlink(entry.path)))
        elif entry.is_dir() or entry.is_file():
            plan.append(Bind(entry.path, "/" + entry.name, attributes, asked=True))
    return FileSystem("tmpfs", "/", LOCKED, mode="0755", **ROOT_SIZE), plan


def present(fd, target):
    """Tells whether a path exists inside a directory, looked up as if that were /."""
    try:
        linux.close(linux.openat2(fd, target, os.O_PATH, IN_ROOT))
        return True
    except FileNotFoundError:
        return False


def places(spec):
    """What --tmpfs asks for."""
    return [FileSystem("tmpfs", target, NO_EXEC + more, **{"mode": "1777"} | ROOT_SIZE | settings)
            for target, more, settings in spec.tmpfs]


def devices(spec):
    """What --device asks for, in our /dev."""
    made = {"/dev", *("/dev/" + name for name in (*DEVICES, *DEV_LINKS, "pts", "shm", "mqueue"))}
    for host, target in spec.device:
        status = named(f"--device {host}", linux.stat, host)
        if not (stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode)):
            raise LayerError(Mounts.name, f"--device {host}", 0, "is no device")
        folder = ""
        for name in target.strip("/").split("/"):
            folder = f"{folder}/{name}"
            if folder not in made:
                made.add(folder)
                yield Entry(folder, text="" if folder == target else None)
        yield Bind(host, target, DEVICE)


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
