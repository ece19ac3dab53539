"""update: other limits for a container that is there, from a file or from single options."""
import json
import sys

from ...args import values
from ...layer import LayerError

OPTIONS = {  # option of the command line: where linux.resources has it
    "blkio-weight": ("blockIO", "weight"), "cpu-period": ("cpu", "period"),
    "cpu-quota": ("cpu", "quota"), "cpu-burst": ("cpu", "burst"), "cpu-share": ("cpu", "shares"),
    "cpu-rt-period": ("cpu", "realtimePeriod"), "cpu-rt-runtime": ("cpu", "realtimeRuntime"),
    "cpu-idle": ("cpu", "idle"), "cpuset-cpus": ("cpu", "cpus"), "cpuset-mems": ("cpu", "mems"),
    "memory": ("memory", "limit"), "memory-swap": ("memory", "swap"),
    "memory-reservation": ("memory", "reservation"), "kernel-memory": ("memory", "kernel"),
    "kernel-memory-tcp": ("memory", "kernelTCP"), "pids-limit": ("pids", "limit")}
NEVER_NEGATIVE = ("blkio-weight", "cpu-period", "cpu-burst", "cpu-share", "cpu-rt-period")
RESCTRL = ("l3-cache-schema", "mem-bw-schema")


def update(state, options):
    """Changes limits: those of "resources" (a file, or - for stdin), or else the single options.

    A limit that cannot be had leaves all as they were. Raises LayerError."""
    if state["status"] == "stopped":
        raise LayerError("update", "container not running", 0, state["id"])
    for name in RESCTRL:
        if options.get(name):
            raise LayerError("update", f"--{name}", 0, "this is not changed after create")
    if source := options.get("resources"):
        resources = from_file(source, state.get("ociVersion", "1.3"))
    else:
        resources = {}
        for name, (group, key) in OPTIONS.items():
            if options.get(name) not in (None, ""):
                resources.setdefault(group, {})[key] = value(name, str(options[name]))
    from ..cgroups.update import update as change
    change(state["cgroups"], resources)
    return 0


def from_file(source, version):
    """The resources of a file, in the specification's spelling."""
    try:
        if source == "-":
            found = json.load(sys.stdin)
        else:
            with open(source) as file:
                found = json.load(file)
    except (ValueError, RecursionError) as error:
        raise LayerError("update", f"--resources {source}", 0, f"not JSON: {error}") from None
    if not isinstance(found, dict):
        raise LayerError("update", f"--resources {source}", 0, "an object is wanted")
    from ..cgroups.names import canonical
    return canonical(found, version)


def value(name, text):
    """An option's value. Sizes may have a unit, as in 64M; -1 is no limit."""
    try:
        if name.startswith("cpuset"):
            return text
        if "memory" in name:
            return -1 if text == "-1" else values.size(text)
        number = int(text)
        if number < 0 and name in NEVER_NEGATIVE:
            raise ValueError(f"'{text}': must not be negative")
        return number
    except ValueError as error:
        raise LayerError("update", f"invalid value for {name}", 0, str(error)) from None
