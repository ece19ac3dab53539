"""--explore, for chapter 9: a recording in memory, and in the end the classroom's page of it."""
import os
import sys

from .. import linux
from ..layer import warn

MODULE = "crabcan_workshop"  # started, not imported: it knows us, and we do not know it


def begin(spec):
    """Has the calls recorded, into memory that has no name, unless the user has named a file."""
    if spec.trace is None:
        spec.trace = f"/proc/self/fd/{os.memfd_create('recording')}"


def finish(spec):
    """Makes the page of what was recorded. Only the container's status counts for ours."""
    command = [sys.executable or "python3", "-P", "-m", MODULE, "explore", "-"]
    with open(spec.trace, "rb") as recording:
        actions = [(os.POSIX_SPAWN_DUP2, recording.fileno(), 0), (os.POSIX_SPAWN_DUP2, 2, 1)]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        child = linux.posix_spawn(command[0], command, environment, file_actions=actions)
    if linux.waitpid(child, 0)[1]:
        warn("--explore: no page was made")
