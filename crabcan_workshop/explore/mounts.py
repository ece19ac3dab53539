"""What the newer calls about mounts make of the state (mount_namespaces(7), open_tree(2), fsopen(2))."""
from .data import Unknown, arg, number, option, put, text
from .paths import start, walk
from .trees import attach, clone_tree, new_filesystem, shown

CLONE, RECURSIVE, EMPTY_PATH = 1, 0x8000, 0x1000
PROPAGATION = {1 << 17: "unbindable", 1 << 18: "private", 1 << 19: "slave", 1 << 20: "shared"}


def target(state, process, event, path_at=0, flags=0):
    """The mount that a call is about: by a path, or by the descriptor alone."""
    path = text(arg(event, path_at))
    begin = start(state, process, option(event, "dir_fd"))
    if path == "" and flags & EMPTY_PATH:
        return begin
    return walk(state, process, path, begin)


def hold(state, process, event, what):
    """Puts what a call has opened behind the descriptor that it returned."""
    fd = str(number(event["result"]))
    return put(state, "processes", process["side"], "descriptors", fd, {**what, "cloexec": cloexec(event)})


def cloexec(event):
    """Whether an execve will close it: ours all are, so a call says only if not."""
    return bool(event["options"].get("cloexec", True))


def open_tree(state, event, process):
    flags = number(arg(event, 1))
    where = target(state, process, event, flags=flags)
    if not flags & CLONE:
        return hold(state, process, event, {"kind": "place", "place": where})
    state, name = clone_tree(state, where, flags & RECURSIVE)
    return hold(state, process, event, {"kind": "mount", "mount": name})


def propagated(now, kind):
    """A mount's propagation after a change: who leaves a group as a slave stays one when it shares."""
    new = PROPAGATION.get(kind)
    if new is None:
        raise Unknown(f"propagation {kind}")
    if new == "slave":
        return "slave" if "shared" in now or "slave" in now else "private"
    if new == "shared" and "slave" in now:
        return "shared slave"
    return new


def move_mount(state, event, process):
    moved = start(state, process, number(arg(event, 0)))
    where = start(state, process, number(arg(event, 1)))
    if path := event["options"].get("from"):
        moved = walk(state, process, text(path), moved)
    if path := event["options"].get("to"):
        where = walk(state, process, text(path), where)
    if moved["path"]:
        raise Unknown("no mount to move")
    return attach(state, moved["mount"], where)


def fsopen(state, event, process):
    return hold(state, process, event, {"kind": "filesystem", "fstype": text(arg(event, 0)),
                                        "options": {}, "created": False})


def fsconfig(state, event, process):
    fd, command, key, value = str(arg(event, 0)), number(arg(event, 1)), arg(event, 2), arg(event, 3)
    found = process["descriptors"].get(fd, {})
    if found.get("kind") != "filesystem":
        raise Unknown("no file system to set up")
    if command == 6:
        found = {**found, "created": True}
    elif command in (0, 1):
        found = put(found, "options", text(key), True if command == 0 else text(value))
    return put(state, "processes", process["side"], "descriptors", fd, found)


def fsmount(state, event, process):
    found = process["descriptors"].get(str(arg(event, 0)), {})
    if found.get("kind") != "filesystem":
        raise Unknown("no file system to mount")
    options = {k: v for k, v in found["options"].items() if k != "source"}
    state, name = new_filesystem(state, found["fstype"], found["options"].get("source", "none"),
                                 number(arg(event, 1)), options, shown(state, process, found["fstype"]))
    return hold(state, process, event, {"kind": "mount", "mount": name})
