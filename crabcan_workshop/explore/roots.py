"""What the older calls about mounts make of the state, and those that change the directory."""
from .data import Unknown, arg, number, put, text
from .mounts import PROPAGATION, propagated
from .paths import start, top, walk
from .start import attributes
from .trees import attach, change, clone_tree, new_filesystem, shown, subtree

REMOUNT, BIND, MOVE, REC = 32, 4096, 8192, 16384  # MS_...


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
                                 flags & 15, options, shown(state, process, fstype, options.get("data", "")))
    return attach(state, name, where)



def chdir(state, event, process):
    return put(state, "processes", process["side"], "cwd", walk(state, process, text(arg(event, 0))))


def fchdir(state, event, process):
    where = start(state, process, number(arg(event, 0)))
    return put(state, "processes", process["side"], "cwd", where)


def chroot(state, event, process):
    where = walk(state, process, text(arg(event, 0)))
    return put(state, "processes", process["side"], "root", where)
