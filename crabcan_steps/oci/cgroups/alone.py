"""A container has a cgroup of its own: nobody else's, also while it is being made."""
import fcntl
import os

from ... import linux
from ...layer import LayerError
from .processes import processes
from .record import frozen, main


def claim(groups, undo):
    """Locks the first directory, before there are others: two may want the same at once.

    The lock ends with us; by then our process is seen in there. See hold() in sweep.py."""
    fd = linux.open(main(groups), os.O_RDONLY | os.O_DIRECTORY)
    undo.callback(linux.close, fd)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        groups["made"].clear()  # perhaps by us, but theirs now
        found = processes(groups)
        raise LayerError("cgroups", "container's cgroup is not empty", 0,
                         f"{len(found)} process(es) found" if found else
                         "another container is just being created in it") from None


def alone(groups):
    """A container has a cgroup of its own, where nobody else is, and everybody can run."""
    if found := processes(groups):
        raise LayerError("cgroups", "container's cgroup is not empty", 0,
                         f"{len(found)} process(es) found")
    if frozen(groups):
        raise LayerError("cgroups", "container's cgroup unexpectedly frozen", 0, main(groups))
