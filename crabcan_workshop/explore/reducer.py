"""The reducer: a pure function of a state and an event to the next state. All else is made of it.

It is total: an event that nobody knows, or that makes no sense in this state, changes nothing and is
counted. It never changes a state, so whoever failed half-way has changed nothing either.

And the three calls by which a root becomes another: what hangs where, and who hears of it. Both are
exercises (`workshop check explorer`).
"""
from . import descriptors, identity, joins, limits, maps, mounts, namespaces, network, programs, roots
from .data import Unknown, arg, number, option, put, text
from .mounts import propagated, target
from .paths import place, top, walk
from .properties import judged
from .start import ATTRIBUTES, attributes, begin, initial
from .trees import change, collect, subtree

RECURSIVE, IDMAP, NOFOLLOW = 0x8000, 0x00100000, 8  # AT_..., MOUNT_ATTR_..., UMOUNT_...


def reduce(state, event):
    """The state after an event. Raises nothing, and changes neither of the two."""
    try:
        made = judged(next_state(state, event), state)
    except (Unknown, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError,
            ValueError):
        made = {**state, "unknown": state["unknown"] + 1}
    return {**made, "events": state["events"] + 1}


def next_state(state, event):
    """What an event makes of the state, but for the count. Raises Unknown if it makes no sense."""
    if event.get("skipped"):
        return state
    call, side = event["call"], event["side"]
    deed = CALLS.get(call)
    if deed is None or not isinstance(event["options"], dict) or not isinstance(event["args"], list):
        raise Unknown(call)
    if event["errno"]:
        return {**state, "failed": state["failed"] + 1}
    made = deed(state, event, state["processes"][side])
    layer = event.get("layer")
    if layer and call not in ("close", "send", "recv") and layer not in made["layers"]:
        made = put(made, "layers", text(layer), state["events"])
    return made


def fold(events, state=None):
    """The state that a list of events leads to."""
    state = state or initial()
    for event in events:
        state = reduce(state, event)
    return state


def states(events):
    """All states of a recording: the first, and that after each event."""
    state = initial()
    yield state
    for event in events:
        state = reduce(state, event)
        yield state


def mount_setattr(state, event, process):
    """What one may do below a mount, and who else hears of mounts made there: propagation."""
    flags = number(arg(event, 1))
    where = target(state, process, event, flags=flags)
    names = subtree(state, where["mount"]) if flags & RECURSIVE else [where["mount"]]
    more = number(option(event, "attr_set", 2, 0))
    less = number(option(event, "attr_clr", 6, 0))
    kind = number(option(event, "propagation", 3, 0))
    for name in names:
        mount = state["mounts"][name]
        now = sum(1 << n for n, a in enumerate(ATTRIBUTES) if a in mount["attributes"])
        fields = {"attributes": attributes(now & ~less | more & 15)}
        if kind:
            fields["propagation"] = propagated(mount["propagation"], kind)
        if more & IDMAP:
            fields["idmapped"] = True
        state = change(state, [name], **fields)
    return state


def pivot_root(state, event, process):
    """The root mount and a new one change places; who stood in the old root stands in the new one."""
    new = walk(state, process, text(arg(event, 0)))["mount"]
    put_old = walk(state, process, text(arg(event, 1)))
    old, mounts = process["root"]["mount"], state["mounts"]
    if new == old or mounts[new]["namespace"] != mounts[old]["namespace"]:
        raise Unknown("no two mounts of this namespace")
    parent, at = mounts[old]["parent"], mounts[old]["at"]
    if new not in subtree(state, old):
        raise Unknown("the new root is not below the old one")  # or mounts would hang in a circle
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
    """Takes a mount away, with all that hangs from it; gone is only what nobody holds any more."""
    where = walk(state, process, text(arg(event, 0)))
    if not number(arg(event, 1, 0)) & NOFOLLOW or where["path"] == "":
        where = top(state, where)
    if where["path"]:
        raise Unknown("nothing is mounted there")
    names = subtree(state, where["mount"])
    if state["mounts"][where["mount"]]["parent"] is None and state["mounts"][where["mount"]]["namespace"]:
        raise Unknown("the root of a namespace stays")
    return collect(change(state, names, namespace=None, parent=None, at=""))


def same(state, event, process):
    """A call that is known, and of which the isolation is none the wiser."""
    return state


CALLS = {
    "begin": begin, "execve": programs.execve, "exit": programs.exited, "newidmap": maps.newidmap,
    **dict.fromkeys(("clone", "clone3", "fork", "vfork"), namespaces.clone3),
    **{call: getattr(namespaces, call) for call in ("unshare", "sethostname")}, "setns": joins.setns,
    **{call: getattr(mounts, call) for call in
       ("open_tree", "move_mount", "fsopen", "fsconfig", "fsmount")},
    **{call: getattr(roots, call) for call in
       ("mount", "chdir", "fchdir", "chroot")},
    "mount_setattr": mount_setattr, "pivot_root": pivot_root, "umount2": umount2,
    **{call: getattr(identity, call) for call in
       ("setresuid", "setresgid", "setgroups", "capset", "capbset_drop", "set_no_new_privs", "prctl")},
    **{call: getattr(limits, call) for call in
       ("setrlimit", "mkdir", "rmdir", "write", "setsid", "keyctl", "umask")},
    **{call: getattr(network, call) for call in ("ioctl", "link", "netlink", "pasta")},
    "open": descriptors.open_, "dup": descriptors.dup2, "seccomp": identity.seccomp,
    **dict.fromkeys(("openat", "openat2"), descriptors.openat2),
    **{call: getattr(descriptors, call) for call in ("close", "close_range", "dup2", "fcntl", "recvmsg")},
    **dict.fromkeys(("socket", "socketpair", "signalfd", "memfd_create", "accept", "pipe2", "eventfd",
                     "pidfd_open", "epoll_create1", "inotify_init1"), descriptors.other),
    **dict.fromkeys(("stat", "symlink", "send", "recv", "kill", "pidfd_send_signal", "sendfile",
                     "setdomainname", "mknod", "nft"), same),
}
