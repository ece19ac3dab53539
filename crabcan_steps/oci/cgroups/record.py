"""What a container's record says of its cgroups, and whether they are frozen: each `state` asks that,
and each `exec`, so nothing else is loaded for it."""
import errno

from ... import linux
from ...layer import LayerError


def main(groups):
    """The directory that tells who is in the container. Raises LayerError if there is none."""
    for controller in "", "freezer", "pids", "devices", "name=systemd":
        if controller in groups["paths"]:
            return groups["paths"][controller]
    for path in groups["paths"].values():
        return path
    raise LayerError("cgroups", "the container has no cgroup", errno.ENOENT,
                     "it was made by a user who may make none")


def frozen(groups):
    """Whether somebody has frozen the container's cgroup itself (not one above or below it)."""
    try:
        if "freezer" in groups["paths"]:
            return linux.read(f"{groups['paths']['freezer']}/freezer.self_freezing").strip() == "1"
        return bool(groups["paths"]) and linux.read(f"{main(groups)}/cgroup.freeze").strip() == "1"
    except FileNotFoundError:
        return False  # version 2's top has no such file, and who is gone is not frozen
