"""What a container has used, in the words of `runc events --stats`, which engines read.

Times are in nanoseconds, sizes in bytes. What this host does not count is 0, or left out.
"""
import os

from ... import linux
from ...layer import exists

HUGE = "/sys/kernel/mm/hugepages"
NONE = 2**64 - 1


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


def number(path, file, otherwise=0):
    """A file with a number in it; `otherwise` if there is none."""
    text = lines(path, file)
    word = text[0].strip() if text else ""
    return NONE if word == "max" else int(word) if word.lstrip("-").isdigit() else otherwise


def lines(path, file):
    if path is None or not exists(f"{path}/{file}"):
        return []
    return linux.read(f"{path}/{file}").splitlines()


def table(path, file):
    """A file of lines such as `cache 4096`."""
    return {name: int(value) for name, value in (line.split(None, 1) for line in lines(path, file))
            if value.strip().lstrip("-").isdigit()}


def pids(path):
    limit = number(path, "pids.max")
    return {"current": number(path, "pids.current"), "limit": 0 if limit == NONE else limit}


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


def listed(text):
    """0-2,7 as a list of numbers."""
    ranges = [part.partition("-") for part in ",".join(text).split(",") if part]
    return [one for first, _, last in ranges for one in range(int(first), int(last or first) + 1)]


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


def hugetlb(path, usage, most):
    """For each size of pages: reservations, where the kernel counts them."""
    found = {}
    for entry in linux.listdir(HUGE) if path and exists(HUGE) else ():
        size = int(entry.removeprefix("hugepages-").removesuffix("kB"))
        power = 2 if size >= 1 << 20 else 1 if size >= 1 << 10 else 0
        name = f"hugetlb.{size >> 10 * power}{'KMG'[power]}B"
        rsvd = ".rsvd" if exists(f"{path}/{name}.rsvd.{usage}") else ""
        failed = (table(path, f"{name}.events").get("max", 0) if usage == "current"
                  else number(path, f"{name}{rsvd}.failcnt"))
        found[name.partition(".")[2]] = {"usage": number(path, f"{name}{rsvd}.{usage}"),
                                         "max": number(path, f"{name}{rsvd}.{most}"),
                                         "failcnt": failed}
    return found
