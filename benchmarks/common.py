"""What the benchmarks share: whom they start, how they count, and how they tell."""
import json
import os
import platform
import resource
import statistics
import sys
import time
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
FLAGS = ["-I", *["-B"] * sys.dont_write_bytecode]  # under sudo: no compiled files of root's
LAUNCHER = ["/usr/bin/python3", *FLAGS, "-S", str(CHECKOUT / "crabcan_steps/runtime/launcher.py")]
UNIFIED = "/sys/fs/cgroup/unified"
HIDE = ["unshare", "--mount", "sh", "-c", f'umount --lazy {UNIFIED}; exec "$@"', "sh"]
sys.path.insert(0, str(CHECKOUT))


def machine():
    """One line about where this was measured."""
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo")
                  if line.startswith("model name")), platform.machine())
    version = "2" if os.path.exists("/sys/fs/cgroup/cgroup.controllers") else "1"
    load = " ".join(f"{x:.1f}" for x in os.getloadavg())
    who = "root" if os.geteuid() == 0 else "an ordinary user"
    return (f"{model}, {os.cpu_count()} processors, load {load}; Linux {platform.release()}, cgroups of "
            f"version {version}; Python {platform.python_version()}; as {who}")


def prepare():
    """As many open files as allowed; and hides both versions of cgroups at once, which crun refuses."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if os.geteuid() == 0 and os.path.ismount(UNIFIED):
        # in a mount namespace of our own: nobody here is to see version 2
        os.execvp(HIDE[0], [*HIDE, sys.executable, *FLAGS, *sys.argv])


def spread(seconds):
    """Median, least and most, in milliseconds."""
    ms = [1000 * s for s in seconds]
    return {"median": statistics.median(ms), "min": min(ms), "max": max(ms)}


def ratio(some, others, aim):
    """The median ratio of pairs that were measured one after the other, and what it should be."""
    return {"ratio": statistics.median(x / y for x, y in zip(some, others)), "aim": aim}


def progress(text):
    if sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


class Once:
    """A standard error that says each line once: a hundred containers have the same to say."""

    def __init__(self, stream):
        self.stream, self.said = stream, set()

    def write(self, text):
        if text not in self.said:
            self.said.add(text)
            self.stream.write(text)

    def __getattr__(self, name):
        return getattr(self.stream, name)


def show(report, as_json):
    """Prints a report: times (or megabytes) with their spread, then the ratios with their aims."""
    progress("")
    if as_json:
        print(json.dumps(report, indent=1))
        return
    print(f"{report['about']}\n{report['machine']}")
    for name, row in report["rows"].items():
        print(f"  {name:34} {row['median']:8.1f}   ({row['min']:.1f} to {row['max']:.1f})")
    for name, row in report["ratios"].items():
        aim = f"(at most {row['aim']:g})" if row["aim"] else ""
        print(f"  {name:34} {row['ratio']:8.2f}   {aim}".rstrip())
    for note in report["notes"]:
        print(f"  {note}")


def clock():
    return time.perf_counter()
