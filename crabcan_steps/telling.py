"""What a recording (--trace) tells besides the calls: how the world was before, and that it worked."""
import os
import resource

from . import linux

STATUS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Umask")
NAMESPACES = ("pid", "uts", "mnt", "user", "ipc", "net", "cgroup", "time")


def begin(spec):
    """What was so before the first call, as /proc says it of us (proc(5))."""
    status = dict(line.split(":\t", 1) for line in lines("status") if ":\t" in line)
    return {
        "pid": os.getpid(), "hostname": os.uname().nodename,
        "ids": {"uid": list(os.getresuid()), "gid": list(os.getresgid()), "groups": os.getgroups()},
        "status": {name: status[name] for name in STATUS if name in status},
        "last": int(linux.read("/proc/sys/kernel/cap_last_cap")),
        "namespaces": {name: os.readlink(f"/proc/self/ns/{name}") for name in NAMESPACES
                       if os.path.lexists(f"/proc/self/ns/{name}")},
        "mountinfo": lines("mountinfo"), "cgroup": lines("cgroup"),
        "root": os.readlink("/proc/self/root"), "cwd": os.readlink("/proc/self/cwd"),
        "limits": {name[7:]: resource.getrlimit(kind) for name, kind in vars(resource).items()
                   if name.startswith("RLIMIT_")},
        "descriptors": descriptors(),
        "environ": sorted(os.environ.keys() - dict(spec.env).keys()),
    }


def lines(name):
    """The lines of a file of /proc/self."""
    return linux.read(f"/proc/self/{name}").splitlines()


def descriptors():
    """descriptor -> [where it leads, whether execve closes it]."""
    found = {}
    for fd in linux.listdir("/proc/self/fd"):
        try:
            found[fd] = [os.readlink(f"/proc/self/fd/{fd}"), not os.get_inheritable(int(fd))]
        except OSError:
            pass  # that of the listing itself
    return found


def executed(spec, sink):
    """The sink, which now counts the failures of execve, and what tells of the one that worked.

    Whoever has made that one cannot tell: it is the command by then."""
    failed = []

    def count(event):
        if event["call"] == "execve":
            failed.append(event)
        sink(event)

    def started():
        program = getattr(spec, "program", None) or getattr(linux.observer.layer, "program", None)
        if program is None:
            return  # chapter 10's, started by another process than the one that has made it
        path = program.paths[len(failed)]
        linux.observer.side = "child"
        linux.observer("execve", (path, program.argv or [path], program.env), {}, None, 0, 0)
        linux.observer.side = "parent"

    return count, started
