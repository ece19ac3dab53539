"""What `process` says of the program: directory, user, capabilities, limits, labels."""
import errno
import os
import resource

from .. import linux
from ..layer import Layer, LayerError, Stage, exists, named
from . import procfs
from .fields import CAPABILITIES

MOST = (1 << 64) - 1
SYS_ADMIN = CAPABILITIES.index("CAP_SYS_ADMIN")
SETS = ("effective", "permitted", "inheritable")
CWD = "no chdir to process.cwd, or --cwd: it must be a directory of the container's"


class WorkDir(Layer):
    """Enters the working directory while we may still enter any; the last look is chapter 2's."""
    chapter, name, stage = 10, "process", Stage.TERMINAL
    cures = {("openat2", errno.ENOENT): CWD, ("openat2", errno.ENOTDIR): CWD}

    def prepare(self, spec, undo):
        self.path, self.spec = os.fsencode(spec.workdir), spec
        spec.entered = True

    def child(self):
        try:
            place = linux.openat2(linux.AT_FDCWD, self.path, os.O_PATH | os.O_DIRECTORY,
                                  linux.RESOLVE_NO_MAGICLINKS)
        except PermissionError:
            self.spec.entered = False  # perhaps its user may
            return
        linux.fchdir(place)
        linux.close(place)


class Identity(Layer):
    """Chapter 5's, but user, group and groups come by number: they are looked up nowhere, and always set."""
    chapter, name, stage = 10, "process", Stage.IDENTITY
    cures = {("setresuid", errno.EINVAL): "process.user.uid is not in the map of the user namespace",
             ("setresgid", errno.EINVAL): "process.user.gid is not in the map of the user namespace",
             ("setgroups", errno.EPERM): "an ordinary user without newgidmap has no further groups: "
                                         "leave out process.user.additionalGids"}

    def prepare(self, spec, undo):
        self.uid, self.gid, self.groups = spec.uid, spec.gid, spec.groups

    def child(self):
        linux.prctl(linux.PR_SET_KEEPCAPS, 1)
        try:
            linux.setgroups(self.groups)
        except PermissionError:
            if self.groups:
                raise
        linux.setresgid(self.gid, self.gid, self.gid)
        linux.setresuid(self.uid, self.uid, self.uid)


def chosen(spec, which):
    """The numbers of a set of process.capabilities. What this kernel does not have is told."""
    found = []
    for word in (spec.process.get("capabilities") or {}).get(which) or ():
        name = f"CAP_{word.removeprefix('CAP_')}"
        if name in CAPABILITIES[:spec.last_capability + 1]:
            found.append(CAPABILITIES.index(name))
        else:
            spec.settings["log"].warn(f"process.capabilities.{which}: no {word} here; left out")
    return found


class BoundingSet(Layer):
    """Chapter 6's, with the set that the bundle names. All by number: to load python-prctl, which has the
    names, takes a twentieth of an `exec`."""
    chapter, name, stage = 10, "process", Stage.BOUNDING_SET
    cures = {("prctl", errno.EPERM): "needs CAP_SETPCAP: be root, or have a user namespace (chapter 5)"}

    def prepare(self, spec, undo):
        self.dropped = set(range(spec.last_capability + 1)).difference(chosen(spec, "bounding"))

    def child(self):
        for number in self.dropped:
            linux.prctl(linux.PR_CAPBSET_DROP, number)


