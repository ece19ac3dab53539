"""What version 2 says in another way than linux.resources, which was written for version 1."""
from ... import linux
from ...layer import exists
from .words import PERIOD, refused


def meant(options, path, resources):
    """The same options as version 2 understands them; what they leave open, the cgroup has."""
    meant = dict(options)
    if resources.get("memory", {}).get("useHierarchy") is True:
        meant.pop("memory.useHierarchy", None)  # never otherwise
    if "cpu.quota" in options or "cpu.period" in options:
        quota, period = (value(path, "cpu.max") or f"max {PERIOD}").split()
        if "cpu.quota" in options:
            quota = options["cpu.quota"] if options["cpu.quota"] > 0 else "max"
        meant["cpu.max"] = f"{quota} {options.get('cpu.period', period)}"
    if options.get("memory.limit") == -1:
        meant.setdefault("memory.swap", -1)
    if meant.get("memory.swap", -1) >= 0:
        meant["memory.swap"] = swap(options, path)
    if not exists(f"{path}/memory.swap.max") and meant.get("memory.swap") in (0, -1):
        meant["memory.swap"] = None  # a kernel without swap has that anyway
    if resources.get("memory", {}).get("checkBeforeUpdate"):
        check(options, path)
    return {option: meant[option] for option in sorted(meant, key=place)}


def place(option):
    """Quota and period come after the weight and before the burst that needs them."""
    return {"cpu.shares": 0, "cpu.max": 1}.get(option, 2)


def value(path, file):
    return linux.read(f"{path}/{file}").strip() if exists(f"{path}/{file}") else ""


def swap(options, path):
    """Swap alone: the specification counts memory and swap together."""
    both, memory = options["memory.swap"], options.get("memory.limit")
    if memory is None:
        now = value(path, "memory.max")
        if not now.isdigit():
            raise refused("memory.swap", "unable to set swap limit without memory limit")
        memory = int(now)
    if memory < 0:
        return both
    if both < memory:
        raise refused("memory.swap", "memory+swap limit should be >= memory limit")
    return both - memory


def check(options, path):
    """Version 1 refuses a limit below what is in use; version 2 would kill for it."""
    usage = int(value(path, "memory.current") or 0)
    for option, what in ("memory.swap", "memory+swap limit"), ("memory.limit", "memory limit"):
        if 0 < options.get(option, -1) <= usage:
            raise refused(option, f"rejecting {what} {options[option]} <= usage {usage}")


def unified(path, files):
    """Yields (option, path, line) for what is asked for in version 2's own words."""
    there = value(path, "cgroup.controllers").split()
    for file, text in files.items():
        option = f"unified[{file!r}]"
        controller, dot, _ = file.partition(".")
        if "/" in file or "\0" in file:
            raise refused(option, "must be a file name (no slashes)")
        if not dot or not controller:
            raise refused(option, "must be in the form CONTROLLER.PARAMETER")
        if not exists(f"{path}/{file}") and controller not in [*there, "cgroup"]:
            raise refused(option, f"can't be set: controller '{controller}' not available")
        for line in text.splitlines():
            yield option, f"{path}/{file}", line
