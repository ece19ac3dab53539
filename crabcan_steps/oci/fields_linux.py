"""The fields of config.json's `linux`, in the form of fields.py. Resources have their own file."""
from .fields import NOBODY, mapping

NAMESPACES = "cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"
PROPAGATIONS = ("private", "rprivate", "rshared", "rslave", "runbindable", "shared", "slave",
                "unbindable")
ACTIONS = tuple("SCMP_ACT_" + name for name in (
    "ALLOW ERRNO KILL KILL_PROCESS KILL_THREAD LOG NOTIFY TRACE TRAP").split())
OPERATORS = tuple("SCMP_CMP_" + name for name in "EQ GE GT LE LT MASKED_EQ NE".split())
ARCHES = tuple("SCMP_ARCH_" + name for name in (
    "AARCH64 ARM LOONGARCH64 M68K MIPS MIPS64 MIPS64N32 MIPSEL MIPSEL64 MIPSEL64N32 PARISC PARISC64 "
    "PPC PPC64 PPC64LE RISCV64 S390 S390X SH SHEB X32 X86 X86_64").split())
FILTER_FLAGS = tuple("SECCOMP_FILTER_FLAG_" + name for name in (
    "TSYNC LOG SPEC_ALLOW WAIT_KILLABLE_RECV").split())
MEMORY_MODES = tuple("MPOL_" + name for name in (
    "DEFAULT BIND INTERLEAVE WEIGHTED_INTERLEAVE PREFERRED PREFERRED_MANY LOCAL").split())
MEMORY_FLAGS = "MPOL_F_NUMA_BALANCING", "MPOL_F_RELATIVE_NODES", "MPOL_F_STATIC_NODES"

FIELDS = (
    ("linux.namespaces", "list of object", None, "namespaces", "of what it has its own view"),
    ("linux.namespaces[].type", "string!", NAMESPACES, "namespaces", "which, see namespaces(7)"),
    ("linux.namespaces[].path", "string", None, "namespaces", "one that is there, to be joined"),
    *mapping("linux.uidMappings", "namespaces", "which users of the host its users are"),
    *mapping("linux.gidMappings", "namespaces", "which groups of the host its groups are"),
    ("linux.timeOffsets", "map of object", None, "namespaces", "how far off its clocks are"),
    ("linux.timeOffsets.*.secs", "int64", None, "namespaces", "seconds"),
    ("linux.timeOffsets.*.nanosecs", "uint32", range(10**9), "namespaces", "and nanoseconds"),
    ("linux.devices", "list of object", None, "devices", "device files besides those of all"),
    ("linux.devices[].type", "string!", ("b", "c", "p", "u"), "devices",
     "block, character (c, u), or a FIFO (p)"),
    ("linux.devices[].path", "absolute!", None, "devices", "where in the container"),
    ("linux.devices[].major", "int64", range(2**12), "devices", "the driver"),
    ("linux.devices[].minor", "int64", range(2**20), "devices", "which of the driver's"),
    ("linux.devices[].fileMode", "uint32", None, "devices", "its permissions, as a decimal number"),
    ("linux.devices[].uid", "uint32", None, "devices", "its owner"),
    ("linux.devices[].gid", "uint32", None, "devices", "its group"),
    ("linux.netDevices", "map of object", None, "network", "network devices that move in"),
    ("linux.netDevices.*.name", "string", None, "network", "their new name"),
    ("linux.cgroupsPath", "string", None, "cgroups", "its cgroup; with systemd SLICE:PREFIX:NAME"),
    ("linux.resources", "object", None, "cgroups", "what its cgroup allows"),
    ("linux.rootfsPropagation", "string", PROPAGATIONS, "mounts",
     "whether mounts in it are seen outside, and the other way round"),
    ("linux.sysctl", "map of string", None, "namespaces", "kernel parameters of its namespaces"),
    ("linux.seccomp", "object", None, "seccomp", "which system calls it may make"),
    ("linux.seccomp.defaultAction", "string", ACTIONS, "seccomp", "what becomes of all the others"),
    ("linux.seccomp.defaultErrnoRet", "uint32", range(65536), "seccomp", "with which errno"),
    ("linux.seccomp.architectures", "list of string", ARCHES, "seccomp",
     "whose calls besides this machine's own"),
    ("linux.seccomp.flags", "list of string", FILTER_FLAGS, "seccomp", "flags of seccomp(2)"),
    ("linux.seccomp.listenerPath", "string", None, "seccomp", "the socket of who decides for NOTIFY"),
    ("linux.seccomp.listenerMetadata", "text", None, "seccomp", "what that one is told besides"),
    ("linux.seccomp.syscalls", "list of object", None, "seccomp", "the rules"),
    ("linux.seccomp.syscalls[].names", "list of string!", None, "seccomp", "the calls"),
    ("linux.seccomp.syscalls[].action", "string!", ACTIONS, "seccomp", "what becomes of them"),
    ("linux.seccomp.syscalls[].errnoRet", "uint32", range(65536), "seccomp", "with which errno"),
    ("linux.seccomp.syscalls[].args", "list of object", None, "seccomp",
     "what their arguments must be like, all of it"),
    ("linux.seccomp.syscalls[].args[].index", "uint32!", range(6), "seccomp", "which argument"),
    ("linux.seccomp.syscalls[].args[].value", "uint64!", None, "seccomp",
     "compared with this, or the mask"),
    ("linux.seccomp.syscalls[].args[].valueTwo", "uint64", None, "seccomp",
     "with a mask: what must be left"),
    ("linux.seccomp.syscalls[].args[].op", "string!", OPERATORS, "seccomp", "how"),
    ("linux.maskedPaths", "list of absolute", None, "mounts", "paths that are covered"),
    ("linux.readonlyPaths", "list of absolute", None, "mounts", "paths that nobody writes to"),
    ("linux.mountLabel", "string", None, "mounts", "SELinux's label for its mounts"),
    ("linux.intelRdt", "object", None, NOBODY, "shares of the processor's cache, resctrl"),
    ("linux.intelRdt.closID", "string", None, NOBODY, "the class it belongs to"),
    ("linux.intelRdt.schemata", "list of string", None, NOBODY, "lines for that class"),
    ("linux.intelRdt.l3CacheSchema", "string", None, NOBODY, "its part of the cache"),
    ("linux.intelRdt.memBwSchema", "string", None, NOBODY, "its part of the way to memory"),
    ("linux.intelRdt.enableMonitoring", "bool", None, NOBODY, "whether its use is counted"),
    ("linux.intelRdt.enableCMT", "bool", None, NOBODY, "before 1.3: its use of cache"),
    ("linux.intelRdt.enableMBM", "bool", None, NOBODY, "before 1.3: its use of memory"),
    ("linux.memoryPolicy", "object", None, "memory", "where its memory is, set_mempolicy(2)"),
    ("linux.memoryPolicy.mode", "string!", MEMORY_MODES, "memory", "by which rule"),
    ("linux.memoryPolicy.nodes", "string", None, "memory", "the nodes, such as 0-3,7"),
    ("linux.memoryPolicy.flags", "list of string", MEMORY_FLAGS, "memory", "finer points"),
    ("linux.personality", "object", None, "process", "as which system the kernel poses"),
    ("linux.personality.domain", "string!", ("LINUX", "LINUX32"), "process", "LINUX32: of 32 bits"),
    ("linux.personality.flags", "list of string", (), "process", "there are none so far"),
)
