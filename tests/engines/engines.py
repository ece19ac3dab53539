"""Engines for the tests: each container is made twice, by our runtime and by runc, and compared."""
import contextlib
import os
import shutil
import sys
import time
from pathlib import Path

import pytest

from conftest import UNIFIED
from crabcan_workshop.engine import image
from crabcan_workshop.engine.daemons import Containerd, Docker
from crabcan_workshop.engine.errors import EngineError
from crabcan_workshop.engine.podman import Podman

OURS = Path(sys.executable).with_name("crabcan-oci")
RUNC = shutil.which("runc", path=os.environ["PATH"] + ":/usr/sbin:/sbin")
START = """#!/bin/sh
PYTHONPATH={path} exec /usr/bin/python3 -S -c '
import sys
sys.path += ["/usr/lib/python3/dist-packages"]
from crabcan_steps.oci.__main__ import leave, main
leave(main())' "$@"
"""
ENGINES = {engine.name: engine for engine in (Podman, Docker, Containerd)}


class Both(contextlib.AbstractContextManager):
    """An engine that has our runtime and runc."""

    def __init__(self, name):
        if not OURS.exists():
            pytest.skip("not set up by ./workshop: no crabcan-oci")
        self.engine = ENGINES[name](OURS)
        try:
            self.engine.look()
        except EngineError as error:
            pytest.skip(str(error))
        if not RUNC:
            pytest.skip("no runc to compare with: apt-get install runc")
        self.engine.__enter__()
        self.call, self.must = self.engine.call, self.engine.must

    def __exit__(self, *_):
        self.engine.__exit__()

    def words(self, ours, options, command):
        """`run` with one of the two runtimes."""
        if self.engine.name == "podman":
            return [*([] if ours else ["--runtime", RUNC]), "run", *options, image.NAME, *command]
        runtime = "crabcan" if ours else "runc"
        return ["run", "--runtime", runtime, "--network", "none", *options, image.NAME, *command]

    def run(self, ours, options, command, **more):
        """A container that runs to its end: (exit status, what it printed, what it complained of)."""
        command = ["sh", "-c", command] if isinstance(command, str) else command
        result = self.call(*self.words(ours, ["--rm", *options], command), **more)
        return result.returncode, result.stdout, result.stderr

    @contextlib.contextmanager
    def running(self, *options, command=("sleep", "100"), ours=True):
        """A container that sleeps, for as long as the block; its name."""
        name = f"box-{time.monotonic_ns()}"
        self.must(*self.words(ours, ["--detach", "--name", name, *options], command))
        try:
            yield name
        finally:
            self.call("rm", "--force", name)

    def same(self, options, command, **more):
        """What a container prints, if it is the same under both runtimes, and so is its status."""
        found = [self.run(ours, options, command, **more) for ours in (True, False)]
        assert found[0][:2] == found[1][:2], found
        return found[0]


def need_podman(*programs):
    for program in "podman", "busybox", *programs:
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")
    if not RUNC:
        pytest.skip("no runc to compare with: apt-get install runc")


def runtime_for(user):
    """Our runtime for a user; one made for the tests gets a program of their own, as the checkout may
    be out of their reach."""
    if user.uid == os.geteuid():
        if not OURS.exists():
            pytest.skip("not set up by ./workshop: no crabcan-oci")
        return OURS
    path = Path(user.environment["HOME"], "crabcan-oci")
    path.write_text(START.format(path=user.environment["PYTHONPATH"]))
    path.chmod(0o755)
    return path


def limits(memory="memory.max memory.limit_in_bytes", pids="pids.max", cpu="cpu.max cpu.cfs_quota_us"):
    """A line of shell that prints the limits of the container's own cgroup."""
    files = [name for names in (memory, pids, cpu) for name in names.split()]
    folders = [""] if UNIFIED else ["memory/", "pids/", "cpu/"]
    return "cat " + " ".join(f"/sys/fs/cgroup/{folder}{name}" for folder in folders for name in files) + " 2>/dev/null"


