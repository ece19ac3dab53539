"""Chapter 8: how much of the machine: memory, processes, processor time, disks, open files.

cgroups(7). Version 2 is one tree of directories; hosts with the older version 1 have a tree for
each controller. What is limited is the same, only the files differ: LIMITS is the whole story.
"""
import errno
import os
import resource

from . import linux
from .cgroups.session import ask_systemd, own_path
from .cgroups.sweep import hold, remove, sweep
from .layer import Layer, LayerError, Stage, exists, warn

ROOT = "/sys/fs/cgroup"
LIMITS = {  # option: (version 2's controller, {file: text}), (version 1's controller, {file: text})
    "memory": (("memory", {"memory.max": "{value}", "memory.swap.max": "0"}),
               ("memory", {"memory.limit_in_bytes": "{value}",
                           "memory.memsw.limit_in_bytes": "{value}"})),
    "memory_swap": (("memory", {"memory.swap.max": "{value}"}),  # version 1 counts both together
                    ("memory", {"memory.memsw.limit_in_bytes": "{value}"})),
    "pids": (("pids", {"pids.max": "{value}"}),
             ("pids", {"pids.max": "{value}"})),
    "cpus": (("cpu", {"cpu.max": "{microseconds} 100000"}),  # so much in each tenth of a second
             ("cpu", {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "{microseconds}"})),
    "io_weight": (("io", {"io.weight": "{value}"}),
                  ("blkio", {"blkio.bfq.weight": "{thousand}"})),  # 1 to 1000, not to 10000
}
UNLIMITED = resource.RLIM_INFINITY
RLIMITS = {  # stated, so that the caller's own do not matter; --nofile sets one more
    "CORE": 0,            # bytes: no dumps into what may be the host's files
    "STACK": 8 << 20, "MEMLOCK": 8 << 20, "MSGQUEUE": 800 << 10,  # bytes
    "NICE": 0, "RTPRIO": 0,                                      # nobody gets ahead of the host
    "AS": UNLIMITED, "CPU": UNLIMITED, "DATA": UNLIMITED, "FSIZE": UNLIMITED,
    "NPROC": UNLIMITED}   # the cgroup counts them, for this container alone
OPTIONAL = ("memory.swap.max", "memory.memsw.limit_in_bytes")  # not every kernel accounts swap


