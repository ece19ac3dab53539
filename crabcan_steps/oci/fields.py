"""The fields of config.json (runtime-spec 1.2 and 1.3), a row each: what the check, `features` and
the reader go by. Here all but `linux`, which has files of its own.

A row: path, type (with ! required), allowed values, the module that acts on it, what it is for.
In a path [] stands for each item of a list and * for each key of a map. Types: `absolute` is a path
that begins with /, `text` may hold anything, even NUL.
"""
NOBODY = "nobody"  # acts on it: then it is refused, as silence would be a hole
VERSIONS = "1.0.0", "1.3.0"  # the oldest and the newest that we understand; within 1 all fit
HOOKS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")
CAPABILITIES = tuple("CAP_" + name for name in (  # in the order of their numbers, capabilities(7)
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE "
    "NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO "
    "SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME "
    "SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG "
    "WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE").split())
RLIMITS = tuple("RLIMIT_" + name for name in (
    "AS CORE CPU DATA FSIZE LOCKS MEMLOCK MSGQUEUE NICE NOFILE NPROC RSS RTPRIO RTTIME SIGPENDING "
    "STACK").split())
POLICIES = tuple("SCHED_" + name for name in "OTHER FIFO RR BATCH ISO IDLE DEADLINE".split())
SCHED_FLAGS = tuple("SCHED_FLAG_" + name for name in (
    "RESET_ON_FORK RECLAIM DL_OVERRUN KEEP_POLICY KEEP_PARAMS UTIL_CLAMP_MIN UTIL_CLAMP_MAX").split())
IO_CLASSES = "IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE"
MOUNT_OPTIONS = tuple(sorted((  # all that are not the file system's own
    "async atime bind defaults dev diratime dirsync exec iversion lazytime loud mand noatime nodev "
    "nodiratime noexec noiversion nolazytime nomand norelatime nostrictatime nosuid nosymfollow "
    "private ratime rbind rdev rdiratime relatime remount rexec rnoatime rnodev rnodiratime rnoexec "
    "rnorelatime rnostrictatime rnosuid rnosymfollow ro rprivate rrelatime rro rrw rshared rslave "
    "rstrictatime rsuid rsymfollow runbindable rw shared silent slave strictatime suid symfollow "
    "sync tmpcopyup unbindable idmap ridmap").split()))


def mapping(path, by, does):
    """The rows of an id mapping, of which there are four."""
    return (
        (path, "list of object", None, by, does),
        (f"{path}[].containerID", "uint32!", None, by, "the first id inside"),
        (f"{path}[].hostID", "uint32!", None, by, "the first id outside that stands for it"),
        (f"{path}[].size", "uint32!", None, by, "how many in a row"))


def hook(name, does):
    """The rows of one of the six kinds of hooks."""
    path = f"hooks.{name}"
    return (
        (path, "list of object", None, "hooks", does),
        (f"{path}[].path", "absolute!", None, "hooks", "the program"),
        (f"{path}[].args", "list of string", None, "hooks", "its arguments, argv[0] among them"),
        (f"{path}[].env", "list of string", None, "hooks", "its environment, and no other"),
        (f"{path}[].timeout", "int64", None, "hooks", "seconds until it is killed, and is an error"))


