"""Version 2: what a container may do with its own cgroup, and where its next process can be."""
import os
import posixpath

from ... import linux
from ...layer import exists
from .tree import ROOT, own_path

ELSEWHERE = ("an ordinary user moves nobody from one part of the tree to another (cgroups(7)): call us "
             "as `create` was called, or create with --systemd-cgroup")


def leaf(path, init):
    """Version 2: the directory to be born in. Where limits are passed on to the directories below,
    the kernel wants nobody in the one above (cgroups(7)): then where the first process is."""
    if init and linux.read(f"{path}/cgroup.subtree_control").strip():
        return ROOT + own_path("", init)
    return path


def within_reach(groups, place):
    """Version 2: whether we may put a child of ours there. The kernel asks for the right to write
    there, and where our part of the tree and that one meet."""
    own = posixpath.normpath(ROOT + own_path(""))
    return groups["version"] != 2 or all(
        os.access(f"{path}/cgroup.procs", os.W_OK) for path in (posixpath.commonpath([own, place]), place))


def hand_over(groups, config):
    """Version 2: gives the cgroup to the container's root, if it has one of its own and may write.

    The specification says when; the kernel lists the files that may be given away."""
    linux_, uid = config.get("linux") or {}, ((config.get("process") or {}).get("user") or {})
    kinds = [one.get("type") for one in linux_.get("namespaces") or () if not one.get("path")]
    mounted = [one for one in config.get("mounts") or () if one.get("type") in ("cgroup", "cgroup2")
               and one.get("destination") == ROOT and "ro" not in (one.get("options") or ())]
    if groups["version"] != 2 or not mounted or not {"user", "cgroup"} <= set(kinds):
        return
    for part in linux_.get("uidMappings") or ():
        inner = uid.get("uid", 0) - part["containerID"]
        if 0 <= inner < part["size"]:
            owner, path = part["hostID"] + inner, groups["paths"][""]
            delegated = "/sys/kernel/cgroup/delegate"
            files = linux.read(delegated).split() if exists(delegated) else [
                "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"]
            linux.chown(path, owner, -1)
            for file in files:
                if exists(f"{path}/{file}"):
                    linux.chown(f"{path}/{file}", owner, -1)
