"""Whose namespace a process joins, by a descriptor (setns(2))."""
import re

from .data import Unknown, arg, new_id, number, put
from .namespaces import FLAGS, enter

JOINED = re.compile(r"/proc/(self|thread-self|\d+)/ns/(\w+?)(?:_for_children)?", re.ASCII)
STRANGE = {"net": {"links": {}, "routes": []}, "uts": {"hostname": None}, "cgroup": {"roots": {}}, "ipc": {}, "pid": {},
           "time": {}}  # what we then say of one; of a user or mount namespace one would have to know more


def setns(state, event, process):
    """Joins the namespace behind a descriptor."""
    found = process["descriptors"].get(str(number(arg(event, 0))), {})
    name = found.get("id")
    if name is None:
        state, name = strange(state, found, number(arg(event, 1, 0)))
    kind = state["namespaces"][name]["kind"]
    if kind in ("pid", "time"):
        return put(state, "processes", process["side"], "next", kind, name)
    return enter(state, process["side"], kind, name, "joined")


def strange(state, found, flags):
    """A namespace of which the recording knows only that it is another one: it was there before, under some path."""
    path = found.get("path") or found.get("place", {}).get("path")
    named = JOINED.fullmatch(path or "")
    kinds = [named[2]] if named else [kind for kind, flag in FLAGS.items() if flags & flag]
    kind = kinds[0] if len(kinds) == 1 else None
    if not path or kind not in STRANGE:
        raise Unknown("a namespace that the recording does not know")
    known = [name for name, space in state["namespaces"].items() if (space["kind"], space.get("path")) == (kind, path)]
    if known:
        return state, known[0]
    name = new_id(state["namespaces"], f"{kind}:")
    return put(state, "namespaces", name, {"kind": kind, "owner": "user:0", "path": path, **STRANGE[kind]}), name


def behind(state, process, path):
    """The namespace that a path of /proc leads to just now, or None if the recording does not know it."""
    whose, kind = JOINED.fullmatch(path).groups()
    every = [process] if whose.endswith("self") else state["processes"].values()
    for other in every:
        if whose.endswith("self") or str(other["pid"]) == whose:
            return other["namespaces"].get(kind, {}).get("id")
    return None
