"""Chapter 6: root's power, cut in some forty capabilities, and dropped from all five sets.

capabilities(7). Permitted and effective are what a thread may do now; inheritable and ambient what
survives an execve; the bounding set is the ceiling of what any later program can gain.
"""
import prctl

from . import linux
from .layer import Layer, LayerError, Stage, warn

YOUNGER = {"PERFMON": 38, "BPF": 39, "CHECKPOINT_RESTORE": 40}  # than python-prctl
KNOWN = YOUNGER | {word.upper(): getattr(prctl, f"CAP_{word.upper()}")
                   for word in prctl.ALL_CAP_NAMES if word != "last_cap"}  # not a capability: the end
SETS = {"none": (), "docker": (  # what Docker leaves to root
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE",
    "NET_RAW", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"), "all": tuple(KNOWN)}


def number(name):
    """A capability's number, by its name without CAP_. Raises LayerError if there is none such."""
    if name not in KNOWN:
        import difflib  # only now: it costs 5 ms
        near = difflib.get_close_matches(name, KNOWN, 1)
        hint = f": did you mean {near[0]}?" if near else ": capabilities(7) lists them"
        raise LayerError("caps", "--cap-add", 0, f"no capability {name}{hint}")
    return KNOWN[name]


@linux.system_call
def capbset_drop(capability):
    """Removes a capability from the bounding set (prctl(2), PR_CAPBSET_DROP)."""
    if capability in prctl.ALL_CAPS:
        prctl.capbset_drop(capability)
    else:  # younger than python-prctl, and no weaker for that
        linux.prctl(linux.PR_CAPBSET_DROP, capability)


@linux.system_call
def set_no_new_privs():
    """Forbids this process and all that come of it to gain privileges by execve."""
    prctl.set_no_new_privs(1)


class Choice(Layer):
    """Which capabilities stay: a set, less --cap-drop, and --cap-add.

    The set is root's. Another user gets what --cap-add names, and nothing by the way."""
    chapter, name = 6, "caps"
    options = {"caps": "--caps", "cap_add": "--cap-add", "cap_drop": "--cap-drop"}

    def prepare(self, spec, undo):
        last = int(linux.read("/proc/sys/kernel/cap_last_cap"))
        every = [name for name, value in KNOWN.items() if value <= last]
        for name in {*spec.cap_add, *spec.cap_drop} - {"ALL"}:
            if number(name) > last:
                raise LayerError(self.name, "caps", 0, f"this kernel has no {name}: it is older")
        begin = every if "ALL" in spec.cap_add else SETS[spec.caps] if spec.uid == 0 else ()
        drop = every if "ALL" in spec.cap_drop else spec.cap_drop
        begin = [name for name in begin if name in every and name not in drop]
        wanted = [*begin, *(name for name in spec.cap_add if name not in (*begin, "ALL"))]
        for name in spec.withheld.intersection(wanted):
            warn(f"{name} is not given: the host would believe what it writes into the files of --mount "
                 "and --add, whose owners are shifted (chapter 5)")
        spec.cap_add = [name for name in wanted if name not in spec.withheld]
        spec.kept = set(spec.cap_add)


class BoundingSet(Layer):
    """Empties the bounding set: not even a set-user-ID program gets a capability back."""
    chapter, name, stage = 6, "caps", Stage.BOUNDING_SET
    cures = {("capbset_drop", 1): "needs CAP_SETPCAP: be root, or have a user namespace (chapter 5)"}

    def prepare(self, spec, undo):
        self.kept = [number(name) for name in spec.cap_add]
        self.last = int(linux.read("/proc/sys/kernel/cap_last_cap"))  # while there is a /proc to ask

    def child(self):
        for capability in range(self.last + 1):
            if capability not in self.kept:
                capbset_drop(capability)


class Capabilities(Layer):
    """Empties the other four sets too, and forbids to gain privileges by execve."""
    chapter, name, stage = 6, "caps", Stage.CAPABILITIES
    cures = {("capset", 1): "a capability to keep must be one that we have: be root, or have a "
                            "user namespace (chapter 5)"}

    def prepare(self, spec, undo):
        self.kept = [number(name) for name in spec.cap_add]

    def child(self):
        kept = sum(1 << capability for capability in set(self.kept))
        linux.prctl(linux.PR_CAP_AMBIENT, linux.PR_CAP_AMBIENT_CLEAR_ALL)
        linux.capset(kept, kept, kept)  # effective, permitted, inheritable: in the kernel, not on a copy
        for capability in self.kept:    # ambient: an execve by another user than root needs it
            linux.prctl(linux.PR_CAP_AMBIENT, linux.PR_CAP_AMBIENT_RAISE, capability)
        set_no_new_privs()
