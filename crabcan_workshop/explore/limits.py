"""What the calls about limits and sessions make of the state (cgroups(7), setrlimit(2))."""
from .data import Unknown, arg, number, numbers, option, put, text
from .maps import write as write_map
from .namespaces import by_pid
from .paths import join, start, walk

RLIMITS = ("CPU", "FSIZE", "DATA", "STACK", "CORE", "RSS", "NPROC", "NOFILE", "MEMLOCK", "AS", "LOCKS",
           "SIGPENDING", "MSGQUEUE", "NICE", "RTPRIO", "RTTIME")
MEMBERS = ("tasks", "cgroup.procs", "cgroup.threads")
JOIN_SESSION = 1


def setrlimit(state, event, process):
    kind, pair = number(arg(event, 0)), numbers(arg(event, 1))
    if not 0 <= kind < len(RLIMITS) or len(pair) != 2:
        raise Unknown("no such limit")
    if "pid" in event["options"]:  # prlimit(2): another's
        process = by_pid(state, event["options"]["pid"])
    return put(state, "processes", process["side"], "rlimits", RLIMITS[kind], pair)


def cgroup_of(state, where):
    """(controllers, path) of the cgroup behind a place, or None if it is no cgroup's."""
    mount = state["mounts"][where["mount"]]
    path = join(mount["root"], where["path"])
    if mount["fstype"] == "cgroup2":
        return "", path
    if mount["fstype"] == "cgroup":
        words = str(mount["options"].get("super") or mount["options"].get("data", "")).split(",")
        return words, path
    return None


def cgroup(state, process, path, fd=None):
    """(controllers, path) of the cgroup whose directory is at a path: the controllers as the process has them."""
    found = cgroup_of(state, walk(state, process, path, start(state, process, fd)))
    if found is None or found[0] == "":
        return found
    for controllers in process["cgroup"]:
        if controllers and all(word in found[0] for word in controllers.split(",")):
            return controllers, found[1]
    return None


def mkdir(state, event, process):
    path = text(arg(event, 0))
    found = cgroup(state, process, path, option(event, "dir_fd"))
    if found is None:
        return state
    return put(state, "cgroups", path, {"controllers": found[0], "path": found[1], "limits": {}, "removed": False})


def rmdir(state, event, process):
    path = text(arg(event, 0))
    return put(state, "cgroups", path, "removed", True) if path in state["cgroups"] else state


def write(state, event, process):
    """A file written in one go: an id map, a member or a limit of a cgroup, or nothing of ours."""
    if type(arg(event, 0)) is int:
        return state  # below a descriptor: a setting of the kernel's, such as net.ipv4.ping_group_range
    path, words = text(arg(event, 0)), text(arg(event, 1))
    told = write_map(state, path, words, process)
    if told is not None:
        return told
    folder, _, file = path.rpartition("/")
    found = cgroup(state, process, folder, option(event, "dir_fd"))
    if found is None:
        return state
    if file in MEMBERS:
        member = process if words.strip() in ("0", "") else by_pid(state, words.strip())
        return put(state, "processes", member["side"], "cgroup", {**member["cgroup"], found[0]: found[1]})
    known = state["cgroups"].get(folder, {"controllers": found[0], "path": found[1], "limits": {}, "removed": False})
    return put(state, "cgroups", folder, put(known, "limits", file, words))


def setsid(state, event, process):
    return put(state, "processes", process["side"], "session", "own")


def keyctl(state, event, process):
    if number(arg(event, 0)) != JOIN_SESSION:
        return state
    return put(state, "processes", process["side"], "keyring", "own")


def umask(state, event, process):
    return put(state, "processes", process["side"], "umask", number(arg(event, 0)))
