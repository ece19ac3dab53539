"""Promise 4: after many starts, in a row and at once, killed or not, the host is as before."""
import json
import os
import pty
import random
import signal
import subprocess
import termios
import time

import pytest

from conftest import gone, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]  # the long form

# One interpreter that lives long and starts all containers through the public API. It looks at
# all that a start could leave, before and after; argv: in a row or at once, how many.
STARTS = """
import gc, glob, json, os, signal, sys
from crabcan_steps import ch01_args, ch02_clone, ch09_runtime
cgroups = "/sys/fs/cgroup" if os.path.exists("/sys/fs/cgroup/cgroup.controllers") else "/sys/fs/cgroup/*"

def count(path):
    with open(path) as file:
        return len(file.readlines())

def state():
    gc.collect()
    children = open(f"/proc/self/task/{os.getpid()}/children").read().split()
    folders = ("/tmp", "/run", "/dev/shm", "/var/lib", "/var/tmp")
    found = [f for x in folders for f in glob.glob(f"{x}/*crabcan-{os.getpid()}*")]
    for base in {os.environ["XDG_CACHE_HOME"], os.environ["TMPDIR"], os.getcwd()}:
        found += [os.path.join(place, f) for place, names, files in os.walk(base) for f in names + files]
    return {"children and zombies": children, "mounts": count("/proc/self/mountinfo"),
            "cgroups": glob.glob(f"{cgroups}/**/crabcan-{os.getpid()}-*", recursive=True),
            "links": count("/proc/net/dev"), "files": sorted(found),
            "descriptors": sorted(os.listdir("/proc/self/fd")),
            "signal mask": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
            "signals": [str(signal.getsignal(n)) for n in signal.valid_signals()],
            "umask": os.umask(0o022), "working directory": os.getcwd(),
            "hostname": os.uname().nodename, "gc": gc.isenabled()}

def spec():
    return ch01_args.parse(["--", "true"])

def memory():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1])

def one():
    one = spec()
    assert ch09_runtime.run(one, ch09_runtime.assemble(one, 9)) == 0
    pages.append(memory())

def at_once(number):
    specs = [spec() for _ in range(number)]
    containers = [ch02_clone.create(s, ch09_runtime.assemble(s, 9)) for s in specs]
    for container in containers:
        ch02_clone.start(container)
    statuses = [ch02_clone.wait(container) for container in containers]
    for container in containers:
        ch02_clone.delete(container)
    assert statuses == [0] * number

pages = []
for _ in range(5):
    one()  # whatever is loaded or cached once
before = state()
pages.clear()
if sys.argv[1] == "row":
    for _ in range(int(sys.argv[2])):
        one()
else:
    at_once(int(sys.argv[2]))
print("REPORT" + json.dumps({"before": before, "after": state(), "pages": pages}), file=sys.stderr)
"""

# A private copy of the mount table whose mounts are shared, as systemd's are: what a container
# does to it without care would be seen here, and nowhere else.
SHARED = ["unshare", "--mount", "sh", "-c", 'mount --make-rshared / && exec "$@"', "sh"]


@pytest.fixture
def long(request):
    return request.config.getoption("--long")


def private(who, folder):
    """An environment in which every file that is made is seen."""
    places = {"XDG_CACHE_HOME": folder / "cache", "TMPDIR": folder / "tmp"}
    for place in places.values():
        place.mkdir(exist_ok=True)
        if os.geteuid() == 0:
            os.chown(place, who.uid, who.uid)
    (folder / "cwd").mkdir(exist_ok=True)
    return who.environment | {name: str(place) for name, place in places.items()}


def starts(who, folder, how, number, terminal=subprocess.DEVNULL):
    """Runs STARTS; returns its report, having compared the host before and after."""
    shared = SHARED if os.geteuid() == 0 else []
    result = subprocess.run([*shared, *who.python, "-c", STARTS, how, str(number)], text=True,
                            env=private(who, folder), cwd=folder / "cwd", timeout=110 + number,
                            stdin=terminal, stdout=terminal, stderr=subprocess.PIPE)
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stderr.rpartition("REPORT")[2])
    assert report["after"] == report["before"]
    assert len(report["before"]["files"]) == 3, "a directory with two filters"
    return report


def keys(uid):
    """How many keys a user has, by the kernel's own count (proc_keys(5))."""
    for line in open("/proc/key-users"):
        user, _, number, *_ = line.split()
        if user == f"{uid}:":
            return int(number.split("/")[0])
    return 0