class Cgroup(Layer):
    """A cgroup with limits, for the child and all that it will ever start."""
    chapter, name = 8, "cgroups"
    options = {"memory": "--memory", "memory_swap": "--memory-swap", "pids": "--pids",
               "cpus": "--cpus", "io_weight": "--io-weight"}
    cures = {
        ("cgroup", errno.EACCES): "be root, or log in under systemd, which gives each user a part "
                                  "of the tree (`workshop doctor` looks closer)",
        ("cgroup", errno.ENOENT): "this kernel has no such limit, or another tree has its controller",
        ("cgroup", errno.EBUSY): "the root here holds processes: are we in a container ourselves?",
    }

    def prepare(self, spec, undo):
        self.wanted = {option: getattr(spec, option) for option in LIMITS
                       if getattr(spec, option) is not None}
        self.asked = self.wanted.keys() & vars(spec).keys()
        self.unified = exists(f"{ROOT}/cgroup.controllers")
        if "memory_swap" in self.wanted:
            self.wanted["memory_swap"] -= self.swapless(spec)
        self.groups = {}  # controller -> our directory
        self.label = f"crabcan-{os.getpid()}-{linux.urandom(4).hex()}"  # sweep() knows it by this form
        if os.geteuid() == 0:
            controllers = {pair[0 if self.unified else 1][0] for pair in LIMITS.values()}
            self.bases = {controller: self.base(controller) for controller in controllers}
            for base in set(self.bases.values()):
                sweep(base)
            self.limit(lambda controller: self.make(controller, undo))
            if self.unified and self.groups:
                self.flags = linux.CLONE_INTO_CGROUP
                self.cgroup = linux.open(next(iter(self.groups.values())), os.O_RDONLY)
                undo.callback(linux.close, self.cgroup)

    def parent(self, pid, undo):
        if os.geteuid() != 0:
            self.limit(lambda controller: self.scope(pid))

    def child(self):
        """Moves in, on version 1: there nobody can be born in a cgroup. 0 is whoever writes it."""
        if not self.unified:
            for path in set(self.groups.values()):
                linux.write(f"{path}/tasks", "0")

    def limit(self, directory):
        """Sets each limit. One that nobody asked for may be missing; then one line says so."""
        missing = []
        for option, value in self.wanted.items():
            controller, files = LIMITS[option][0 if self.unified else 1]
            words = {"value": value, "microseconds": int(value * 100_000),
                     "thousand": max(1, min(1000, int(value)))}
            try:
                self.groups[controller] = path = directory(controller)
                for file, text in files.items():
                    if file not in OPTIONAL or exists(f"{path}/{file}"):
                        linux.write(f"{path}/{file}", text.format(**words))
            except OSError as error:
                call = getattr(error, "call", "")
                about = f"{self.options[option]} ({call} {error.filename})".replace("( ", "(")
                if option in self.asked:
                    raise LayerError(self.name, "cgroup", error.errno, about) from error
                missing.append(f"{about}: {error.strerror}")
        if missing:
            warn(f"default limits that cannot be had here: {', '.join(missing)}")

    def swapless(self, spec):
        """What is to be taken from --memory-swap, which is Docker's: memory and swap together."""
        if spec.memory is None or spec.memory_swap < spec.memory:
            least = "" if spec.memory is None else f" ({spec.memory / (1 << 20):.4g}M)"
            raise LayerError(self.name, "--memory-swap", 0,
                             f"is memory and swap together: at least --memory{least}")
        return spec.memory if self.unified else 0

    def make(self, controller, undo):
        """Makes our directory in the tree of a controller, if it is not made yet."""
        base = self.bases[controller]
        if self.unified:
            if controller not in linux.read(f"{base}/cgroup.subtree_control").split():
                linux.write(f"{base}/cgroup.subtree_control", f"+{controller}")
        path = f"{base}/{self.label}"
        if path not in self.groups.values():
            undo.callback(linux.close, hold(path))
            undo.callback(remove, path)
            linux.chmod(path, 0o755)  # whatever the umask made of it
        return path

    def base(self, controller):
        """Where our directories go: in version 2 the top, elsewhere it may hold no processes."""
        return ROOT if self.unified else f"{ROOT}/{controller}{own_path(controller)}".rstrip("/")

    def scope(self, pid):
        """The directory that the user's systemd gives for all limits: the first of them asks."""
        if self.groups:
            return next(iter(self.groups.values()))
        if not self.unified:
            raise OSError(errno.EACCES, "only root has cgroups of version 1", ROOT)
        return ask_systemd(ROOT, f"{self.label}.scope", pid)


class Rlimits(Layer):
    """Limits of the older kind (setrlimit(2)): each process's own. Set in the child, not before."""
    chapter, name, stage = 8, "cgroups", Stage.LIMITS
    options = {"nofile": "--nofile", "ulimit": "--ulimit"}

    def prepare(self, spec, undo):
        _, hard = linux.getrlimit(resource.RLIMIT_NOFILE)
        if lower(hard, spec.nofile) < spec.nofile:
            raise LayerError(self.name, "setrlimit", errno.EPERM,
                             f"--nofile {spec.nofile}: our own hard limit is {hard}")
        self.limits = [(resource.RLIMIT_NOFILE, spec.nofile)]
        asked = {name: hard for name, _, hard in spec.ulimit if name != "NOFILE"}
        for name, value in (RLIMITS | asked).items():
            kind = getattr(resource, f"RLIMIT_{name}")
            self.limits.append((kind, lower(value, linux.getrlimit(kind)[1])))

    def parent(self, pid, undo):
        """When memory runs out, the container must not outlive what the host needs more."""
        if int(linux.read(f"/proc/{pid}/oom_score_adj")) < 0:
            linux.write(f"/proc/{pid}/oom_score_adj", "0")

    def child(self):
        for kind, value in self.limits:
            linux.setrlimit(kind, (value, value))


def lower(one, other):
    """The lower of two limits; RLIM_INFINITY is -1, and higher than any."""
    return max(one, other) if UNLIMITED in (one, other) else min(one, other)
