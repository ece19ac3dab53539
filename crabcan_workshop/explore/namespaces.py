"""What the calls about namespaces and processes make of the state (namespaces(7))."""
from .data import Unknown, arg, new_id, number, put, text
from .paths import place
from .start import capability
from .trees import change, copy, subtree

FLAGS = {"time": 0x80, "mnt": 0x20000, "cgroup": 0x2000000, "uts": 0x4000000, "ipc": 0x8000000,
         "user": 0x10000000, "pid": 0x20000000, "net": 0x40000000}  # CLONE_NEW...
INTO_CGROUP = 0x200000000


def make(state, kind, side):
    """A new namespace, made by a process: (state, id). The user namespace comes first: it owns the others."""
    process = state["processes"][side]
    old, owner = process["namespaces"][kind]["id"], process["namespaces"]["user"]["id"]
    name, new = new_id(state["namespaces"], f"{kind}:"), {"kind": kind, "owner": owner}
    if kind == "user":
        new |= {"parent": owner, "maps": {"uid": [], "gid": []},
                "setgroups": state["namespaces"][owner]["setgroups"]}
    elif kind == "uts":
        new["hostname"] = state["namespaces"][old]["hostname"]
    elif kind == "net":
        new |= {"links": {"lo": {"up": False, "addresses": [], "peer": None}}, "routes": []}
    elif kind == "cgroup":
        new["roots"] = process["cgroup"]
    elif kind == "mnt":
        return copy_mounts(state, old, name, new)
    return put(state, "namespaces", name, new), name


def copy_mounts(state, old, name, new):
    """A mount namespace is made as a copy of another: each mount once more."""
    first = state["namespaces"][old]["root"]
    state, copies = copy(state, subtree(state, first), name)
    if new["owner"] != state["namespaces"][old]["owner"]:  # who is less trusted only receives
        for copied in copies.values():
            kind = state["mounts"][copied]["propagation"]
            state = change(state, [copied], propagation="slave" if "shared" in kind else kind)
    return put(state, "namespaces", name, new | {"root": copies[first], "copies": copies}), name


def enter(state, side, kind, name, how):
    """Puts a process into a namespace, with what comes with it."""
    state = put(state, "processes", side, "namespaces", kind, {"id": name, "how": how})
    if kind == "user":
        state = full(state, side)
    elif kind == "mnt" and how == "new":
        copies = state["namespaces"][name]["copies"]
        for field in "root", "cwd":
            where = state["processes"][side][field]
            state = put(state, "processes", side, field,
                        place(copies.get(where["mount"], where["mount"]), where["path"]))
        kept = {key: value for key, value in state["namespaces"][name].items() if key != "copies"}
        state = put(state, "namespaces", name, kept)
    elif kind == "mnt":
        root = place(state["namespaces"][name]["root"])
        state = put(put(state, "processes", side, "root", root), "processes", side, "cwd", root)
    return state


def full(state, side):
    """Who comes into a user namespace has all capabilities there, whoever it was before."""
    every = [capability(n) for n in range(state["last"] + 1)]
    return put(state, "processes", side, "capabilities", {
        "effective": every, "permitted": every, "inheritable": [], "bounding": every, "ambient": []})


def clone3(state, event, process):
    flags, result = number(arg(event, 0, 0)), event["result"]
    pid, pidfd = result if isinstance(result, list) else (result, None)
    ours = event["call"] == "clone3" and event["side"] == "parent" and "child" not in state["processes"]
    side = event.get("makes", "child" if ours else None)
    if side is None or number(pid) == 0:
        return state  # a helper of ours; or --init, whose child is as it is itself
    text(side)
    inherited = process["next"]
    child = {**process, "side": side, "pid": pid, "maker": process["side"], "alive": True, "next": {},
             "inits": bool(flags & FLAGS["pid"]), "death_signal": 0}
    state = put(state, "processes", side, child)
    if event.get("leads"):
        state = {**state, "subject": side}
    for kind, name in inherited.items():
        child = state["processes"][side]
        state = enter(state, side, kind, name, "new")
        first = kind == "pid" and not any(p["namespaces"]["pid"]["id"] == name and p["side"] != side
                                          for p in state["processes"].values())
        if first:
            state = put(state, "processes", side, "inits", True)
    for kind in ("user", *sorted(FLAGS.keys() - {"user"})):
        if flags & FLAGS[kind]:
            state, name = make(state, kind, side)
            state = enter(state, side, kind, name, "new")
    if flags & INTO_CGROUP:
        where = process["descriptors"].get(str(arg(event, 1)), {}).get("place")
        if where:
            path = where["path"] or "/"
            state = put(state, "processes", side, "cgroup", {**child["cgroup"], "": path})
    if pidfd is not None:
        state = put(state, "processes", process["side"], "descriptors", str(number(pidfd)),
                    {"kind": "other", "what": "pidfd", "cloexec": True})
    return state


def unshare(state, event, process):
    flags, side = number(arg(event, 0)), process["side"]
    for kind in ("user", *sorted(FLAGS.keys() - {"user"})):
        if flags & FLAGS[kind]:
            state, name = make(state, kind, side)
            if kind in ("pid", "time"):
                state = put(state, "processes", side, "next", kind, name)
            else:
                state = enter(state, side, kind, name, "new")
    return state


def by_pid(state, pid):
    """The process with a number. Raises Unknown if the recording has none such."""
    for process in state["processes"].values():
        if str(process["pid"]) == str(pid):
            return process
    raise Unknown(f"no process {pid}")


def sethostname(state, event, process):
    uts = process["namespaces"]["uts"]["id"]
    return put(state, "namespaces", uts, "hostname", text(arg(event, 0)))
