"""Calls of other runtimes, as strace tells them, in the form of our own recordings."""
import errno as errors
import re
import struct
from base64 import b64encode

CLOEXEC, O_CLOEXEC, THREAD, MAGIC = "cloexec", 0x80000, 0x10000, 0xC0ED0000
REMOVEDIR, NONE = 0x200, 18446744073709551615
OURS = re.compile(r"/proc/\d+/(uid_map|gid_map|setgroups)|/sys/fs/cgroup/.*")
RTM_NEWLINK, LOOPBACK, IFF_UP, SIOCSIFFLAGS = 16, 1, 1, 0x8914
LAYERS = {  # whose call it would be here: chapter, layer
    (2, "clone"): ("clone", "clone3", "fork", "vfork"), (3, "hostname"): ("sethostname",),
    (4, "mounts"): ("mount", "umount2", "pivot_root", "chroot", "open_tree", "move_mount", "fsopen",
                    "fsconfig", "fsmount", "mount_setattr"),
    (5, "namespaces"): ("unshare", "setns", "setresuid", "setresgid", "setgroups", "keyctl", "link", "newidmap"),
    (6, "caps"): ("capset",), (7, "seccomp"): ("seccomp",), (8, "cgroups"): ("setrlimit",),
    (9, "terminal"): ("setsid",)}
PLACE = {call: place for place, calls in LAYERS.items() for call in calls}


def ids(a):
    return [n - (1 << 32) if n == 0xFFFFFFFF else n for n in a]


def limits(a):
    """prlimit64 sets, asks, or both; of another process, too."""
    pid, kind, new = a[:3]
    if not isinstance(new, dict):
        return None
    pair = [-1 if new[key] >= NONE else new[key] for key in ("rlim_cur", "rlim_max")]
    return "setrlimit", [kind, pair], {"pid": pid} if pid else {}


def duplicate(a):
    """fcntl(2) can make a second descriptor, and say whether execve closes one."""
    if a[1] in (0, 0x406):  # F_DUPFD, F_DUPFD_CLOEXEC
        return "dup", [a[0]], {CLOEXEC: a[1] != 0}
    return ("fcntl", [a[0], 2, a[2]], {}) if a[1] == 2 else None  # F_SETFD


def written(a):
    """Only id maps and cgroups: the rest says nothing of isolation."""
    path = getattr(a[0], "path", "")
    return ("write", [path, a[1]], {}) if OURS.fullmatch(path) and isinstance(a[1], str) else None


def link(a):
    """A netlink message that sets a link up (rtnetlink(7)); of others nothing is known."""
    message, data = (a[1] + [None, None])[:2] if isinstance(a[1], list) else (None, None)
    if not isinstance(message, dict) or message.get("nlmsg_type") != RTM_NEWLINK or not isinstance(data, str):
        return None
    raw = data.encode("utf-8", "surrogateescape")
    if len(raw) < 12 or struct.unpack_from("I", raw, 4)[0] != LOOPBACK:
        return None
    return "link", ["lo", bool(struct.unpack_from("I", raw, 8)[0] & IFF_UP)], {}


def flags_of(a):
    """The flags of clone and clone3, and the cgroup to be born in."""
    if isinstance(a[0], dict):
        return a[0].get("flags", 0), a[0].get("cgroup", 0)
    return next((x for x in a[1:2] if isinstance(x, int)), 0), 0


def filter_of(args):
    """A filter as bytes: BPF_STMT(code, k) and BPF_JUMP(code, k, jt, jf), as strace prints them."""
    program = next((arg for arg in args if isinstance(arg, dict) and "filter" in arg), {})
    code = b""
    for inner in re.findall(r"BPF_(?:STMT|JUMP)\(([^()]*)\)", " ".join(map(str, program.get("filter", [])))):
        numbers = [sum(int(n, 0) for n in part.split("|")) for part in inner.split(",")]
        op, k, yes, no = (numbers + [0, 0])[:4]
        code += struct.pack("HBBI", op, yes, no, k & 0xFFFFFFFF)
    return code


def variables(environment):
    """The names only: what the values are is nobody's business."""
    return sorted({word.partition("=")[0] for word in environment}) if isinstance(environment, list) else None


