"""Harm: what would have happened to the machine, found by comparing it before and after."""
from . import bounds

TOO_MUCH = (f"your code took more than {bounds.MEMORY >> 20} MB of memory, and was ended: on your "
            "machine it would have taken all there is")


class Harm(Exception):
    """What would have happened to the machine. The rest of a check is not tried."""


def mounts(lines):
    """mount point -> what must not change, of mountinfo (proc(5)). Which file a bound file was is
    left out: whoever replaces it outside ("//deleted") has changed no mount."""
    found = {}
    for line in lines:
        words = line.split(" ")
        kind = words.index("-")
        found[words[4]] = (words[0], words[1], words[2], words[5], words[kind + 1],
                           tuple(word.split(":")[0] for word in words[6:kind]))
    return found


def changes(was, now):
    """Raises Harm if the machine is not as it was."""
    before, after = mounts(was["mounts"]), mounts(now["mounts"])
    lost, new = sorted(before.keys() - after.keys()), sorted(after.keys() - before.keys())
    changed = sorted(at for at in before.keys() & after.keys() if before[at] != after[at])
    if now["name"] != was["name"]:
        raise Harm(f"your machine would now be called '{now['name']}': the name was set outside of "
                   "the container's UTS namespace")
    if lost and "/" in new + changed + lost:
        raise Harm(f"your machine would have another root, and would have lost {len(lost)} mounts: "
                   "pivot_root was called outside of the container's mount namespace. child() calls it, "
                   "not the parent")
    if lost:
        raise Harm(f"your machine would have lost {len(lost)} mounts ({' '.join(lost[:4])}): what "
                   "is unmounted while it is still shared is unmounted everywhere. Private means "
                   "the whole tree: AT_RECURSIVE")
    if new + changed == ["/"]:
        raise Harm("a mount would have appeared over your machine's /: it was made before the tree "
                   "was private (MS_PRIVATE comes first)")
    if new or changed:
        raise Harm(f"mounts would have appeared on your machine ({' '.join((new + changed)[:4])}): "
                   "the tree was not private (MS_PRIVATE) when the first mount was made")
    if not now["file"]:
        raise Harm("files of your machine's would be gone, such as /home/you/thesis")
