"""How long a container takes to start, beside its peers, cold and warm.

Machines are shared and noisy: all commands run in turn, round after round, so that a slow moment
hits each of them, and a ratio is the median of the rounds' ratios. Quote ratios, not milliseconds.
"""
import json
import mmap
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import as_c
from common import CHECKOUT, FLAGS, LAUNCHER, clock, machine, progress, ratio, spread

from crabcan_steps import ch07_seccomp
from crabcan_steps.mounts import furniture
from crabcan_steps.namespaces import ranges
from crabcan_steps.seccomp import cache

NAMESPACES = ["pid", "uts", "mount", "ipc", "network", "cgroup", "user"]
WARM = """
import resource, sys, time
sys.path[:0] = sys.argv[2:]
from crabcan_steps import ch01_args, ch09_runtime
def faults(): return [resource.getrusage(who).ru_minflt for who in
                      (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
for _ in range(int(sys.argv[1])):
    before, begin = faults(), time.perf_counter()
    spec = ch01_args.parse(["/bin/true"])
    assert ch09_runtime.run(spec, ch09_runtime.assemble(spec, ch09_runtime.LAST)) == 0
    seconds = time.perf_counter() - begin
    print(seconds, *[now - then for then, now in zip(before, faults())])
"""
COLD, WARM_ONE, C = "crabcan, cold", "crabcan, warm", "the same calls from C, warm"
TYPED = "crabcan, cold, with options"  # as people type them: -m DIR --memory 64M ...
OWN = "crabcan, cold, by a Python of our own"  # which starts again from a copy: interpreter.py
RUNC, CRUN = "runc", "crun"
AIMS = [(COLD, RUNC, 0.9), (TYPED, RUNC, 0.9), (WARM_ONE, CRUN, 0.8), (WARM_ONE, C, 1.5)]


