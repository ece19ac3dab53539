"""The fields of config.json's `linux.resources`, in the form of fields.py. `update` takes them too."""
LIMITED = (("throttleReadBpsDevice", "bytes read a second"),
           ("throttleWriteBpsDevice", "bytes written a second"),
           ("throttleReadIOPSDevice", "reads a second"),
           ("throttleWriteIOPSDevice", "writes a second"))


def device(path, does):
    """The rows of a list of block devices."""
    return ((path, "list of object", None, "cgroups", does),
            (f"{path}[].major", "int64!", range(2**12), "cgroups", "the driver"),
            (f"{path}[].minor", "int64!", range(2**20), "cgroups", "which of the driver's"))


ROWS = (
    ("devices", "list of object", None, "which devices may be used; the last that fits counts"),
    ("devices[].allow", "bool!", None, "whether it may"),
    ("devices[].type", "string", ("a", "b", "c"), "all, block, character"),
    ("devices[].major", "int64", range(-1, 2**32), "the driver; none or -1 is any"),
    ("devices[].minor", "int64", range(-1, 2**32), "which of the driver's; none or -1 is any"),
    ("devices[].access", "string", None, "r to read, w to write, m to make the file"),
    ("memory", "object", None, "memory, in bytes; -1 is no limit"),
    ("memory.limit", "int64", None, "more there is not"),
    ("memory.reservation", "int64", None, "what is tried to be left to it"),
    ("memory.swap", "int64", None, "memory and swap together"),
    ("memory.kernel", "int64", None, "version 1: what the kernel holds for it; gone"),
    ("memory.kernelTCP", "int64", None, "version 1: the buffers of its connections"),
    ("memory.swappiness", "uint64", None, "version 1: how willingly it is swapped out"),
    ("memory.disableOOMKiller", "bool", None, "version 1: wait instead of being killed"),
    ("memory.useHierarchy", "bool", None, "version 1: count what is below; always so"),
    ("memory.checkBeforeUpdate", "bool", None, "no limit below what is in use"),
    ("cpu", "object", None, "processors"),
    ("cpu.shares", "uint64", None, "its part when there are not enough; 1024 is usual"),
    ("cpu.quota", "int64", None, "microseconds of work a period; -1 is no limit"),
    ("cpu.burst", "uint64", None, "microseconds that it may save up"),
    ("cpu.period", "uint64", None, "microseconds"),
    ("cpu.realtimeRuntime", "int64", None, "version 1: the same for real-time work"),
    ("cpu.realtimePeriod", "uint64", None, "version 1: the same for real-time work"),
    ("cpu.cpus", "string", None, "on which processors, such as 0-3,7"),
    ("cpu.mems", "string", None, "from which memory nodes"),
    ("cpu.idle", "int64", range(2), "1: only when nobody else has work"),
    ("pids", "object", None, "processes"),
    ("pids.limit", "int64", None, "and threads, together; -1 is no limit"),
    ("blockIO", "object", None, "disks"),
    ("blockIO.weight", "uint16", None, "its part when there is not enough"),
    ("blockIO.leafWeight", "uint16", None, "version 1: the same against its own children"),
    ("blockIO.weightDevice[].weight", "uint16", None, "its part of this disk"),
    ("blockIO.weightDevice[].leafWeight", "uint16", None, "the same against its own children"),
    ("hugepageLimits", "list of object", None, "huge pages"),
    ("hugepageLimits[].pageSize", "string!", None, "of which size, such as 2MB"),
    ("hugepageLimits[].limit", "uint64!", None, "bytes"),
    ("network", "object", None, "version 1: marks on its packets"),
    ("network.classID", "uint32", None, "a class for traffic control"),
    ("network.priorities", "list of object", None, "a priority for each network device"),
    ("network.priorities[].name", "string!", None, "the device"),
    ("network.priorities[].priority", "uint32!", None, "the priority"),
    ("rdma", "map of object", None, "what it may hold of each RDMA device"),
    ("rdma.*.hcaHandles", "uint32", None, "handles"),
    ("rdma.*.hcaObjects", "uint32", None, "objects"),
    ("unified", "map of string", None, "version 2: what to write to which file of its cgroup"),
)
FIELDS = (
    *((f"linux.resources.{path}", kind, allowed, "cgroups", does)
      for path, kind, allowed, does in ROWS),
    *device("linux.resources.blockIO.weightDevice", "its part of single disks"),
    *(row for name, does in LIMITED for row in (
        *device(f"linux.resources.blockIO.{name}", does),
        (f"linux.resources.blockIO.{name}[].rate", "uint64!", None, "cgroups", does))),
)
