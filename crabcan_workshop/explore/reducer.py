"""The reducer: a pure function of a state and an event to the next state. All else is made of it.

It is total: an event that nobody knows, or that makes no sense in this state, changes nothing and is
counted. It never changes a state, so whoever failed half-way has changed nothing either.
"""
from . import descriptors, identity, limits, maps, mounts, namespaces, roots
from .data import Unknown, arg, put, text
from .identity import after_execve
from .properties import judged
from .start import begin, initial


def same(state, event, process):
    """A call that is known, and of which the isolation is none the wiser."""
    return state


def execve(state, event, process):
    """The program's own life begins: what was only for us is closed, and root's sets are made anew."""
    side, variables = process["side"], arg(event, 2)
    process = {**process, "program": text(arg(event, 0)), "keep_capabilities": False,
               "capabilities": after_execve(state, process),
               "environment": sorted(map(text, variables)) if variables is not None else None}
    state = put(state, "processes", side, process)
    for kind, name in process["next"].items():
        if kind == "time":
            state = namespaces.enter(state, side, kind, name, "new")
    return descriptors.executed(state, side)


def exited(state, event, process):
    return put(state, "processes", process["side"], "alive", False)


CALLS = {
    "begin": begin, "execve": execve, "exit": exited, "newidmap": maps.newidmap,
    **dict.fromkeys(("clone", "clone3", "fork", "vfork"), namespaces.clone3),
    **{call: getattr(namespaces, call) for call in ("unshare", "setns", "sethostname")},
    **{call: getattr(mounts, call) for call in
       ("open_tree", "mount_setattr", "move_mount", "fsopen", "fsconfig", "fsmount")},
    **{call: getattr(roots, call) for call in
       ("mount", "pivot_root", "umount2", "chdir", "fchdir", "chroot")},
    **{call: getattr(identity, call) for call in
       ("setresuid", "setresgid", "setgroups", "capset", "capbset_drop", "set_no_new_privs", "prctl")},
    **{call: getattr(limits, call) for call in
       ("setrlimit", "mkdir", "rmdir", "write", "ioctl", "link", "setsid", "keyctl", "umask")},
    "open": descriptors.open_, "dup": descriptors.dup2, "seccomp": identity.seccomp,
    **dict.fromkeys(("openat", "openat2"), descriptors.openat2),
    **{call: getattr(descriptors, call) for call in ("close", "close_range", "dup2", "fcntl")},
    **dict.fromkeys(("socket", "socketpair", "signalfd", "memfd_create", "accept", "pipe2", "eventfd",
                     "pidfd_open", "epoll_create1", "inotify_init1"), descriptors.other),
    **dict.fromkeys(("stat", "symlink", "send", "recv", "kill", "pidfd_send_signal", "sendfile",
                     "setdomainname", "mknod"), same),
}


def reduce(state, event):
    """The state after an event. Raises nothing, and changes neither of the two."""
    try:
        made = judged(next_state(state, event))
    except (Unknown, ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
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