# name: (options, what runs: words, or a line of shell; what its output must have)
CASES = {
    "status": ([], "exit 7", ""),
    "no such program": ([], ["nope"], ""),
    "no permission": ([], ["/etc/passwd"], ""),
    "who": ([], "id -u; id -g; echo $HOME; pwd; hostname | wc -c", "0\n0\n/root\n/\n13\n"),
    "user": (["--user", "1000:1001"], "id -u; id -g; grep Cap /proc/self/status", "1000\n1001\n"),
    "user by name": (["--user", "nobody"], "id -u; echo $HOME", "65534\n/home\n"),
    "groups": (["--group-add", "44", "--user", "5"], "grep Groups /proc/self/status", "44"),
    "privileges": ([], "grep -E 'Cap|NoNewPrivs|Seccomp:' /proc/self/status", "Seccomp:\t2"),
    "cap-drop and cap-add": (["--cap-drop", "all", "--cap-add", "net_raw"], "grep Cap /proc/self/status",
                             "CapEff:\t0000000000002000"),
    "no-new-privileges": (["--security-opt", "no-new-privileges"], "grep NoNew /proc/self/status", "1"),
    "read-only": (["--read-only"], "touch /x; echo $?", "1\n"),
    "tmpfs": (["--tmpfs", "/t:size=1m,mode=700"], "grep ' /t ' /proc/mounts; stat -c %a /t", "size=1024k"),
    "device": (["--device", "/dev/full:/dev/mine"], "stat -c '%F %t %T %a' /dev/mine; echo a >/dev/mine; echo $?",
               "character special file 1 7 666\n1\n"),
    "other devices": (["--cap-add", "mknod"], "mknod /tmp/d b 8 0; cat </tmp/d; echo $?", "1\n"),
    "env and workdir": (["--env", "A=b  c", "--workdir", "/tmp"], 'echo "$A"; pwd', "b  c\n/tmp\n"),
    "new workdir": (["--workdir", "/new/one"], "pwd; stat -c %a:%u .", "/new/one\n755:0\n"),
    "hostname": (["--hostname", "box"], "hostname; cat /proc/sys/kernel/hostname", "box\nbox\n"),
    "ulimit": (["--ulimit", "nofile=100:200", "--ulimit", "nproc=200:300"], "ulimit -Sn; ulimit -Hn", "100\n200\n"),
    "sysctl": (["--sysctl", "kernel.msgmax=4000"], "cat /proc/sys/kernel/msgmax", "4000\n"),
    "shm": (["--shm-size", "2m"], "grep ' /dev/shm ' /proc/mounts", "size=2048k"),
    "limits": (["--memory", "64m", "--pids-limit", "20", "--cpus", "0.5"], limits(), "67108864\n"),
    "shares": (["--cpu-shares", "200", "--cpuset-cpus", "0"], "grep Cpus_allowed_list /proc/self/status", "0\n"),
    "oom score": (["--oom-score-adj", "100"], "cat /proc/self/oom_score_adj", "100\n"),
    "init": (["--init"], "tr '\\0' ' ' </proc/1/cmdline; exit 3", "init"),
    "mounts": ([], "cut -d' ' -f2,4 /proc/mounts | cut -d, -f1 | grep -v -e '^/ ' -e /etc/ -e /run/ -e /sys/fs/cgroup"
               " | sort", "/proc/sys ro\n"),
    "masked": ([], "wc -c /proc/keys /proc/timer_list; ls /sys/firmware; touch /proc/sys/vm/swappiness; echo $?",
               "1\n"),
    "devices there": ([], "cd /dev; for f in *; do stat -c '%n %F %t %T %a %u:%g' $f; done; readlink fd ptmx stdin",
                      "null character special file 1 3 666 0:0"),
    "descriptors": ([], "ls /proc/self/fd", "0\n1\n2\n3\n"),
    "own namespaces": ([], "ls /proc/1/ns; cut -d: -f2- /proc/self/cgroup | grep -c engine", ""),
    "signals": ([], "grep -E 'Sig(Blk|Ign|Cgt)|Threads' /proc/self/status; ulimit -c; umask", "022"),
    "pid host": (["--pid", "host"], "test $(ls -d /proc/[0-9]* | wc -l) -gt 3; echo $?", "0\n"),
    "ipc host": (["--ipc", "host"], "readlink /proc/self/ns/ipc", "ipc:"),
}
