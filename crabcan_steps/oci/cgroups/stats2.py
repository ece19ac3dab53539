"""What a container has used, from version 2's files, in the same words as stats.py."""
from ... import linux
from ...layer import exists
from .figures import NONE, hugetlb, lines, listed, number, pids, table
from .processes import listed as processes_of


def stats(path):
    """All there is to tell about a cgroup of version 2."""
    used = pids(path)
    if not exists(f"{path}/pids.current"):
        used["current"] = len(processes_of(path))
    found = {"cpu": cpu(path), "memory": memory(path), "pids": used, "blkio": blkio(path),
             "cpuset": {name: listed(lines(path, f"cpuset.{name}.effective"))
                        for name in ("cpus", "mems")},
             "hugetlb": hugetlb(path, "current", "peak"), "intel_rdt": {},
             "network_interfaces": None}
    for group, file in ("cpu", "cpu"), ("memory", "memory"), ("blkio", "io"):
        if pressure := psi(path, f"{file}.pressure"):
            found[group]["psi"] = pressure
    return found


def cpu(path):
    times = table(path, "cpu.stat")
    return {"usage": {"total": times.get("usage_usec", 0) * 1000,
                      "kernel": times.get("system_usec", 0) * 1000,
                      "user": times.get("user_usec", 0) * 1000},
            "throttling": {"periods": times.get("nr_periods", 0),
                           "throttledPeriods": times.get("nr_throttled", 0),
                           "throttledTime": times.get("throttled_usec", 0) * 1000}}


def memory(path):
    """Swap is told together with memory, as version 1 counts it."""
    raw = table(path, "memory.stat")
    usage, swap = ({"limit": number(path, f"memory.{name}max"),
                    "usage": number(path, f"memory.{name}current"),
                    "max": number(path, f"memory.{name}peak"), "failcnt": 0}
                   for name in ("", "swap."))
    if swap["limit"] != NONE:
        swap["limit"] = min(NONE, swap["limit"] + usage["limit"])
    swap["usage"] += usage["usage"]
    swap["max"] = 0
    usage["failcnt"] = table(path, "memory.events").get("max", 0)
    return {"cache": raw.get("file", 0), "usage": usage, "swap": swap, "raw": raw,
            "kernel": {"limit": 0, "failcnt": 0}, "kernelTCP": {"limit": 0, "failcnt": 0}}


def blkio(path):
    """A line is a device: `8:0 rbytes=4096 wbytes=0 rios=1 wios=0 ...`."""
    words = {"rbytes": ("ioServiceBytesRecursive", "Read"),
             "wbytes": ("ioServiceBytesRecursive", "Write"),
             "rios": ("ioServicedRecursive", "Read"), "wios": ("ioServicedRecursive", "Write")}
    found = {}
    for line in lines(path, "io.stat"):
        device, *parts = line.split()
        major, minor = map(int, device.split(":"))
        for word, _, value in (part.partition("=") for part in parts):
            if word in words:
                key, op = words[word]
                found.setdefault(key, []).append({"major": major, "minor": minor, "op": op,
                                                  "value": int(value)})
    return found


def psi(path, file):
    """Pressure: `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`, and the same for `full`."""
    found = {}
    try:
        rows = [line.split() for line in linux.read(f"{path}/{file}").splitlines()]
    except OSError:
        return None  # not there, or switched off
    for name, *parts in rows:
        found[name] = {key: int(value) if key == "total" else float(value)
                       for key, _, value in (part.partition("=") for part in parts)}
    return found