def test_many_in_a_row_at_a_terminal(who, folder, long):
    number = 1000 if long else 40
    outer, inner = pty.openpty()
    settings, had = termios.tcgetattr(inner), keys(who.uid)
    pages, third = starts(who, folder, "row", number, terminal=inner)["pages"], number // 3
    assert termios.tcgetattr(inner) == settings
    os.close(outer)
    os.close(inner)
    assert sum(pages[-third:]) <= 1.05 * sum(pages[:third]), pages
    # Keys are collected in the background; others may have made a few in the meantime.
    assert wait_for(lambda: keys(who.uid) - had < number // 4), (had, keys(who.uid))


def test_many_at_once_in_one_interpreter(who, folder, long):
    starts(who, folder, "at once", 50 if long else 10)


def test_many_runs_racing(who, folder, long):
    """Each sweeps what it takes for dead: not the others. And the first ones fill the cache."""
    environment = private(who, folder)
    runs = [subprocess.Popen(who.command("run", "--", "sh", "-c", "sleep 0.1; exit 7"), cwd=folder,
                             env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
            for _ in range(50 if long else 10)]
    errors = [run.communicate(timeout=100)[1] for run in runs]
    assert [run.returncode for run in runs] == [7] * len(runs), errors
    assert cgroups(runs) == []
    names = sorted(path.name for path in (folder / "cache" / "crabcan").iterdir())
    assert names == ["allow-list.json.bpf", "deny-list.json.bpf"]


def cgroups(runs):
    """The cgroups that these runs have made."""
    found = []
    for place, folders, _ in os.walk("/sys/fs/cgroup"):
        found += [f"{place}/{name}" for name in folders if name.startswith("crabcan-")]
    return [path for path in found for run in runs if f"/crabcan-{run.pid}-" in path]


def test_what_killed_runs_leave_is_swept_by_the_next(who, folder, long):
    """kill -9 at random moments; half of them have no cached filter, so they write one."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    environment = private(who, folder)
    marker = f"leaks-{time.monotonic_ns()}"
    runs = []
    for _ in range(200 if long else 20):
        if chance.random() < 0.5:
            for path in (folder / "cache").glob("crabcan/*"):
                path.unlink()
        run = subprocess.Popen(who.command("run", "--", "sh", "-c", f"sleep 1000; : {marker}"),
                               env=environment, stdin=subprocess.DEVNULL, start_new_session=True)
        runs.append(run)
        time.sleep(chance.uniform(0, 0.3))
        run.send_signal(signal.SIGKILL)
        run.wait()
    assert subprocess.run(who.command("run", "--", "true"), env=environment).returncode == 0
    assert wait_for(lambda: not alive(marker)), alive(marker)
    assert cgroups(runs) == []
    names = sorted(path.name for path in (folder / "cache" / "crabcan").iterdir())
    assert names == ["allow-list.json.bpf", "deny-list.json.bpf"]
    assert list((folder / "tmp").iterdir()) == []


def alive(marker):
    """Processes with a word in their command line."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if marker.encode() in open(f"/proc/{pid}/cmdline", "rb").read() and not gone(pid):
                found.append(pid)
        except OSError:
            pass
    return found


KILLED = """
import os, sys
from crabcan_steps.seccomp import bpf, cache
path = os.path.join(cache.PROFILES, "deny-list.json")
if sys.argv[1] == "killed":  # in between, with half of it written
    class Half:
        def __init__(self, file): self.file = file
        def __enter__(self): return self
        def __exit__(self, *_): pass
        def write(self, data):
            self.file.write(data[:-100]); self.file.flush(); os.kill(os.getpid(), 9)
    def half(file, mode="r"):
        return Half(open(file, mode)) if mode == "wb" else open(file, mode)
    cache.open = half
if sys.argv[1] == "next":
    compiled = bpf.compiled
    bpf.compiled = lambda *source: print("compiled") or compiled(*source)
print(len(cache.cached(path, True, None)))
"""


def test_a_cache_killed_half_way_is_neither_believed_nor_left(who, folder):
    def script(word):
        return subprocess.run([*who.python, "-c", KILLED, word], env=environment, cwd="/",
                              text=True, stdout=subprocess.PIPE)

    environment = private(who, folder)
    assert script("killed").returncode == -signal.SIGKILL
    left = [path.stat().st_size for path in (folder / "cache" / "crabcan").iterdir()]
    assert left and left[0] > 1000, "it was killed in between"
    assert script("next").stdout.startswith("compiled")
    assert script("next").stdout.split()[0].isdigit()
    assert len(list((folder / "cache" / "crabcan").iterdir())) == 1