FIELDS = (
    ("ociVersion", "string!", None, "state", "of which version of the specification it is"),
    ("process", "object", None, "process", "the program to start"),
    ("process.terminal", "bool", None, "console", "a terminal of its own"),
    ("process.consoleSize", "object", None, "console", "how large the terminal is, in characters"),
    ("process.consoleSize.height", "uint32!", range(65536), "console", "lines"),
    ("process.consoleSize.width", "uint32!", range(65536), "console", "columns"),
    ("process.user", "object", None, "process", "as whom it runs, by the container's numbers"),
    ("process.user.uid", "uint32", range(2**32 - 1), "process", "the user"),
    ("process.user.gid", "uint32", range(2**32 - 1), "process", "the group"),
    ("process.user.umask", "uint32", range(0o1000), "process", "permissions that new files lack"),
    ("process.user.additionalGids", "list of uint32", range(2**32 - 1), "process", "further groups"),
    ("process.args", "list of string", None, "process", "the program and its arguments"),
    ("process.env", "list of string", None, "process", "its environment, NAME=VALUE each"),
    ("process.cwd", "absolute!", None, "process", "the directory it starts in"),
    ("process.capabilities", "object", None, "process", "which of root's powers it has"),
    ("process.capabilities.bounding", "list of string", None, "process",
     "what it and its children can ever gain"),
    ("process.capabilities.effective", "list of string", None, "process", "what the kernel looks at"),
    ("process.capabilities.permitted", "list of string", None, "process",
     "what it may make effective"),
    ("process.capabilities.inheritable", "list of string", None, "process",
     "what a file's capabilities may keep across execve"),
    ("process.capabilities.ambient", "list of string", None, "process", "what execve keeps"),
    ("process.rlimits", "list of object", None, "process", "limits of setrlimit(2)"),
    ("process.rlimits[].type", "string!", RLIMITS, "process", "of what"),
    ("process.rlimits[].soft", "uint64!", None, "process", "the limit that holds"),
    ("process.rlimits[].hard", "uint64!", None, "process", "up to where it may raise that itself"),
    ("process.noNewPrivileges", "bool", None, "process", "no set-user-ID program gives it power"),
    ("process.oomScoreAdj", "int32", range(-1000, 1001), "process",
     "how soon it is killed when memory runs out; 1000 is first"),
    ("process.apparmorProfile", "string", None, "process", "AppArmor's profile for it"),
    ("process.selinuxLabel", "string", None, "process", "SELinux's label for it"),
    ("process.scheduler", "object", None, "process", "how it is given processors, sched_setattr(2)"),
    ("process.scheduler.policy", "string!", POLICIES, "process", "by which rule"),
    ("process.scheduler.nice", "int32", None, "process", "from -20, greedy, to 19, modest"),
    ("process.scheduler.priority", "int32", None, "process", "among SCHED_FIFO and SCHED_RR"),
    ("process.scheduler.flags", "list of string", SCHED_FLAGS, "process", "finer points"),
    ("process.scheduler.runtime", "uint64", None, "process", "SCHED_DEADLINE: work a period, in ns"),
    ("process.scheduler.deadline", "uint64", None, "process", "SCHED_DEADLINE: done until, in ns"),
    ("process.scheduler.period", "uint64", None, "process", "SCHED_DEADLINE: how often, in ns"),
    ("process.ioPriority", "object", None, "process", "its turn at the disk, ioprio_set(2)"),
    ("process.ioPriority.class", "string!", IO_CLASSES, "process", "in which queue"),
    ("process.ioPriority.priority", "int32", range(8), "process", "in the queue; 0 is first"),
    ("process.execCPUAffinity", "object", None, "process", "processors for what `exec` starts"),
    ("process.execCPUAffinity.initial", "string", None, "process", "until it is in its cgroup"),
    ("process.execCPUAffinity.final", "string", None, "process", "from then on"),
    ("root", "object!", None, "mounts", "the container's root file system"),
    ("root.path", "string!", None, "mounts", "where it is; a relative path begins in the bundle"),
    ("root.readonly", "bool", None, "mounts", "whether nobody writes to it"),
    ("hostname", "string", None, "bundle", "the name of the machine, as seen inside"),
    ("domainname", "string", None, "bundle", "its NIS domain, as seen inside"),
    ("mounts", "list of object", None, "mounts", "what else is mounted, in this order"),
    ("mounts[].destination", "string!", None, "mounts", "where in the container"),
    ("mounts[].type", "string", None, "mounts", "the kind of file system; a bind mount has none"),
    ("mounts[].source", "string", None, "mounts", "a device, or a path if it is a bind mount"),
    ("mounts[].options", "list of string", None, "mounts", "as mount(8) has them"),
    *mapping("mounts[].uidMappings", "mounts", "how owners of files are shifted in this mount"),
    *mapping("mounts[].gidMappings", "mounts", "how groups of files are shifted in this mount"),
    ("hooks", "object", None, "hooks", "programs of the host's, run at certain moments"),
    *hook("prestart", "before the program, in the runtime's namespaces; the older name"),
    *hook("createRuntime", "when the namespaces are there, outside of them"),
    *hook("createContainer", "when the namespaces are there, inside, before pivot_root"),
    *hook("startContainer", "before the program starts, inside"),
    *hook("poststart", "after the program has started, outside"),
    *hook("poststop", "after the container is deleted, outside"),
    ("annotations", "map of text", None, "state", "what others noted about it"),
    ("linux", "object", None, "bundle", "what only Linux has"),
)
