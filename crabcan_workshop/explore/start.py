"""The state before the first call, and what `begin` says of it."""
from .data import Unknown, numbers, put, text
from .paths import below, place, walk

NAMESPACES = ("pid", "uts", "mnt", "user", "ipc", "net", "cgroup", "time")
ALL_IDS = [[0, 0, 4294967295]]
ATTRIBUTES = ("ro", "nosuid", "nodev", "noexec")  # as bits: 1, 2, 4, 8
CAPABILITIES = """CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP
    LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE
    SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME
    SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG
    WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE""".split()
SETS = {"effective": "CapEff", "permitted": "CapPrm", "inheritable": "CapInh", "bounding": "CapBnd",
        "ambient": "CapAmb"}


def capability(number):
    """A capability's name, by its number."""
    return f"CAP_{CAPABILITIES[number]}" if 0 <= number < len(CAPABILITIES) else f"CAP_{number}"


def capabilities(bits):
    """The names of the capabilities whose bits are set."""
    return [capability(n) for n in range(64) if bits >> n & 1]


def attributes(bits):
    """The names of a mount's attributes, from its bits."""
    return [name for n, name in enumerate(ATTRIBUTES) if bits >> n & 1]


def initial():
    """A machine of which nothing is known, and one process on it."""
    namespaces = {f"{kind}:0": {"kind": kind, "owner": "user:0"} for kind in NAMESPACES}
    namespaces["user:0"] = {"kind": "user", "owner": None, "parent": None, "setgroups": "allow",
                            "maps": {"uid": ALL_IDS, "gid": ALL_IDS}}
    namespaces["uts:0"]["hostname"] = ""
    namespaces["mnt:0"]["root"] = "m0"
    namespaces["net:0"] |= {"links": {}, "routes": []}
    namespaces["cgroup:0"]["roots"] = {}
    every = [capability(n) for n in range(len(CAPABILITIES))]
    parent = {
        "side": "parent", "pid": None, "maker": None, "alive": True, "inits": False, "next": {},
        "namespaces": {kind: {"id": f"{kind}:0", "how": "shared"} for kind in NAMESPACES},
        "uid": [0, 0, 0], "gid": [0, 0, 0], "groups": [],
        "capabilities": {"effective": every, "permitted": every, "inheritable": [],
                         "bounding": every, "ambient": []},
        "keep_capabilities": False, "no_new_privs": False, "filters": [],
        "root": place("m0"), "cwd": place("m0"), "cgroup": {}, "rlimits": {},
        "descriptors": {str(n): {"kind": "other", "what": "", "cloexec": False} for n in range(3)},
        "keyring": "inherited", "session": "inherited", "death_signal": 0, "umask": 18,
        "program": None, "environment": None}
    return {"events": 0, "unknown": 0, "failed": 0, "last": len(CAPABILITIES) - 1,
            "began": {"environ": [], "hostname": ""},
            "subject": "child", "processes": {"parent": parent},
            "namespaces": namespaces, "mounts": {"m0": {
                "namespace": "mnt:0", "parent": None, "at": "", "root": "/", "fstype": "", "source": "",
                "device": "host", "attributes": [], "propagation": "private", "options": {},
                "idmapped": False}},
            "cgroups": {}, "layers": {}, "properties": {}}


def begin(state, event, process):
    """Takes over what /proc has said of the parent."""
    facts, side = event["options"], process["side"]
    status = facts["status"]
    process = {**process, "pid": facts["pid"], "groups": numbers(facts["ids"]["groups"]),
               "uid": numbers(facts["ids"]["uid"]), "gid": numbers(facts["ids"]["gid"]),
               "no_new_privs": status["NoNewPrivs"] == "1", "umask": int(status.get("Umask", "022"), 8),
               "capabilities": {name: capabilities(int(status[field], 16)) for name, field in SETS.items()},
               "cgroup": dict(line.split(":", 2)[1:] for line in facts["cgroup"]),
               "rlimits": {text(name): numbers(pair) for name, pair in facts["limits"].items()},
               "descriptors": {fd: {"kind": "other", "what": text(what), "cloexec": bool(cloexec)}
                               for fd, (what, cloexec) in facts["descriptors"].items()}}
    if status["Seccomp"] != "0":
        process["filters"] = [{"instructions": None}]
    mounts, first = tree(facts["mountinfo"])
    state = {**state, "mounts": mounts, "last": facts["last"], "subject": text(facts.get("subject", "child")),
             "began": {"environ": facts["environ"], "hostname": text(facts["hostname"])}}
    state = put(state, "namespaces", "mnt:0", "root", first)
    state = put(state, "namespaces", "uts:0", "hostname", text(facts["hostname"]))
    process["root"] = place(first)
    process["cwd"] = walk(state, process, facts["cwd"])
    return put(state, "processes", side, process)


def tree(lines):
    """The mounts of mountinfo, each placed below its parent, and the first of them."""
    mounts = dict(map(mount, lines))
    first = next((name for name, found in mounts.items() if found["parent"] not in mounts), None)
    if first is None:
        raise Unknown("no mounts")
    points = {name: found["at"] for name, found in mounts.items()}
    for name, found in mounts.items():
        hangs = name != first and found["parent"] in mounts
        mounts[name] = {**found, "parent": found["parent"] if hangs else None,
                        "at": found["at"][len(points[found["parent"]].rstrip("/")):] if hangs else ""}
    reached = [first, *below({"mounts": mounts}, place(first))]
    return {name: mounts[name] for name in reached}, first


def mount(line):
    """(id, mount) of a line of mountinfo (proc(5)). Where it hangs is an absolute path yet."""
    words = line.split()
    dash = words.index("-")
    name, parent, device, root, where, options = words[:6]
    tags = {word.split(":")[0] for word in words[6:dash]}
    fstype, source, extra = words[dash + 1:dash + 4]
    options = options.split(",")
    return f"m{name}", {"namespace": "mnt:0", "parent": f"m{parent}", "at": plain(where), "root": plain(root),
                  "fstype": fstype, "source": plain(source), "device": device,
                  "attributes": [a for a in ATTRIBUTES if a in options],
                  "propagation": propagation(tags), "options": {"super": plain(extra)}, "idmapped": "idmapped" in options}


def propagation(tags):
    """Of the optional fields of mountinfo: which propagation they mean."""
    if "unbindable" in tags:
        return "unbindable"
    kinds = [name for tag, name in (("shared", "shared"), ("master", "slave")) if tag in tags]
    return " ".join(kinds) or "private"


def plain(word):
    """A path without the escapes of mountinfo."""
    for escape, letter in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        word = word.replace(escape, letter)
    return word
