"""Trees of mounts: copied, changed, hung somewhere, forgotten. What the calls about mounts are made of."""
from .data import Unknown, new_id, put
from .paths import below, place, source_of, top
from .start import attributes


def copy(state, names, namespace=None):
    """Mounts once more, not attached: (state, {old id: new id}). The first of them is the root."""
    copies, new = {}, {}
    for name in names:
        mount = state["mounts"][name]
        copies[name] = copied = new_id({**state["mounts"], **new}, "m")
        new[copied] = {**mount, "namespace": namespace, "parent": copies.get(mount["parent"]),
                       "at": mount["at"] if mount["parent"] in copies else ""}
    return {**state, "mounts": {**state["mounts"], **new}}, copies


def subtree(state, name):
    """A mount and all that hang from it, those above first."""
    return [name, *below(state, place(name))]


def change(state, names, **fields):
    """Sets the same fields of some mounts."""
    changed = {name: {**state["mounts"][name], **fields} for name in names}
    return {**state, "mounts": {**state["mounts"], **changed}}


def clone_tree(state, where, recursive):
    """A second view of the files at a place, not attached: (state, id)."""
    names = [where["mount"], *(below(state, where) if recursive else ())]
    shown = source_of(state, where)
    state, copies = copy(state, names)
    first = copies[where["mount"]]
    for name in names[1:]:
        if state["mounts"][name]["parent"] == where["mount"]:
            at = state["mounts"][name]["at"][len(where["path"]):]
            state = change(state, [copies[name]], at=at)
    return change(state, [first], root=shown), first


def attach(state, name, where):
    """Hangs a mount, and what hangs from it, at a place."""
    where = top(state, where)
    onto = state["mounts"][where["mount"]]
    if where["mount"] in subtree(state, name):
        raise Unknown("a mount cannot hang from itself")
    state = change(state, subtree(state, name), namespace=onto["namespace"])
    state = change(state, [name], parent=where["mount"], at=where["path"])
    if "shared" in onto["propagation"].split():
        for each in subtree(state, name):
            own = state["mounts"][each]["propagation"]
            state = change(state, [each], propagation="shared slave" if "slave" in own else "shared")
    return state


def collect(state):
    """Forgets the mounts that are attached to nothing and that nobody holds any more."""
    held = set()
    for process in state["processes"].values():
        held |= {process["root"]["mount"], process["cwd"]["mount"]}
        for found in process["descriptors"].values():
            held |= {found.get("mount"), found.get("place", {}).get("mount")}
    loose = [name for name, mount in state["mounts"].items()
             if mount["namespace"] is None and mount["parent"] is None]
    gone = [each for name in loose if not held.intersection(tree := subtree(state, name)) for each in tree]
    if not gone:
        return state
    return {**state, "mounts": {n: m for n, m in state["mounts"].items() if n not in gone}}


def new_filesystem(state, fstype, source, bits, options, root="/"):
    """A mount of a file system that was made here, not attached: (state, id)."""
    name, device = new_id(state["mounts"], "m"), f"new:{state['events']}"
    mount = {"namespace": None, "parent": None, "at": "", "root": root, "fstype": fstype,
             "source": source, "device": device, "attributes": attributes(bits),
             "propagation": "private", "options": options, "idmapped": False}
    return put(state, "mounts", name, mount), name


def shown(state, process, fstype, data=""):
    """What of a file system one sees who mounts it: of cgroups, those from one's own namespace's root on."""
    roots, words = state["namespaces"][process["namespaces"]["cgroup"]["id"]]["roots"], data.split(",")
    found = {"cgroup2": [path for names, path in roots.items() if not names], "cgroup": [
        path for names, path in roots.items() if any(name in words for name in names.split(",") if name)]}
    return next(iter(found.get(fstype, [])), "/")
