"""What a configuration must mean besides having the right form: what goes together, what does not.

Each function looks at a part, knows its form is right (config.py), and refuses by place and reason.
"""
import os

from .fields import HOOKS

MOST_PROCESSORS = 8192  # the kernel's NR_CPUS, at most
MOST_EXTENTS = 340      # of an id map, user_namespaces(7)


class Invalid(ValueError):
    """A configuration that cannot be: its text is `the.place[3].in.it: what is wrong`."""


def refuse(at, why):
    from ..layer import printable  # only now: it brings ctypes
    raise Invalid(printable(f"{at}: {why}"))  # names in a map may be anything


def everything(config):
    """Looks at all but `linux`; returns the container's namespaces, for that, and warnings."""
    version(config["ociVersion"])
    if not config["root"]["path"]:
        refuse("root.path", "is empty")
    if config.get("process") is not None:
        process(config["process"])
    for kind in HOOKS:
        for i, hook in enumerate((config.get("hooks") or {}).get(kind) or ()):
            if hook.get("timeout") is not None and hook["timeout"] < 1:
                refuse(f"hooks.{kind}[{i}].timeout", f"must be above 0, not {hook['timeout']}")
    linux = config.get("linux") or {}
    spaces = namespaces(linux)
    for field in "hostname", "domainname":
        needs(config.get(field), field, "uts", spaces)
    for field in "maskedPaths", "readonlyPaths":
        needs(linux.get(field), f"linux.{field}", "mount", spaces)
    needs(linux.get("netDevices"), "linux.netDevices", "network", spaces)
    return spaces, mounts(config.get("mounts") or (), spaces)


def needs(value, at, kind, spaces):
    """What changes a namespace needs one that is not the host's."""
    if value and kind not in spaces:
        refuse(at, f"needs a {kind} namespace in linux.namespaces, or it would be the host's")
    if value and kind == "uts" and is_host(kind, spaces[kind]):
        refuse(at, f"would change the host, whose {kind} namespace is joined")


def is_host(kind, path):
    """Tells whether a namespace to join is the one that we are in."""
    try:
        return path is not None and os.path.samefile(path, f"/proc/self/ns/{kind.removesuffix('work')}")
    except OSError:
        return False  # whoever joins it tells


def version(text):
    """1.MINOR.PATCH, whatever follows after - or +: within 1 all versions understand each other."""
    numbers = text.partition("+")[0].partition("-")[0].split(".")
    if len(numbers) != 3 or not all(n.isascii() and n.isdigit() for n in numbers):
        refuse("ociVersion", f"{text!r:.60} is no version such as 1.2.0")
    if numbers[0] != "1":
        refuse("ociVersion", f"{text!r:.60}: only versions 1.x are understood")


def process(words):
    """The program: what it is, where, and how it is scheduled."""
    args = words.get("args")
    if not args:
        refuse("process.args", "must be a list of strings with the program first")
    if not args[0]:
        refuse("process.args[0]", "is empty, which is the name of no program")
    for i, word in enumerate(words.get("env") or ()):
        if word.find("=") < 1:
            refuse(f"process.env[{i}]", f"{word!r:.60} must be NAME=VALUE")
    seen = set()
    for i, limit in enumerate(words.get("rlimits") or ()):
        if limit["type"] in seen:
            refuse(f"process.rlimits[{i}].type", f"{limit['type']} is there twice")
        seen.add(limit["type"])
        if limit["soft"] > limit["hard"]:
            refuse(f"process.rlimits[{i}].soft", f"{limit['soft']} is above hard, {limit['hard']}")
    scheduler(words.get("scheduler") or {})
    for name in "initial", "final":
        numbers((words.get("execCPUAffinity") or {}).get(name), f"process.execCPUAffinity.{name}")


