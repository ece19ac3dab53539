"""How long a container takes to start, beside its peers: paired in one run, as ratios of medians.

Machines are shared and noisy: all commands run in turn, round after round, so that a slow moment
hits each of them; quote the ratios, not the milliseconds.
"""
import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(CHECKOUT))
from crabcan_steps import ch04_mounts, ch05_namespaces  # noqa: E402

NAMESPACES = ["pid", "uts", "mount", "ipc", "network", "cgroup", "user"]
UNIFIED = "/sys/fs/cgroup/unified"
HIDE = ["unshare", "--mount", "sh", "-c", f'umount --lazy {UNIFIED}; exec "$@"', "sh"]
WARM = """
import sys, time
from crabcan_steps import ch01_args, ch09_runtime
times = []
for _ in range(int(sys.argv[1])):
    begin = time.perf_counter()
    spec = ch01_args.parse(["/bin/true"])
    assert ch09_runtime.run(spec, ch09_runtime.assemble(spec, 9)) == 0
    times.append(time.perf_counter() - begin)
print(*times)
"""


def bundle(folder):
    """An OCI bundle that runs true on the host's /usr, for runc and crun, with walls like ours."""
    (folder / "rootfs").mkdir()
    for name in ("usr", "proc", "dev", "sys"):
        (folder / "rootfs" / name).mkdir()
    for name in ("bin", "lib", "lib64"):
        (folder / "rootfs" / name).symlink_to(f"usr/{name}")
    profile = json.loads((CHECKOUT / "crabcan_steps/profiles/allow-list.json").read_text())
    first, count = ch05_namespaces.ROOT_RANGE
    ids = [{"containerID": 0, "hostID": first, "size": count}]
    usual = ["nosuid", "nodev", "noexec"]
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
                  "uidMappings": ids, "gidMappings": ids,
                  "maskedPaths": list(ch04_mounts.HIDDEN), "readonlyPaths": list(ch04_mounts.STEERING),
                  "resources": {"memory": {"limit": 1 << 30}, "pids": {"limit": 64}},
                  "seccomp": profile}}
    (folder / "config.json").write_text(json.dumps(config))


def peers(folder):
    """name -> command, of those that are installed and work here."""
    bundle(folder)
    unshare = ["unshare", "--fork", "--pid", "--uts", "--mount", "--ipc", "--net", "--cgroup"]
    commands = {
        "crabcan, cold": [sys.executable, "-I", "-S", "tools/start.py", "run", "/bin/true"],
        "runc": ["runc", "run", "--bundle", str(folder), "crabcan-bench"],
        "crun": ["crun", "run", "--bundle", str(folder), "crabcan-bench"],
        "bwrap": ["bwrap", "--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "true"],
        "unshare (the floor)": [*unshare, "true"],
        "python -I -c pass": [sys.executable, "-I", "-c", "pass"]}
    for name, command in list(commands.items()):
        if not shutil.which(command[0]):
            print(f"not installed: {name}", file=sys.stderr)
            del commands[name]
        elif (result := timed(command)[1]).returncode:
            print(f"does not run here: {name}: {result.stderr.decode().strip()[:200]}", file=sys.stderr)
            del commands[name]
    return commands


def timed(command):
    begin = time.perf_counter()
    result = subprocess.run(command, capture_output=True, cwd=CHECKOUT)
    return time.perf_counter() - begin, result


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--rounds", type=int, default=20)
    p.add_argument("--json", action="store_true", help="print JSON")
    options = p.parse_args()
    if os.geteuid() == 0 and os.path.ismount(UNIFIED):
        # crun refuses hosts that have both versions of cgroups: nobody here is to see version 2.
        os.execvp(HIDE[0], [*HIDE, sys.executable, "-I", *sys.argv])
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        os.chmod(folder, 0o755)  # the peers' roots are nobody on the host, as ours are
        commands = peers(Path(folder))
        times = {name: [] for name in commands} | {"crabcan, warm": []}
        for _ in range(options.rounds):
            for name, command in commands.items():
                seconds, result = timed(command)
                if result.returncode:
                    sys.exit(f"{name} failed: {result.stderr.decode()}")
                times[name].append(seconds)
            warm = subprocess.run([sys.executable, "-c", WARM, "3"], capture_output=True, text=True,
                                  cwd=CHECKOUT, check=True)
            times["crabcan, warm"].append(float(warm.stdout.split()[-1]))
    rows = {name: {"median_ms": statistics.median(t) * 1000, "min_ms": min(t) * 1000,
                   "max_ms": max(t) * 1000} for name, t in times.items()}
    ratios = {f"{a} / {b}": statistics.median(x / y for x, y in zip(times[a], times[b]))
              for a, b in (("crabcan, cold", "runc"), ("crabcan, warm", "crun")) if b in times}
    machine = f"{platform.machine()}, Linux {platform.release()}, Python {platform.python_version()}, " \
              f"{os.cpu_count()} processors"
    if options.json:
        print(json.dumps({"machine": machine, "times": rows, "ratios": ratios}, indent=1))
        return
    print(f"{machine}; {options.rounds} rounds; milliseconds")
    for name, row in rows.items():
        print(f"  {name:20} {row['median_ms']:7.1f}   ({row['min_ms']:.1f} to {row['max_ms']:.1f})")
    for name, ratio in ratios.items():
        print(f"  {name:28} {ratio:.2f}  (to be at most 1.0)")


if __name__ == "__main__":
    main()
