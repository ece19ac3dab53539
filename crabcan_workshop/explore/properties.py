"""What a state means: for each property of the isolation matrix, whether it is closed for a process."""
from .paths import visible, walk

ANYBODYS = {"PATH", "HOME", "HOSTNAME", "TERM", "PWD", "OLDPWD", "SHLVL", "_", "LANG", "USER", "LOGNAME",
            "SHELL", "container"}
LIMITS = {"memory": ("memory.max", "memory.limit_in_bytes"), "pids": ("pids.max",),
          "cpu": ("cpu.max", "cpu.cfs_quota_us")}
FEW_FILES = 100  # as the matrix tries


def own(kind):
    """A namespace that is not the host's."""
    return lambda state, child: child["namespaces"][kind]["id"] != f"{kind}:0"


def environ(state, child):
    if child["environment"] is None:
        return False
    return not set(state["began"]["environ"]) - ANYBODYS & set(child["environment"])


def hosts(state, mount):
    """Whether a mount shows the whole of the host's root file system."""
    found, host = state["mounts"].get(mount), state["mounts"].get(state["namespaces"]["mnt:0"]["root"])
    return bool(found and host) and (found["device"], found["root"]) == (host["device"], host["root"])


def files(state, child):
    """The host's root is nowhere to be seen: not at the root, nor mounted below it, nor where it stands."""
    seen = {name for _, name in visible(state, child["side"])}
    return not any(hosts(state, name) for name in {*seen, child["root"]["mount"], child["cwd"]["mount"]})


def mounts(state, child):
    root = child["root"]
    return own("mnt")(state, child) and not (hosts(state, root["mount"]) and root["path"] == "")


def proc(state, child):
    """/proc/interrupts is covered, or there is no /proc."""
    if not files(state, child):
        return False
    where = walk(state, child, "/proc/interrupts")
    found = state["mounts"].get(where["mount"], {})
    return found.get("fstype") != "proc" or where["path"] == ""


def cgroup(state, child):
    name = child["namespaces"]["cgroup"]["id"]
    return name != "cgroup:0" and state["namespaces"][name]["roots"] == child["cgroup"]


def caps(state, child):
    return not any(child["capabilities"].values())


def calls(state, child):
    refused = {name for each in child["filters"] for name in each.get("refuses", ())}
    return {"keyctl", "new user namespace"} <= refused


def limited(kind):
    """A limit of its cgroup, or of one above it that the recording has made."""
    def test(state, child):
        for each in state["cgroups"].values():
            path = child["cgroup"].get(each["controllers"])
            if path is not None and (path == each["path"] or path.startswith(each["path"].rstrip("/") + "/")):
                words = (each["limits"].get(file, "max").split()[:1] for file in LIMITS[kind])
                if any(word and word[0].isdigit() for word in words):
                    return True
        return False
    return test


def nofile(state, child):
    soft, hard = child["rlimits"].get("NOFILE", [-1, -1])
    return 0 <= soft < FEW_FILES and 0 <= hard < FEW_FILES


TESTS = {
    "environ": environ,
    "pid": lambda state, child: own("pid")(state, child) and child["inits"],
    "name": lambda state, child: own("uts")(state, child) and state["began"]["hostname"]
    != state["namespaces"][child["namespaces"]["uts"]["id"]]["hostname"],
    "files": files, "mounts": mounts, "proc": proc,
    "users": lambda state, child: own("user")(state, child) and child["uid"][0] != 0,
    "ipc": own("ipc"), "keys": lambda state, child: child["keyring"] == "own", "network": own("net"),
    "cgroup": cgroup, "time": own("time"), "caps": caps,
    "no_new": lambda state, child: child["no_new_privs"],
    "filter": lambda state, child: bool(child["filters"]), "calls": calls,
    "memory": limited("memory"), "pids": limited("pids"), "cpu": limited("cpu"), "nofile": nofile,
    "session": lambda state, child: child["session"] == "own",
}


def judged(state):
    """The state with its properties looked at again; what has just closed gets the event's index."""
    child, now = state["processes"].get(state["subject"]), {}
    for name, test in TESTS.items():
        before = state["properties"].get(name, {"closed": False, "by": None})
        closed = bool(child and test(state, child))
        now[name] = before if closed == before["closed"] else \
            {"closed": closed, "by": state["events"] if closed else None}
    return state if now == state["properties"] else {**state, "properties": now}
