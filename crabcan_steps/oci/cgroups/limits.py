"""What linux.resources asks for, as files of a cgroup: LIMITS is the whole story.

The specification speaks version 1's language; some words mean something else in version 2.
"""
import errno

from ...layer import LayerError, exists
from .words import (NAME, each, io_weight, most, names, percent, processes, rate, rdma, refused,
                    switch, weight)

LIMITS = {  # option: version 2's (file, how it says that), version 1's. "a|b": the first there is
    "memory.limit": (("memory.max", most), ("memory.limit_in_bytes", str)),
    "memory.swap": (("memory.swap.max", most), ("memory.memsw.limit_in_bytes", str)),
    "memory.reservation": (("memory.low", most), ("memory.soft_limit_in_bytes", str)),
    "memory.kernel": ((), ("memory.kmem.limit_in_bytes", str)),  # version 2 counts it with the rest
    "memory.kernelTCP": ((), ("memory.kmem.tcp.limit_in_bytes", str)),
    "memory.swappiness": (None, ("memory.swappiness", percent)),
    "memory.disableOOMKiller": (None, ("memory.oom_control", switch)),
    "memory.useHierarchy": (None, ("memory.use_hierarchy", switch)),
    "cpu.shares": (("cpu.weight", weight), ("cpu.shares", str)),
    "cpu.max": (("cpu.max", str), None),  # quota and period together, see meant()
    "cpu.period": ((), ("cpu.cfs_period_us", str)),
    "cpu.quota": ((), ("cpu.cfs_quota_us", str)),
    "cpu.burst": (("cpu.max.burst", str), ("cpu.cfs_burst_us", str)),
    "cpu.idle": (("cpu.idle", str), ("cpu.idle", str)),
    "cpu.realtimePeriod": (None, ("cpu.rt_period_us", str)),
    "cpu.realtimeRuntime": (None, ("cpu.rt_runtime_us", str)),
    "cpu.cpus": (("cpuset.cpus", str), ("cpuset.cpus", str)),
    "cpu.mems": (("cpuset.mems", str), ("cpuset.mems", str)),
    "pids.limit": (("pids.max", processes), ("pids.max", processes)),
    "blockIO.weight": (("io.bfq.weight|io.weight", None), ("blkio.weight|blkio.bfq.weight", str)),
    "blockIO.leafWeight": (None, ("blkio.leaf_weight", str)),
    "blockIO.weightDevice": (("io.bfq.weight|io.weight", None),
                             ("blkio.weight_device|blkio.bfq.weight_device", each("weight", str))),
    "blockIO.leafWeightDevice": (None, ("blkio.leaf_weight_device", each("leafWeight", str))),
    "blockIO.throttleReadBpsDevice": (("io.max", rate("rbps=")),
                                      ("blkio.throttle.read_bps_device", rate(""))),
    "blockIO.throttleWriteBpsDevice": (("io.max", rate("wbps=")),
                                       ("blkio.throttle.write_bps_device", rate(""))),
    "blockIO.throttleReadIOPSDevice": (("io.max", rate("riops=")),
                                       ("blkio.throttle.read_iops_device", rate(""))),
    "blockIO.throttleWriteIOPSDevice": (("io.max", rate("wiops=")),
                                        ("blkio.throttle.write_iops_device", rate(""))),
    "network.classID": (None, ("net_cls.classid", str)),
    "network.priorities": (None, ("net_prio.ifpriomap", names)),
    "rdma": (("rdma.max", rdma), ("rdma.max", rdma)),
}
OWN_SCALE = {  # weights of the block devices: the file that there is says which scale
    "io.bfq.weight": {"blockIO.weight": str, "blockIO.weightDevice": each("weight", str)},
    "io.weight": {"blockIO.weight": io_weight, "blockIO.weightDevice": each("weight", io_weight)}}
# Engines send these to say nothing at all. (A 0 in pids.limit, cpu.idle and cpu.burst says a lot.)
NOTHING = {"memory.swappiness": (-1, 2**64 - 1), "memory.disableOOMKiller": (False,),
           "memory.useHierarchy": (), "pids.limit": (), "cpu.idle": (), "cpu.burst": ()}


def wanted(resources):
    """What is asked for: option -> value. Nothing is what 0, "" and [] mean for most of them."""
    found = {f"{group}.{key}": value for group in ("memory", "cpu", "pids", "blockIO", "network")
             for key, value in (resources.get(group) or {}).items()}
    found["rdma"] = resources.get("rdma")
    found["blockIO.leafWeightDevice"] = [one for one in found.get("blockIO.weightDevice") or ()
                                         if one.get("leafWeight")]
    return {option: found[option] for option in LIMITS if found.get(option) is not None
            and found[option] not in NOTHING.get(option, (0, "", [], {}))}


def steps(groups, resources):
    """Yields (option, path of a file, line) for all that is asked for, but for devices.

    Raises LayerError for what this host cannot have."""
    column = 0 if groups["version"] == 2 else 1
    directory = groups["paths"].get
    options = wanted(resources)
    if column == 0:
        from . import second
        options = second.meant(options, directory(""), resources)
    elif options.get("memory.limit") == -1 and "memory.swap" not in options:
        options["memory.swap"] = -1 if exists(
            f"{directory('memory')}/memory.memsw.limit_in_bytes") else None
    for option, value in options.items():
        row = LIMITS[option][column]
        if row is None:
            raise refused(option, f"cgroup version {groups['version']} has nothing like it")
        if row == () or value is None:
            continue
        files, form = row
        path = directory("" if column == 0 else files.partition(".")[0])
        if path is None:
            raise refused(option, "container could not join or create cgroup: this host has no such "
                                  "controller")
        choice = [file for file in files.split("|") if exists(f"{path}/{file}")]
        file = choice[0] if choice else files.split("|")[-1]
        lines = (form or OWN_SCALE[file][option])(value)
        for line in [lines] if isinstance(lines, str) else lines:
            yield option, f"{path}/{file}", line
    yield from pages(groups, resources.get("hugepageLimits") or ())
    if resources.get("unified"):
        if column == 1:
            raise LayerError(NAME, "invalid configuration", 0, "linux.resources.unified needs "
                             "cgroup version 2, and this host has version 1")
        yield from second.unified(directory(""), resources["unified"])


def pages(groups, limits):
    """Huge pages: reservations too, where the kernel can; else whoever uses one too many is hit."""
    path = groups["paths"].get("" if groups["version"] == 2 else "hugetlb")
    end = "max" if groups["version"] == 2 else "limit_in_bytes"
    for one in limits:
        name = f"hugetlb.{one['pageSize']}"
        if path is None or not exists(f"{path}/{name}.{end}"):
            raise refused("hugepageLimits", f"no pages of {one['pageSize']} can be limited here",
                          errno.ENOENT)
        yield "hugepageLimits", f"{path}/{name}.{end}", str(one["limit"])
        if exists(f"{path}/{name}.rsvd.{end}"):
            yield "hugepageLimits", f"{path}/{name}.rsvd.{end}", str(one["limit"])
