"""What every container finds in its root, for chapter 4: our own root, /proc, /sys and /dev."""
import stat

from .. import linux
from .parts import DEVICE, LOCKED, NO_EXEC, READ_ONLY, Bind, Cover, Entry, FileSystem

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


def own_root(spec):
    """An empty tmpfs with the host's /usr in it, read-only: nothing to download, yet at home."""
    plan = [Entry("/" + name) for name in ("etc", "home", "run", "var", "mnt", "proc", "sys", "dev")]
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
        from .passwd import introduced  # only now, as few ask for it
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
