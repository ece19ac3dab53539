"""Names in linux.resources as programs in Go write and read them: there CPU is cpu, too.

The specification spells them in one way only; its readers in Go take any case, and some files of
theirs rely on it. What would be passed over here would be a limit less."""
from .limits import LIMITS

GROUPS = ("memory", "cpu", "pids", "blockIO", "network", "hugepageLimits", "rdma", "unified",
          "devices")
INNER = [option.partition(".")[2] for option in LIMITS] + [
    "checkBeforeUpdate", "pageSize", "limit", "allow", "type", "major", "minor", "access", "rate",
    "weight", "leafWeight", "name", "priority"]


def canonical(resources, version="1.3"):
    """The same with known names in the specification's spelling. Unknown ones are let be.

    Before version 1.3 a pids.limit of 0 is Go's zero, where nobody had said anything: no limit."""
    spelling = {name.lower(): name for name in GROUPS}
    found = respelt(resources, spelling)
    spelling = {name.lower(): name for name in INNER}
    for group, value in found.items():
        if isinstance(value, dict) and group not in ("rdma", "unified"):
            found[group] = {name: each(part, spelling) for name, part in
                            respelt(value, spelling).items()}
        else:
            found[group] = each(value, spelling)
    if [int(number) for number in version.split(".")[:2]] < [1, 3] and found.get("pids") == {"limit": 0}:
        del found["pids"]
    return found


def each(value, spelling):
    """A list of objects, each of them respelt; anything else as it is."""
    if isinstance(value, list):
        return [respelt(one, spelling) if isinstance(one, dict) else one for one in value]
    return value


def respelt(words, spelling):
    """An object with its names in the right case. Of two that are the same, the right one counts."""
    found = {spelling.get(name.lower(), name): value for name, value in words.items()}
    return found | {name: words[name] for name in words if name in found}
