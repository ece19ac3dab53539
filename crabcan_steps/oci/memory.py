"""linux.memoryPolicy: from which of the machine's memory nodes the container's memory comes."""
import errno

from .. import linux
from ..layer import Layer, Stage
from .fields_linux import MEMORY_FLAGS

MODES = ("MPOL_DEFAULT", "MPOL_PREFERRED", "MPOL_BIND", "MPOL_INTERLEAVE", "MPOL_LOCAL",
         "MPOL_PREFERRED_MANY", "MPOL_WEIGHTED_INTERLEAVE")  # in the order of their numbers
BITS = dict(zip(MEMORY_FLAGS, (1 << 13, 1 << 14, 1 << 15)))  # <linux/mempolicy.h>


class MemoryPolicy(Layer):
    """set_mempolicy(2): what a process has its children have, and execve leaves it."""
    chapter, name, stage = 10, "memory", Stage.LIMITS
    cures = {("set_mempolicy", errno.EINVAL): "linux.memoryPolicy: are these nodes of this machine, and "
                                              "known to this kernel? /sys/devices/system/node/online"}

    def prepare(self, spec, undo):
        words = spec.linux.get("memoryPolicy")
        self.mode = words and MODES.index(words["mode"]) | sum(
            BITS[flag] for flag in set(words.get("flags") or ()))
        self.nodes = mask(words.get("nodes") or "") if words else b""

    def child(self):
        if self.mode is not None:
            linux.set_mempolicy(self.mode, self.nodes)


def mask(text):
    """A list such as 0-3,7 as bits, in whole words of the kernel's."""
    bits = 0
    for part in text.split(",") if text else ():
        first, _, last = part.partition("-")
        for node in range(int(first), int(last or first) + 1):
            bits |= 1 << node
    return bits.to_bytes(-(-bits.bit_length() // 64) * 8, "little")
