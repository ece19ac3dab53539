"""How the kernel is to treat the program: scheduler, ioPriority, personality, processors."""
import errno
import struct

from .. import linux
from ..layer import Layer, Stage

POLICIES = ("SCHED_OTHER", "SCHED_FIFO", "SCHED_RR", "SCHED_BATCH", "SCHED_ISO", "SCHED_IDLE",
            "SCHED_DEADLINE")  # in the order of their numbers, <linux/sched.h>
SCHED_FLAGS = ("RESET_ON_FORK", "RECLAIM", "DL_OVERRUN", "KEEP_POLICY", "KEEP_PARAMS",
               "UTIL_CLAMP_MIN", "UTIL_CLAMP_MAX")  # a bit each
IO_CLASSES = ("IOPRIO_CLASS_NONE", "IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE")
PERSONALITIES = {"LINUX": 0, "LINUX32": 8}  # <linux/personality.h>


class Scheduling(Layer):
    """scheduler, ioPriority, personality, and the processors of `exec`."""
    chapter, name, stage = 10, "process", Stage.LIMITS
    cures = {("sched_setattr", errno.EPERM): "real time takes CAP_SYS_NICE on the machine; where cgroups share it out "
                                             "(version 1), linux.resources.cpu.realtimeRuntime, too"}

    def prepare(self, spec, undo):
        self.attributes = scheduler(spec.process.get("scheduler"))
        priority = spec.process.get("ioPriority")
        self.io = priority and IO_CLASSES.index(priority["class"]) << 13 | (priority.get("priority") or 0)
        persona = spec.linux.get("personality")
        self.persona = persona and PERSONALITIES[persona["domain"]]
        self.final = ((spec.process.get("execCPUAffinity") or {}).get("final")
                      if spec.settings.get("exec") else None)
        self.final = self.final and cpus(self.final)

    def child(self):
        if self.persona is not None:
            linux.personality(self.persona)
        if self.attributes:
            linux.sched_setattr(self.attributes)
        if self.io is not None:
            linux.ioprio_set(self.io)
        if self.final:
            linux.sched_setaffinity(0, self.final)


def scheduler(words):
    """struct sched_attr of sched_setattr(2), or None."""
    if not words:
        return None
    flags = sum(1 << SCHED_FLAGS.index(flag.removeprefix("SCHED_FLAG_"))
                for flag in words.get("flags") or ())
    return struct.pack("2IQiI3Q", 48, POLICIES.index(words["policy"]), flags, words.get("nice") or 0,
                       words.get("priority") or 0,
                       *(words.get(name) or 0 for name in ("runtime", "deadline", "period")))


def cpus(text):
    """A list such as 0-3,7 as numbers."""
    found = set()
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found
