"""What the calls about descriptors make of the state."""
from .data import Unknown, arg, number, numbers, option, put, text
from .joins import JOINED, behind
from .mounts import cloexec, hold
from .paths import start, walk
from .trees import collect, new_filesystem


def opened(state, event, process, path, fd):
    """A path that was opened: a place, or a namespace."""
    if JOINED.fullmatch(path):
        return hold(state, process, event, {"kind": "namespace", "path": path, "id": behind(state, process, path)})
    begin = None if path.startswith("/") else start(state, process, fd)
    where = walk(state, process, path, begin)
    return hold(state, process, event, {"kind": "place", "place": where})


def open_(state, event, process):
    return opened(state, event, process, text(arg(event, 0)), option(event, "dir_fd"))


def openat2(state, event, process):
    return opened(state, event, process, text(arg(event, 1)), arg(event, 0))


def other(state, event, process):
    """A descriptor of which only the kind matters: the call's name."""
    for fd in numbers(event["result"] if isinstance(event["result"], list) else [event["result"]]):
        what = {"kind": "other", "what": event["call"], "cloexec": cloexec(event)}
        state = put(state, "processes", process["side"], "descriptors", str(fd), what)
    return state


def recvmsg(state, event, process):
    """A mount that somebody else has made comes as a descriptor (SCM_RIGHTS in unix(7))."""
    pair, fstype = event["result"], option(event, "mount")
    if not isinstance(pair, list) or len(pair) != 2:
        raise Unknown("a text and a descriptor")
    fd = pair[1]
    if fd is None or fstype is None:
        return state
    bits = number(option(event, "attributes", default=0))
    state, name = new_filesystem(state, text(fstype), text(fstype), bits, {})
    return hold(state, process, {**event, "result": fd}, {"kind": "mount", "mount": name})


def close(state, event, process):
    return without(state, process, [str(number(arg(event, 0)))])


def without(state, process, gone):
    left = {fd: what for fd, what in process["descriptors"].items() if fd not in gone}
    return collect(put(state, "processes", process["side"], "descriptors", left))


def close_range(state, event, process):
    first, last, flags = number(arg(event, 0)), number(arg(event, 1)), number(arg(event, 2, 0))
    chosen = [fd for fd in process["descriptors"] if first <= int(fd) <= last]
    if not flags & 4:  # CLOSE_RANGE_CLOEXEC
        return without(state, process, chosen)
    for fd in chosen:
        state = put(state, "processes", process["side"], "descriptors", fd, "cloexec", True)
    return state


def dup2(state, event, process):
    """A second number for the same. Of the copy execve closes nothing, unless the call says so."""
    old, new = str(number(arg(event, 0))), str(number(arg(event, 1, event["result"])))
    if old == new:
        return state
    what = process["descriptors"].get(old, {"kind": "other", "what": ""})
    copy = {**what, "cloexec": bool(event["options"].get("cloexec", False))}
    return put(state, "processes", process["side"], "descriptors", new, copy)


def fcntl(state, event, process):
    """Says whether execve closes one (F_SETFD)."""
    fd, closes = str(number(arg(event, 0))), bool(number(arg(event, 2)) & 1)  # FD_CLOEXEC
    what = process["descriptors"].get(fd, {"kind": "other", "what": ""})
    return put(state, "processes", process["side"], "descriptors", fd, {**what, "cloexec": closes})


def executed(state, side):
    """execve closes what it is told to."""
    kept = {fd: what for fd, what in state["processes"][side]["descriptors"].items() if not what["cloexec"]}
    return collect(put(state, "processes", side, "descriptors", kept))