def scheduler(words):
    """Which of its values mean something with its policy, as sched_setattr(2) has it."""
    policy, at = words.get("policy"), "process.scheduler"
    nice = words.get("nice") or 0
    if policy in ("SCHED_OTHER", "SCHED_BATCH") and not -20 <= nice <= 19:
        refuse(f"{at}.nice", f"must be from -20 to 19, not {nice}")
    if words.get("priority") and policy not in ("SCHED_FIFO", "SCHED_RR"):
        refuse(f"{at}.priority", f"means nothing with {policy}")
    for name in "runtime", "deadline", "period":
        if words.get(name) and policy != "SCHED_DEADLINE":
            refuse(f"{at}.{name}", f"means nothing with {policy}")
    runtime, deadline = words.get("runtime") or 0, words.get("deadline") or 0
    if policy == "SCHED_DEADLINE" and not 1024 <= runtime <= deadline <= (words.get("period") or deadline):
        refuse(at, "SCHED_DEADLINE wants 1024 <= runtime <= deadline <= period, in nanoseconds")


def numbers(text, at):
    """A list of processors or memory nodes such as 0-3,7; an empty one is none."""
    for part in text.split(",") if text else ():
        first, dash, last = (word.strip() for word in part.partition("-"))
        ends = [first, last] if dash else [first]
        if not all(end.isascii() and end.isdigit() and len(end) < 6 for end in ends):
            refuse(at, f"{text!r:.60} is no list such as 0-3,7")
        if int(ends[-1]) < int(ends[0]) or int(ends[-1]) >= MOST_PROCESSORS:
            refuse(at, f"{part.strip()} is no range from 0 to {MOST_PROCESSORS - 1}")


def namespaces(linux):
    """The namespaces that the container has of its own, made or joined: kind -> path, or None."""
    spaces = {}
    for i, space in enumerate(linux.get("namespaces") or ()):
        kind, path = space["type"], space.get("path") or None
        if kind in spaces:
            refuse(f"linux.namespaces[{i}].type", f"{kind} is there twice")
        if path and not path.startswith("/"):
            refuse(f"linux.namespaces[{i}].path", f"must be an absolute path, not {path!r:.60}")
        spaces[kind] = path
    return spaces


def ids(extents, at):
    """An id map as the kernel wants it: no extent is empty, or too long, or meets another."""
    if len(extents) > MOST_EXTENTS:
        refuse(at, f"{len(extents)} extents, and the kernel takes {MOST_EXTENTS}")
    for i, extent in enumerate(extents):
        if not extent["size"]:
            refuse(f"{at}[{i}].size", "must be above 0")
        for name in "containerID", "hostID":
            if extent[name] + extent["size"] > 2**32 - 1:
                refuse(f"{at}[{i}].size", f"{extent['size']} are too many from {extent[name]} on")
    for name in "containerID", "hostID":
        order = sorted(range(len(extents)), key=lambda i: extents[i][name])
        for one, next_ in zip(order, order[1:]):
            if extents[one][name] + extents[one]["size"] > extents[next_][name]:
                refuse(f"{at}[{next_}].{name}", f"overlaps with {at}[{one}]")


def mounts(found, spaces):
    """Where they go, and whether their owners can be shifted. Returns warnings."""
    warnings = []
    for i, mount in enumerate(found):
        at, place = f"mounts[{i}]", mount["destination"]
        if not place:
            refuse(f"{at}.destination", "is empty")
        if not place.startswith("/"):
            warnings.append(f"{at}.destination: {place!r:.60} begins with no /: taken as if it did")
        maps = [mount.get(name) or [] for name in ("uidMappings", "gidMappings")]
        if bool(maps[0]) != bool(maps[1]):
            missing = "gidMappings" if maps[0] else "uidMappings"
            refuse(f"{at}.{missing}", "is missing beside the other")
        for name, extents in zip(("uidMappings", "gidMappings"), maps):
            ids(extents, f"{at}.{name}")
        shifted = {"idmap", "ridmap"}.intersection(mount.get("options") or ())
        if shifted and not maps[0] and "user" not in spaces:
            refuse(f"{at}.options", f"{min(shifted)} by which map? There is none here, and no user "
                                    "namespace")
    return warnings
