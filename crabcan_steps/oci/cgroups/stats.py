"""What a container has used, in the words of `runc events --stats`, which engines read.

Times are in nanoseconds, sizes in bytes. What this host does not count is 0, or left out.
"""
import os

from .figures import hugetlb, lines, listed, number, pids, table


def stats(groups):
    """All there is to tell about a container's cgroups, as `data` of an event."""
    if groups["version"] == 2:
        from . import stats2
        return stats2.stats(groups["paths"].get("", ""))
    path = groups["paths"].get
    return {"cpu": cpu(path("cpu"), path("cpuacct")), "cpuset": cpuset(path("cpuset")),
            "memory": memory(path("memory")), "pids": pids(path("pids")), "blkio": blkio(path("blkio")),
            "hugetlb": hugetlb(path("hugetlb"), "usage_in_bytes", "max_usage_in_bytes"),
            "intel_rdt": {}, "network_interfaces": None}


def cpu(path, account):
    times = table(path, "cpu.stat")
    tick = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
    used = table(account, "cpuacct.stat")
    usage = {"total": number(account, "cpuacct.usage"), "kernel": used.get("system", 0) * tick,
             "user": used.get("user", 0) * tick}
    rows = [line.split() for line in lines(account, "cpuacct.usage_all")[1:]]
    for key, column in ("percpu_kernel", 2), ("percpu_user", 1):
        usage[key] = [int(row[column]) for row in rows]
    usage["percpu"] = [int(word) for line in lines(account, "cpuacct.usage_percpu")
                       for word in line.split()]
    return {"usage": usage, "throttling": {"periods": times.get("nr_periods", 0),
                                           "throttledPeriods": times.get("nr_throttled", 0),
                                           "throttledTime": times.get("throttled_time", 0)}}


def cpuset(path):
    found = {name: listed(lines(path, f"cpuset.{name}")) for name in ("cpus", "mems")}
    for name in ("cpu_exclusive", "mem_hardwall", "mem_exclusive", "memory_migrate",
                 "memory_spread_page", "memory_spread_slab", "memory_pressure",
                 "sched_load_balance", "sched_relax_domain_level"):
        found[name] = number(path, f"cpuset.{name}")
    return found


def memory(path):
    raw = table(path, "memory.stat")
    found = {"cache": raw.get("cache", 0), "raw": raw}
    for key, name in ("usage", ""), ("swap", "memsw."), ("kernel", "kmem."), ("kernelTCP", "kmem.tcp."):
        found[key] = {"limit": number(path, f"memory.{name}limit_in_bytes"),
                      "usage": number(path, f"memory.{name}usage_in_bytes"),
                      "max": number(path, f"memory.{name}max_usage_in_bytes"),
                      "failcnt": number(path, f"memory.{name}failcnt")}
    return found


BLKIO = {"ioServiceBytesRecursive": "io_service_bytes", "ioServicedRecursive": "io_serviced",
         "ioQueueRecursive": "io_queued", "ioServiceTimeRecursive": "io_service_time",
         "ioWaitTimeRecursive": "io_wait_time", "ioMergedRecursive": "io_merged",
         "ioTimeRecursive": "time", "sectorsRecursive": "sectors"}


def blkio(path):
    """Lines such as `8:0 Read 4096`, of BFQ if it says any, else of throttling."""
    found = {}
    for key, name in BLKIO.items():
        for file in (f"blkio.bfq.{name}_recursive", f"blkio.{name}_recursive",
                     f"blkio.throttle.{name}_recursive", f"blkio.throttle.{name}"):
            rows = [line.replace(":", " ").split() for line in lines(path, file)]
            rows = [row for row in rows if len(row) > 2]
            if rows:
                found[key] = [{"major": int(row[0]), "minor": int(row[1]),
                               "op": row[2] if len(row) > 3 else "", "value": int(row[-1])}
                              for row in rows]
                break
    return found
