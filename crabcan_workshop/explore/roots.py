"""What the older calls about mounts make of the state, and those that change root and directory."""
from .data import Unknown, arg, number, put, text
from .mounts import PROPAGATION, propagated
from .paths import place, start, top, walk
from .start import attributes
from .trees import attach, change, clone_tree, collect, new_filesystem, subtree

REMOUNT, BIND, MOVE, REC, NOFOLLOW = 32, 4096, 8192, 16384, 8  # MS_..., and UMOUNT_NOFOLLOW


def mount(state, event, process):
    """mount(2), which is five calls in one."""
    source, path, fstype, flags, data = (arg(event, n) for n in range(5))
    flags, where = number(flags or 0), top(state, walk(state, process, text(path)))
    kinds = [kind for kind in PROPAGATION if flags & kind]
    if flags & REMOUNT:
        return change(state, [where["mount"]], attributes=attributes(flags & 15))
    if kinds and not flags & (BIND | MOVE):
        for name in subtree(state, where["mount"]) if flags & REC else [where["mount"]]:
            now = state["mounts"][name]["propagation"]
            state = change(state, [name], propagation=propagated(now, kinds[0]))
        return state
    if flags & BIND:
        state, name = clone_tree(state, walk(state, process, text(source)), flags & REC)
        return attach(state, name, where)
    if flags & MOVE:
        moved = walk(state, process, text(source))
        if moved["path"]:
            raise Unknown("no mount to move")
        return attach(state, moved["mount"], where)
    options = {"data": data} if isinstance(data, str) else {}
    state, name = new_filesystem(state, text(fstype), source if isinstance(source, str) else "none",
                                 flags & 15, options)
    return attach(state, name, where)


def pivot_root(state, event, process):
    """The root mount and a new one change places; who stood in the old root stands in the new one."""
    new = walk(state, process, text(arg(event, 0)))["mount"]
    put_old = walk(state, process, text(arg(event, 1)))
    old, mounts = process["root"]["mount"], state["mounts"]
    if new == old or mounts[new]["namespace"] != mounts[old]["namespace"]:
        raise Unknown("no two mounts of this namespace")
    parent, at = mounts[old]["parent"], mounts[old]["at"]
    if parent == new:
        raise Unknown("the old root hangs from the new one")
    state = change(state, [new], parent=parent, at=at)
    state = change(state, [old], parent=None, at="")
    where = top(state, put_old)
    if where["mount"] not in subtree(state, new):
        raise Unknown("the place for the old root is not in the new one")
    state = change(state, [old], parent=where["mount"], at=where["path"])
    namespace = mounts[new]["namespace"]
    if namespace and state["namespaces"][namespace].get("root") == old:
        state = put(state, "namespaces", namespace, "root", new)
    for side, other in state["processes"].items():
        for name in "root", "cwd":
            if other[name] == place(old):
                state = put(state, "processes", side, name, place(new))
    return state


def umount2(state, event, process):
    where = walk(state, process, text(arg(event, 0)))
    if not number(arg(event, 1, 0)) & NOFOLLOW or where["path"] == "":
        where = top(state, where)
    if where["path"]:
        raise Unknown("nothing is mounted there")
    names = subtree(state, where["mount"])
    if state["mounts"][where["mount"]]["parent"] is None and state["mounts"][where["mount"]]["namespace"]:
        raise Unknown("the root of a namespace stays")
    return collect(change(state, names, namespace=None, parent=None, at=""))


def chdir(state, event, process):
    return put(state, "processes", process["side"], "cwd", walk(state, process, text(arg(event, 0))))


def fchdir(state, event, process):
    where = start(state, process, number(arg(event, 0)))
    return put(state, "processes", process["side"], "cwd", where)


def chroot(state, event, process):
    where = walk(state, process, text(arg(event, 0)))
    return put(state, "processes", process["side"], "root", where)
