"""The limits of the room, and what it passes on for the containers in it.

cgroups(7), "Delegation": the room gets a cgroup of its own below the one with the limits, and of
its files only those that one needs to make others. Where there are no cgroups, a watch is kept.
"""
import contextlib
import os
import resource

from crabcan_steps import linux
from crabcan_steps.cgroups.sweep import empty
from crabcan_steps.ch08_cgroups import LIMITS, ROOT, Cgroup
from crabcan_steps.layer import Stage
from crabcan_steps.mounts.parts import FileSystem
from crabcan_steps.mounts.root import Root

from .sight import descendants

MEMORY, PROCESSES = 512 << 20, 200
GIVEN = ("cgroup.procs", "cgroup.threads", "cgroup.subtree_control", "tasks")
PEAK = ("memory.peak", "memory.max_usage_in_bytes")  # of version 2 and 1
CLOSE = 8 << 20  # what lies so close to the limit has met it
EACH = ((resource.RLIMIT_CPU, 30), (resource.RLIMIT_NPROC, PROCESSES),
        (resource.RLIMIT_AS, 4 * MEMORY), (resource.RLIMIT_CORE, 0))


class Delegated(Cgroup):
    """Limits for the room, and below them a tree of its own for the containers in it."""
    stage = Stage.LIMITS

    def __init__(self, users):
        self.users = users
        self.trees = {}    # controller -> the directory that is the room's
        self.systemds = False

    def prepare(self, spec, undo):
        super().prepare(spec, undo)  # root's: the directories with the limits
        if os.geteuid() != 0:
            with contextlib.suppress(OSError):  # then there are none, and a watch is kept
                self.ask(undo)
            return
        for option, (two, one) in LIMITS.items():
            controller = (two if self.unified else one)[0]
            with contextlib.suppress(OSError):  # not on this kernel; the room is none the worse
                self.groups[controller] = self.make(controller, undo)
        for path in set(self.groups.values()):
            undo.callback(empty, path)
            self.give(path)
        if self.unified and self.groups:
            tree = linux.open(next(iter(self.trees.values())), os.O_RDONLY)
            undo.callback(linux.close, tree)
            self.cgroup = tree

    def ask(self, undo):
        """An ordinary user's: systemd gives us, the judge, a scope; we divide it."""
        scope = self.scope(os.getpid())
        linux.mkdir(f"{scope}/judge")
        linux.write(f"{scope}/judge/cgroup.procs", "0")
        limited = f"{scope}/limited"
        linux.mkdir(limited)
        self.systemds = True
        undo.callback(empty, limited)
        for controller in linux.read(f"{scope}/cgroup.controllers").split():
            with contextlib.suppress(OSError):
                linux.write(f"{scope}/cgroup.subtree_control", f"+{controller}")
                self.groups[controller] = limited
        for name, value in (("memory.max", MEMORY), ("memory.swap.max", 0), ("pids.max", PROCESSES)):
            if os.path.exists(f"{limited}/{name}"):
                linux.write(f"{limited}/{name}", str(value))
        self.give(limited)

    def give(self, path):
        """Makes the part of the tree that is the room's, with every controller that ours has."""
        tree = f"{path}/machine"
        linux.mkdir(tree)
        if self.unified:
            for controller in linux.read(f"{path}/cgroup.controllers").split():
                linux.write(f"{path}/cgroup.subtree_control", f"+{controller}")
        self.trees |= {name: tree for name, group in self.groups.items() if group == path}
        uid, gid = (self.users.maps[kind][0][1] for kind in ("uid", "gid"))
        for name in ("", *GIVEN):
            if os.path.exists(f"{tree}/{name}"):
                os.chown(f"{tree}/{name}", uid, gid)

    def parent(self, pid, undo):
        for tree in set(self.trees.values()):
            linux.write(f"{tree}/cgroup.procs", str(pid))

    def child(self):
        """Version 2: only a group without processes may hand on its controllers."""
        if not self.unified or not self.trees:
            return
        tree = FileSystem("cgroup2", ROOT).open() if self.systemds else linux.open(ROOT, os.O_PATH)
        linux.mkdir("room", dir_fd=tree)
        if self.systemds:
            Root(linux.open("/", os.O_PATH)).attach(tree, ROOT, True)
        linux.write(f"{ROOT}/room/cgroup.procs", "0")

    # ------------------------------------------------------------ for the judge

    def join(self):
        """Takes the caller to where the room's processes are."""
        for tree in set(self.trees.values()):
            linux.write(f"{tree}/room/cgroup.procs" if self.unified else f"{tree}/cgroup.procs", "0")

    def bounded(self):
        """Whether the kernel bounds the memory of all that is in the room, together."""
        return "memory" in self.trees

    def full(self):
        """Whether the room's memory has met its limit since it was asked last (v1), or ever (v2)."""
        for name in PEAK if self.bounded() else ():
            path = f"{self.groups['memory']}/{name}"
            if os.path.exists(path):
                peak = int(linux.read(path))
                with contextlib.suppress(OSError):
                    linux.write(path, "0")
                return peak > MEMORY - CLOSE
        return False


def hold():
    """For each process in the room, whoever started it: its own memory, and their number."""
    for kind, value in EACH:
        linux.setrlimit(kind, (value, value))


class Watch:
    """Where no cgroup bounds the memory of all together: looks often, and tells when it is enough.

    Anonymous memory of the room's processes, and the machine's memory in files (tmpfs, memfd): of
    the latter nobody can tell from outside whose it is."""

    def __init__(self, keeper):
        self.keeper, self.files = keeper, shared()

    def too_much(self, waiter):
        """Whether it is, by what has come of the room's first process and of a run's waiter."""
        members = descendants(self.keeper) + descendants(waiter)
        return shared() - self.files + sum(map(anonymous, members)) > MEMORY


def shared():
    return numbers("/proc/meminfo").get("Shmem", 0)


def anonymous(pid):
    try:
        return numbers(f"/proc/{pid}/status").get("RssAnon", 0)
    except OSError:
        return 0


def numbers(path):
    """Lines of /proc such as "Shmem: 123 kB", as bytes."""
    with open(path) as file:
        lines = [line.split() for line in file]
    return {words[0].rstrip(":"): int(words[1]) << 10 for words in lines
            if len(words) == 3 and words[2] == "kB"}
