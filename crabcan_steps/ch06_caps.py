"""Chapter 6: root's power, cut in some forty capabilities, and dropped from all five sets.

capabilities(7). Permitted and effective are what a thread may do now; inheritable and ambient what
survives an execve; the bounding set is the ceiling of what any later program can gain.
"""
import sys

import prctl

from . import linux
from .layer import Layer, Stage


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


class BoundingSet(Layer):
    """Empties the bounding set: not even a set-user-ID program gets a capability back."""
    chapter, name, stage = 6, "caps", Stage.BOUNDING_SET
    cures = {("capbset_drop", 1): "needs CAP_SETPCAP: be root, or have a user namespace (chapter 5)"}

    def prepare(self, spec, undo):
        with open("/proc/sys/kernel/cap_last_cap") as file:  # while there is a /proc to ask
            self.last = int(file.read())

    def child(self):
        for capability in range(self.last + 1):
            capbset_drop(capability)


class Capabilities(Layer):
    """Empties the other four sets, and forbids to gain privileges by execve."""
    chapter, name, stage = 6, "caps", Stage.CAPABILITIES

    def child(self):
        linux.prctl(linux.PR_CAP_AMBIENT, linux.PR_CAP_AMBIENT_CLEAR_ALL)
        linux.capset(0, 0, 0)  # effective, permitted, inheritable: set in the kernel, not on a copy
        set_no_new_privs()


if __name__ == "__main__":
    from crabcan_steps.ch09_runtime import main  # the door to all checkpoints
    sys.exit(main(["step", "6", *sys.argv[1:]]))
