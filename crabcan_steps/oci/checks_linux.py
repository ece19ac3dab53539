"""What config.json's `linux` must mean, for checks.py: maps, devices, seccomp, resources."""
from .checks import ids, numbers, refuse
from .sysctl import sysctls

RULE = "linux.seccomp.syscalls"
TAKES_ERRNO = "SCMP_ACT_ERRNO", "SCMP_ACT_TRACE"
OURS = "sendmsg", "write"  # we make these with the filter loaded, before anybody could answer


def everything(linux, spaces, config):
    """Looks at all of it."""
    maps(linux, spaces)
    for name in linux.get("timeOffsets") or ():
        if name not in ("boottime", "monotonic"):
            refuse(f"linux.timeOffsets.{name}", "is none of boottime, monotonic")
        if "time" not in spaces:
            refuse("linux.timeOffsets", "needs a time namespace in linux.namespaces")
        if spaces["time"]:
            refuse("linux.timeOffsets", "cannot change in a time namespace that is joined")
    for i, device in enumerate(linux.get("devices") or ()):
        for name in "major", "minor":
            if device.get(name) is None and device["type"] != "p":
                refuse(f"linux.devices[{i}].{name}", "is missing")
    for name, device in (linux.get("netDevices") or {}).items():
        for text in name, device.get("name") or name:
            if text in (".", "..") or not 0 < len(text.encode()) < 16 or set(text) & set("/: \t\n"):
                refuse(f"linux.netDevices.{name}", f"{text!r:.60} is no name of a network device")
    sysctls(linux.get("sysctl") or {}, spaces, config)
    seccomp(linux.get("seccomp") or {})
    memory_policy(linux.get("memoryPolicy") or {})
    cache(linux.get("intelRdt") or {})
    resources(linux.get("resources") or {}, "linux.resources")


def maps(linux, spaces):
    """Id maps belong to a user namespace, and a new one needs both."""
    both = {name: linux.get(name) or [] for name in ("uidMappings", "gidMappings")}
    for name, extents in both.items():
        if extents and "user" not in spaces:
            refuse(f"linux.{name}", "needs a user namespace in linux.namespaces")
        if "user" in spaces and not extents and not spaces["user"]:
            refuse(f"linux.{name}", "is missing: a new user namespace has nobody in it")
        ids(extents, f"linux.{name}")


def seccomp(words):
    """Rules that can be enforced: an errno where there is one, and somebody to ask who is there."""
    at, default, rules = "linux.seccomp", words.get("defaultAction"), words.get("syscalls") or ()
    if not default and rules:
        refuse(f"{at}.defaultAction", "is missing")
    if default == "SCMP_ACT_NOTIFY":
        refuse(f"{at}.defaultAction", "SCMP_ACT_NOTIFY cannot be used as default action")
    errno(words.get("defaultErrnoRet"), default, f"{at}.defaultErrnoRet")
    for i, rule in enumerate(rules):
        if not rule["names"]:
            refuse(f"{RULE}[{i}].names", "must have at least one")
        errno(rule.get("errnoRet"), rule["action"], f"{RULE}[{i}].errnoRet")
        for name in OURS if rule["action"] == "SCMP_ACT_NOTIFY" else ():
            if name in rule["names"]:
                refuse(f"{RULE}[{i}]", f"SCMP_ACT_NOTIFY cannot be used for the {name} syscall, "
                                       "which we need to tell who is to answer")
    if words.get("listenerMetadata") and not words.get("listenerPath"):
        refuse(f"{at}.listenerMetadata", "means nothing without listenerPath")
    if not words.get("listenerPath") and any(rule["action"] == "SCMP_ACT_NOTIFY" for rule in rules):
        refuse(f"{at}.listenerPath", "is missing: SCMP_ACT_NOTIFY asks somebody there")


def errno(number, action, at):
    if number is not None and action not in TAKES_ERRNO:
        refuse(at, f"{action} returns no errno")
    if number is not None and action == "SCMP_ACT_ERRNO" and number > 4094:
        refuse(at, f"must be from 0 to 4094, not {number}")  # libseccomp takes less than MAX_ERRNO


def memory_policy(words):
    """Which modes want nodes, as set_mempolicy(2) has it."""
    mode, nodes, at = words.get("mode"), words.get("nodes"), "linux.memoryPolicy.nodes"
    numbers(nodes, at)
    if nodes and mode in ("MPOL_DEFAULT", "MPOL_LOCAL"):
        refuse(at, f"means nothing with {mode}")
    if mode and not nodes and mode not in ("MPOL_DEFAULT", "MPOL_LOCAL", "MPOL_PREFERRED"):
        refuse(at, f"is missing: {mode} wants some")


def cache(words):
    """The class is a directory of resctrl's and no way out of it; a schema is a line."""
    name = words.get("closID") or ""
    if name in (".", "..") or "/" in name and name != "/":
        refuse("linux.intelRdt.closID", f"{name!r:.60} is no name of a directory")
    for field in "l3CacheSchema", "memBwSchema":
        if "\n" in (words.get(field) or ""):
            refuse(f"linux.intelRdt.{field}", "must be one line")
    for i, line in enumerate(words.get("schemata") or ()):
        if "\n" in line:
            refuse(f"linux.intelRdt.schemata[{i}]", "must be one line")


def resources(words, at):
    """What goes into names of files, or means nothing as it is."""
    for i, device in enumerate(words.get("devices") or ()):
        if set(device.get("access") or "") - set("rwm" if device.get("allow") else "rwma"):
            refuse(f"{at}.devices[{i}].access", f"{device['access']!r:.60} is not made of r, w, m")
    for i, page in enumerate(words.get("hugepageLimits") or ()):
        size = page["pageSize"]
        if size[-2:] not in ("KB", "MB", "GB") or not size[:-2].isdecimal() or not size.isascii():
            refuse(f"{at}.hugepageLimits[{i}].pageSize", f"{size!r:.60} is no size such as 2MB")
    for name in words.get("unified") or ():
        if "/" in name or "." not in name or name.startswith("."):
            refuse(f"{at}.unified.{name}", "is no name of a cgroup's file, such as memory.max")
    for name, limits in (words.get("rdma") or {}).items():
        if limits.get("hcaHandles") is None and limits.get("hcaObjects") is None:
            refuse(f"{at}.rdma.{name}", "needs hcaHandles or hcaObjects")
    for i, device in enumerate((words.get("blockIO") or {}).get("weightDevice") or ()):
        if device.get("weight") is None and device.get("leafWeight") is None:
            refuse(f"{at}.blockIO.weightDevice[{i}]", "needs weight or leafWeight")
    for name in "cpus", "mems":
        text = (words.get("cpu") or {}).get(name) or ""
        if set(text.strip()) - set("0123456789,-:/ "):
            refuse(f"{at}.cpu.{name}", f"{text!r:.60} is no list such as 0-3,7")