class Caps(Layer):
    """Chapter 6's, with the four sets that the bundle names; what we do not have cannot be kept."""
    chapter, name, stage = 10, "process", Stage.CAPABILITIES
    cures = {("capset", errno.EPERM): "a capability to keep must be one that we have: be root, or have a "
                                      "user namespace (chapter 5)"}

    def prepare(self, spec, undo):
        self.sets = [sum(1 << number for number in chosen(spec, which)) for which in SETS]
        self.ambient = chosen(spec, "ambient")
        self.no_new_privileges = bool(spec.process.get("noNewPrivileges"))
        # A filter is loaded last, and without no_new_privs only with this. execve takes it away: it
        # is not in the bounding set.
        self.until_execve = 0 if self.no_new_privileges or not spec.linux.get("seccomp") else 1 << SYS_ADMIN

    def child(self):
        linux.prctl(linux.PR_CAP_AMBIENT, linux.PR_CAP_AMBIENT_CLEAR_ALL)
        linux.capset(*self.held())
        for number in self.ambient:
            try:
                linux.prctl(linux.PR_CAP_AMBIENT, linux.PR_CAP_AMBIENT_RAISE, number)
            except PermissionError:
                pass  # neither permitted nor inheritable: then it cannot be ambient
        if self.no_new_privileges:
            linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)

    def held(self):
        """The sets as far as they can be had: inside another container not every one can."""
        mine = linux.capget()[1]
        effective, permitted, inheritable = self.sets
        more = self.until_execve & mine
        return effective & permitted & mine | more, permitted & mine | more, inheritable & mine


class Limits(Layer):
    """rlimits, and how soon the kernel ends it when memory runs out: set from outside, as we may more."""
    chapter, name, stage = 10, "process", Stage.LIMITS
    cures = {("prlimit", errno.EPERM): "to raise a hard limit takes CAP_SYS_RESOURCE on the machine",
             ("write", errno.EACCES): "to lower oomScoreAdj takes CAP_SYS_RESOURCE on the machine"}

    def prepare(self, spec, undo):
        self.limits, self.later = [], []
        for limit in spec.process.get("rlimits") or ():
            kind = getattr(resource, limit["type"])
            pair = tuple(-1 if limit[k] >= MOST else limit[k] for k in ("soft", "hard"))
            self.limits.append((limit["type"], kind, pair))
        self.score = spec.process.get("oomScoreAdj")
        if self.score is not None and os.geteuid() and spec.settings.get("exec"):
            self.adjust("self")  # the child has it from us: what may not be traced has a /proc of root's
            self.score = None

    def parent(self, pid, undo):
        for name, kind, pair in self.limits:
            if lowered(pid, kind, pair):
                self.later.append((kind, pair))
            else:
                named(f"process.rlimits: {name}", linux.prlimit, pid, kind, pair)
        if self.score is not None:
            self.adjust(pid)

    def adjust(self, pid):
        named(f"process.oomScoreAdj {self.score}", linux.write, f"/proc/{pid}/oom_score_adj", str(self.score))

    def child(self):
        for _, kind, pair in self.limits:
            if resource.getrlimit(kind) != pair:  # a lower one holds only from here on
                linux.setrlimit(kind, pair)


def lowered(pid, kind, pair):
    """Tells whether a process can set a limit itself, as its hard limit is no lower."""
    hard = resource.prlimit(pid, kind)[1]
    return hard == -1 or -1 != pair[1] <= hard


class Labels(Layer):
    """AppArmor's profile and SELinux's label, which hold from execve on."""
    chapter, name, stage = 10, "process", Stage.HOSTNAME  # while /proc is the machine's

    def prepare(self, spec, undo):
        self.writes, self.spec = [], spec
        profile = spec.process.get("apparmorProfile")
        if profile:
            if not exists("/sys/kernel/security/apparmor") and profile != "unconfined":
                raise LayerError(self.name, f"process.apparmorProfile {profile}", errno.ENOTSUP,
                                 "this kernel runs without AppArmor")
            path = "self/attr/apparmor/exec"
            path = path if exists(f"/proc/{path}") else "self/attr/exec"
            if exists("/sys/kernel/security/apparmor"):
                self.writes.append((path, f"exec {profile}"))
        label = spec.process.get("selinuxLabel")
        if label:
            if not exists("/sys/fs/selinux/status"):
                raise LayerError(self.name, f"process.selinuxLabel {label}", errno.ENOTSUP,
                                 "this kernel runs without SELinux")
            self.writes.append(("self/attr/exec", label))

    def child(self):
        for path, text in self.writes:
            named(text, procfs.write, self.spec.proc, path, text)
