"""With --systemd-cgroup: a scope asked of systemd, which then knows of the container's limits.

org.freedesktop.systemd1(5). A change behind its back would last until it next looks; so the limits
that it knows are told to it, and all of them are then written as without it.
"""
import os
import time

from ... import linux
from ...layer import LayerError, exists
from . import tree
from .properties import arguments, limits, of_annotations

CALL = ["/usr/bin/busctl", "--quiet", "call", "org.freedesktop.systemd1",
        "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager"]
LONGEST = 30  # seconds, for systemd to do what it has been asked for


def prepare(groups, path, spec):
    """Looks whether it can be done, and returns what parent() has to ask for."""
    if not os.path.isdir("/run/systemd/system"):
        raise LayerError("cgroups", "systemd not running on this host", 0,
                         "cannot use systemd cgroups manager")
    words = path.split(":") if path else ["", "crabcan", spec.id]
    if len(words) != 3:
        raise LayerError("cgroups", "linux.cgroupsPath", 0, "expected cgroupsPath to be of format "
                         f"\"slice:prefix:name\" for systemd cgroups, got '{path}' instead")
    parent, prefix, name = words
    groups["user"] = tree.rootless()
    if groups["user"] and groups["version"] == 1:
        raise LayerError("cgroups", "cannot use rootless systemd cgroups manager on cgroup v1", 0)
    groups["unit"] = name if name.endswith(".slice") else f"{prefix}-{name}.scope"
    parent = parent or ("user.slice" if groups["user"] else "system.slice")
    nested(parent)  # now, while nothing has been made
    return {"parent": parent, "id": spec.id, "more": of_annotations(spec.config.get("annotations"))}


def nested(slice_):
    """Where a slice is: a-b.slice is in a.slice (systemd.slice(5))."""
    words = slice_.removesuffix(".slice").split("-")
    if slice_ == "-.slice":
        return ""
    if not slice_.endswith(".slice") or "/" in slice_ or "" in words:
        raise LayerError("cgroups", "linux.cgroupsPath", 0, f"invalid slice name: {slice_}")
    return "".join(f"/{'-'.join(words[:count])}.slice" for count in range(1, len(words) + 1))


def start(groups, unit, resources, pid):
    """Asks for the scope with the waiting child in it, and waits until it is there."""
    scope = groups["unit"].endswith(".scope")
    properties = [("Description", "s", f"crabcan container {unit['id']}"),
                  ("DefaultDependencies", "b", "false"), ("PIDs", "au", [pid]),
                  ("CollectMode", "s", "inactive-or-failed"),  # nothing to clean up for the next one
                  ("Slice" if scope else "Wants", "s" if scope else "as",
                   unit["parent"] if scope else [unit["parent"]])]
    properties += [("Delegate", "b", "true")] if scope else []
    properties += [(f"{name}Accounting", "b", "true") for name in (
        "Memory", "CPU", "IO" if groups["version"] == 2 else "BlockIO", "Tasks")]
    properties += unit["more"] + limits(groups["version"], resources)
    words = ["StartTransientUnit", "ssa(sv)a(sa(sv))", groups["unit"], "replace",
             *arguments(properties), "0"]
    try:
        ask(groups, words)
    except LayerError as error:
        if "already" not in error.about:
            raise
        ask(groups, ["ResetFailedUnit", "s", groups["unit"]])
        ask(groups, words)
    moved(groups, pid)


def moved(groups, pid):
    """Waits until the child is where it shall be, and finds the directories of all trees there."""
    deadline = time.monotonic() + LONGEST
    known = "" if groups["version"] == 2 else "name=systemd"
    while not (path := tree.own_path(known, pid)).endswith(f"/{groups['unit']}"):
        if time.monotonic() > deadline:
            raise LayerError("cgroups", "systemd", 0, f"did not make {groups['unit']} in time")
        time.sleep(0.001)
    for controller, (top, _) in tree.trees().items():
        groups["paths"][controller] = top + path
        if controller not in ("", known):
            tree.descend(top, top + path, groups["made"])
            linux.write(f"{top}{path}/cgroup.procs", str(pid))


def attach(groups, place, pid):
    """Has systemd move a process of ours to a directory of the unit: from where we are, we may not."""
    inner = place.removeprefix(groups["paths"][""])
    ask(groups, ["AttachProcessesToUnit", "ssau", groups["unit"], inner, "1", str(pid)])
    if tree.ROOT + tree.own_path("", pid) != place:
        raise LayerError("cgroups", "systemd", 0, f"did not move the new process to {place}")


def change(groups, resources):
    """Tells systemd of new limits."""
    if properties := limits(groups["version"], resources):
        ask(groups, ["SetUnitProperties", "sba(sv)", groups["unit"], "true", *arguments(properties)])


def stop(groups):
    """Has systemd end the unit, if it has not ended with its last process."""
    if not any(exists(path) for path in groups["paths"].values()):
        return
    try:
        ask(groups, ["StopUnit", "ss", groups["unit"], "replace"])
    except LayerError as error:
        if "not loaded" not in error.about:
            raise


def ask(groups, words):
    """Makes a call of systemd's. Raises LayerError with its own words if it refuses."""
    said = linux.memfd_create("busctl", 0)
    try:
        call = CALL[:1] + (["--user"] if groups["user"] else []) + CALL[1:] + words
        files = [(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0),
                 (os.POSIX_SPAWN_DUP2, said, 2)]
        child = linux.posix_spawn(call[0], call, os.environ, setsigmask=(), file_actions=files)
        if linux.waitpid(child, 0)[1]:
            raise LayerError("cgroups", f"systemd: {words[0]}", 0,
                             os.pread(said, 4096, 0).decode(errors="replace").strip())
    except FileNotFoundError:
        raise LayerError("cgroups", "systemd", 0, f"{CALL[0]} is not here to ask it") from None
    finally:
        linux.close(said)