def bundle(folder):
    """An OCI bundle that runs true on the host's /usr, for runc and crun, with walls like ours."""
    (folder / "rootfs").mkdir()
    for name in ("usr", "proc", "dev", "sys"):
        (folder / "rootfs" / name).mkdir()
    for name in ("bin", "lib", "lib64"):
        (folder / "rootfs" / name).symlink_to(f"usr/{name}")
    profile = json.loads((CHECKOUT / "crabcan_steps/seccomp/profiles/allow-list.json").read_text())
    usual = ["nosuid", "nodev", "noexec"]
    limits = {"memory": {"limit": 1 << 30}, "pids": {"limit": 64}}
    config = {
        "ociVersion": "1.0.2", "root": {"path": "rootfs"}, "hostname": "peer",
        "process": {"args": ["/bin/true"], "cwd": "/", "env": ["PATH=/usr/bin"], "noNewPrivileges": True,
                    "user": {"uid": 0, "gid": 0}, "capabilities": {},
                    "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 64, "soft": 64}]},
        "mounts": [{"destination": "/usr", "type": "bind", "source": "/usr", "options": ["rbind", "ro"]},
                   {"destination": "/proc", "type": "proc", "source": "proc"},
                   {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": [*usual, "ro"]},
                   {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"},
                   {"destination": "/dev/pts", "type": "devpts", "source": "devpts"},
                   {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": usual},
                   {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": usual}],
        "linux": {"namespaces": [{"type": name} for name in NAMESPACES],
                  "uidMappings": ids("uid"), "gidMappings": ids("gid"),
                  "maskedPaths": list(furniture.HIDDEN), "readonlyPaths": list(furniture.STEERING),
                  "resources": limits if os.geteuid() == 0 else {}, "seccomp": profile}}
    (folder / "config.json").write_text(json.dumps(config))


def ids(kind):
    """The map of chapter 5; an ordinary user's peers get what needs no helper, one id."""
    if os.geteuid() != 0:
        own = os.getuid() if kind == "uid" else os.getgid()
        return [{"containerID": 0, "hostID": own, "size": 1}]
    first, count = ranges.subordinate(kind) or ranges.ROOT_RANGE
    return [{"containerID": 0, "hostID": first, "size": count}]


def commands(folder):
    """name -> command, for all that might be here."""
    bundle(folder)
    state = ["--root", str(folder / "state")]
    unshare = ["unshare", "--fork", "--pid", "--uts", "--mount", "--ipc", "--net", "--cgroup"]
    return {
        COLD: [*LAUNCHER, "run", "/bin/true"],
        TYPED: [*LAUNCHER, "run", "-m", str(folder / "rootfs"), "-v", "/usr:/usr:ro", "--memory", "1G",
                "-e", "A=1", "--", "/bin/true"],
        OWN: [own_python(folder), *LAUNCHER[1:], "run", "/bin/true"],
        WARM_ONE: [sys.executable, *FLAGS, "-S", "-c", WARM, "3", *sys.path],
        C: in_c(folder),
        RUNC: ["runc", *state, "run", "--bundle", str(folder), "crabcan-bench"],
        CRUN: ["crun", *state, "run", "--bundle", str(folder), "crabcan-bench"],
        "bwrap": ["bwrap", "--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "true"],
        "unshare (the floor)": [*unshare, *([] if os.geteuid() == 0 else ["--user"]), "true"],
        "python, doing nothing": ["/usr/bin/python3", "-I", "-S", "-c", "pass"]}


def own_python(folder):
    """A copy of the interpreter that is not the host's root's."""
    path = folder / "python3"
    shutil.copy(os.path.realpath("/usr/bin/python3"), path)
    if os.geteuid() == 0:
        os.chown(path, 65534, 65534)
    return str(path)


def in_c(folder):
    """Makes the C program; returns its command."""
    if os.geteuid() != 0 or not shutil.which("cc"):
        return [C]  # which is not installed
    for left in Path("/sys/fs/cgroup").glob("**/in-c-crabcan-*"):  # by one that was killed
        if not (left / "cgroup.procs").read_text():
            left.rmdir()
    trace, source = folder / "trace", folder / "start.c"
    subprocess.run([*LAUNCHER, "run", "--trace", trace, "--hostname", "c", "/bin/true"], check=True,
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=None if not os.isatty(2) else subprocess.DEVNULL)  # as it is timed: at no terminal
    events = [json.loads(line) for line in trace.read_text().splitlines()]
    filters = [cache.cached(path, own, None) for path, own in ch07_seccomp.files("default")]
    source.write_text(as_c.program(events, filters))
    subprocess.run(["cc", "-O2", "-o", folder / "start", source], check=True)
    return [str(folder / "start"), "3"]


def copied(pages=4000):
    """Microseconds for a page that parent and child share, when one of them writes to it."""
    memory = mmap.mmap(-1, pages * mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(mmap.MADV_NOHUGEPAGE)  # or one copy would be of two megabytes

    def touch():
        begin = clock()
        for page in range(pages):
            memory[page * mmap.PAGESIZE] = 1
        return clock() - begin
    touch()
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        first, again = touch(), touch()  # by then they are its own
        os.write(theirs, str((first - again) / pages * 1e6).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(theirs)
    with open(ours) as said:
        return float(said.read())


def timed(name, command):
    """Seconds of one run; of a warm one, what it says itself about the last of its three."""
    begin = clock()
    # A pipe as standard input: runc gives what it finds there to the container's root, and with
    # /dev/null that is the machine's.
    result = subprocess.run(command, capture_output=True, cwd=CHECKOUT, text=True, input="")
    seconds = clock() - begin
    if result.returncode == 0 and "warm" in name:
        seconds = float(result.stdout.splitlines()[-1].split()[0])
    return seconds, result


def measure(rounds):
    """The report."""
    notes = []
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        os.chmod(folder, 0o755)  # the peers' roots are nobody on the host, as ours are
        able = {}
        for name, command in commands(Path(folder)).items():
            if not shutil.which(command[0]):
                notes.append(f"not here: {name}" + (" (needs root and a C compiler)" if name == C else ""))
            elif (result := timed(name, command)[1]).returncode:
                error = (result.stderr.strip().splitlines() or ["?"])[-1]
                notes.append(f"does not run here: {name}: {error[:160]}")
            else:
                able[name] = command
                if name == WARM_ONE:
                    pages = map(int, result.stdout.splitlines()[-1].split()[1:])
                    parent, child = (n * mmap.PAGESIZE / (1 << 20) for n in pages)
                    notes.append(f"pages copied or made in a warm start: {parent:.1f} MiB by the "
                                 f"parent, {child:.1f} MiB by the child, {copied():.1f} µs each")
        times = {name: [] for name in able}
        for number in range(rounds):
            progress(f"start: round {number + 1} of {rounds}")
            for name, command in able.items():
                seconds, result = timed(name, command)
                if result.returncode:
                    sys.exit(f"{name} failed: {result.stderr}")
                times[name].append(seconds)
    return {"about": f"Start to end of /bin/true, milliseconds, {rounds} rounds", "machine": machine(),
            "rows": {name: spread(t) for name, t in times.items()},
            "ratios": {f"{a} / {b}": ratio(times[a], times[b], aim)
                       for a, b, aim in AIMS if a in times and b in times},
            "notes": notes}
