"""The limits of the room, and what it passes on for the containers in it."""
import contextlib
import os
import resource

from crabcan_steps import linux
from crabcan_steps.ch08_cgroups import LIMITS, ROOT, Cgroup, remove
from crabcan_steps.layer import Layer, Stage
from crabcan_steps.parts import FileSystem, Root

MEMORY, PROCESSES = 512 << 20, 200


class Delegated(Cgroup):
    """Limits for the room, and all controllers for the containers in it."""
    stage = Stage.LIMITS

    def __init__(self, groups, users):
        self.shared, self.users = groups, users

    def prepare(self, spec, undo):
        if os.geteuid() != 0:
            super().prepare(spec, undo)
            self.wanted = {}  # the room's own limits are Rlimits
            return
        self.unified = os.path.exists(f"{ROOT}/cgroup.controllers")
        for base in {self.base(controller) for _, (controller, _) in LIMITS.values()}:
            clear_killed(base)
        super().prepare(spec, undo)
        for option, (two, one) in LIMITS.items():
            controller = (two if self.unified else one)[0]
            try:
                self.groups[controller] = self.make(controller, undo)
            except OSError:
                pass  # not on this kernel; the room is none the worse
        self.shared |= self.groups
        for path in set(self.groups.values()):
            undo.callback(clear, path)

    def parent(self, pid, undo):
        if os.geteuid() != 0:
            with contextlib.suppress(OSError):  # then no limits can be tried in the room
                self.scope(pid)
            return
        uid, gid = (self.users.maps[kind][0][1] for kind in ("uid", "gid"))
        for path in set(self.groups.values()):
            linux.write(f"{path}/cgroup.procs", str(pid))
            for name in (path, *(entry.path for entry in os.scandir(path))):
                os.chown(name, uid, gid)

    def child(self):
        """Version 2: only a group without processes may hand on its controllers."""
        if not self.unified:
            return
        systemds = not self.groups  # an ordinary user's: then the tree begins with it in here
        try:
            tree = FileSystem("cgroup2", ROOT).open() if systemds else linux.open(ROOT, os.O_PATH)
            linux.mkdir("room", dir_fd=tree)
        except OSError:
            if systemds:
                return  # it has made us none
            raise
        if systemds:
            Root(linux.open("/", os.O_PATH), {}).attach(tree, ROOT, True)
        linux.write(f"{ROOT}/room/cgroup.procs", "0")


def clear(path):
    """Removes the cgroups that the containers in the room have left."""
    for folder, _, _ in os.walk(path, topdown=False):
        if folder != path:
            remove(folder)


def clear_killed(base):
    """What is in the cgroups of rooms that were killed; sweep() removes them when they are empty."""
    for name in os.listdir(base) if os.path.isdir(base) else ():
        if name.startswith("crabcan-") and not os.path.exists(f"/proc/{name.split('-')[1]}"):
            clear(f"{base}/{name}")


class Rlimits(Layer):
    """For an ordinary user, who has no cgroups: each process's memory, all processes' number."""
    chapter, name, stage = 8, "rlimits", Stage.LIMITS

    def child(self):
        for kind, value in ((resource.RLIMIT_CPU, 30), (resource.RLIMIT_NPROC, PROCESSES),
                            (resource.RLIMIT_AS, 4 * MEMORY), (resource.RLIMIT_CORE, 0)):
            linux.setrlimit(kind, (value, value))