KEPT = {
    "openat": lambda a: ("openat", [a[0], a[1], a[2]], {CLOEXEC: bool(a[2] & O_CLOEXEC)}),
    "openat2": lambda a: ("openat", [a[0], a[1], a[2]["flags"]], {CLOEXEC: bool(a[2]["flags"] & O_CLOEXEC)}),
    "open": lambda a: ("open", a[:2], {CLOEXEC: bool(a[1] & O_CLOEXEC)}),
    "creat": lambda a: ("open", [a[0], 0o1101], {CLOEXEC: False}),
    "execve": lambda a: ("execve", [a[0], a[1], variables(a[2])], {}),
    "execveat": lambda a: ("execve", [a[1] or a[2][0], a[2], variables(a[3])], {}),
    "mount": lambda a: ("mount", [*a[:3], a[3] & 0xFFFF if a[3] & 0xFFFF0000 == MAGIC else a[3], *a[4:5]], {}),
    "setuid": lambda a: ("setresuid", ids([a[0]] * 3), {}), "setgid": lambda a: ("setresgid", ids([a[0]] * 3), {}),
    "setreuid": lambda a: ("setresuid", ids([a[0], a[1], a[1]]), {}),
    "setregid": lambda a: ("setresgid", ids([a[0], a[1], a[1]]), {}),
    "setresuid": lambda a: ("setresuid", ids(a), {}), "setresgid": lambda a: ("setresgid", ids(a), {}),
    "setgroups": lambda a: ("setgroups", [a[1] or []], {}),
    "capset": lambda a: ("capset", [a[1][k] for k in ("effective", "permitted", "inheritable")], {}),
    "prlimit64": limits, "setrlimit": lambda a: limits([0, *a]), "fcntl": duplicate, "write": written,
    "sendto": link,
    "ioctl": lambda a: ("link", [a[2]["ifr_name"], bool(a[2]["ifr_flags"] & IFF_UP)], {})
    if a[1] == SIOCSIFFLAGS and isinstance(a[2], dict) else None,
    "sethostname": lambda a: ("sethostname", a[:1], {}), "setsid": lambda a: ("setsid", [], {}),
    "dup": lambda a: ("dup", a[:1], {CLOEXEC: False}), "dup2": lambda a: ("dup2", a[:2], {CLOEXEC: False}),
    "dup3": lambda a: ("dup2", a[:2], {CLOEXEC: bool(a[2] & O_CLOEXEC)}),
    "socket": lambda a: ("socket", a[:2], {CLOEXEC: bool(a[1] & O_CLOEXEC)}),
    "mkdirat": lambda a: ("mkdir", a[1:], {"dir_fd": a[0]}), "mkdir": lambda a: ("mkdir", a, {}),
    "rmdir": lambda a: ("rmdir", a, {}),
    "unlinkat": lambda a: ("rmdir", [a[1]], {"dir_fd": a[0]}) if a[2] & REMOVEDIR else None,
    "open_tree": lambda a: ("open_tree", [a[1], a[2]], {"dir_fd": a[0], CLOEXEC: bool(a[2] & O_CLOEXEC)}),
    "move_mount": lambda a: ("move_mount", [a[0], a[2]], {"from": a[1], "to": a[3]}),
    "mount_setattr": lambda a: ("mount_setattr", [a[1], a[2]], {
        "dir_fd": a[0], "attr_set": a[3]["attr_set"], "attr_clr": a[3]["attr_clr"], "propagation": a[3]["propagation"]}),
    "fsopen": lambda a: ("fsopen", a[:1], {CLOEXEC: bool(a[1] & 1)}),
    "fsmount": lambda a: ("fsmount", [a[0], a[2]], {CLOEXEC: bool(a[1] & 1)}),
    "exit": lambda a: ("exit", a, {}),
    **{name: lambda a, name=name: (name, a, {}) for name in (
        "unshare", "setns", "umount2", "pivot_root", "chroot", "chdir", "fchdir", "fsconfig", "prctl", "keyctl", "umask",
        "close", "close_range")},
}
MADE = {"socketpair": 1, "pipe2": 1, "accept4": 3, "eventfd2": 1, "signalfd4": 3, "memfd_create": 1,
        "epoll_create1": 0, "inotify_init1": 0, "pidfd_open": None, "pipe": None}  # where the flags are


def errno_of(name):
    return getattr(errors, name, 1) if name else 0


def event(call, side, begin):
    """A call as an event, or None if it says nothing of isolation. begin: seconds."""
    told, result, name = None, call.result, call.name
    try:
        if name in KEPT:
            told = KEPT[name](call.args)
        elif name == "seccomp":
            told = ("seccomp", call.args[:2], {})
        elif name in MADE:
            told, result = made(name, call)
    except (IndexError, KeyError, TypeError):
        return None  # strace could not read its arguments, or it failed for them
    if told is None:
        return None
    name, args, options = told
    if options == {CLOEXEC: True} and name not in ("dup", "dup2"):
        options = {}  # as it is with ours, which do not say so
    chapter, layer = PLACE.get(name, (0, ""))
    if name == "write":
        chapter, layer = (8, "cgroups") if args[0].startswith("/sys") else (5, "namespaces")
    if name == "prctl":
        chapter, layer = {0x18: (6, "caps"), 0x2F: (6, "caps"), 0x26: (6, "caps"), 0x16: (7, "seccomp")}.get(args[0], (0, ""))
    code = filter_of(call.args) if name in ("prctl", "seccomp") else b""
    return {"side": side, "chapter": chapter, "layer": layer, "call": name,
            "args": [arg for arg in args if not isinstance(arg, dict)], "options": options,
            "result": result, "errno": errno_of(call.errno), "microseconds": round(call.seconds * 1e6),
            "at": round((call.begun - begin) * 1e6), **({"data": b64encode(code).decode()} if code else {})}


def made(name, call):
    """A call that makes descriptors; two of them it tells of in a list."""
    pair = next((arg for arg in call.args if isinstance(arg, list) and len(arg) == 2), None)
    flags = MADE[name]
    flags = call.args[flags] if flags is not None and isinstance(call.args[flags], int) else 0
    closes = name == "pidfd_open" or bool(flags & (1 if name == "memfd_create" else O_CLOEXEC))
    ours = {"accept4": "accept", "pipe": "pipe2", "eventfd2": "eventfd", "signalfd4": "signalfd"}.get(name, name)
    return (ours, [], {CLOEXEC: closes}), pair if name in ("socketpair", "pipe2", "pipe") else call.result
