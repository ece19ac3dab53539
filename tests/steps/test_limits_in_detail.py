"""Chapter 8, line by line: the numbers that the kernel has, seen from outside."""
import subprocess
from pathlib import Path

import pytest

from conftest import UNIFIED
from crabcan_workshop.measure import observe

FILES = {"cpu": ("cpu.max", "cpu.cfs_quota_us"), "memory": ("memory.max", "memory.limit_in_bytes"),
         "pids": ("pids.max", "pids.max")}


def folder_of(pid, controller):
    """The directory of a process's cgroup."""
    for names, path in observe.cgroups(pid).items():
        if UNIFIED or controller in names.split(","):
            return Path("/sys/fs/cgroup", "" if UNIFIED else controller, path.strip("/"))
    raise AssertionError(f"no cgroup of {controller}: cat /proc/{pid}/cgroup")


@pytest.mark.parametrize("options, controller, value", [
    (["--cpus", "0.2"], "cpu", "20000"), (["--cpus", "1.5"], "cpu", "150000"),
    (["--memory", "64M"], "memory", str(64 << 20)), ([], "memory", str(1 << 30)),
    (["--pids", "20"], "pids", "20"), ([], "pids", "64")])
def test_the_number_is_the_one_asked_for(root, options, controller, value):
    with root.start("run", *options, "--", "sh", "-c", "echo ready; read x") as running:
        running.ready()
        file = folder_of(running.init, controller) / FILES[controller][0 if UNIFIED else 1]
        assert file.read_text().split()[0] == value, f"cat {file}"
        if controller == "cpu":
            text = file.read_text() if UNIFIED else (file.parent / "cpu.cfs_period_us").read_text()
            assert text.split()[-1] == "100000"


def test_anybody_may_look_at_it_whatever_the_umask(root):
    """A monitor that is not root, say: the directory had the mode that the caller's umask left."""
    command = root.command("run", "--", "sh", "-c", "echo ready; read x")
    process = subprocess.Popen(command, env=root.environment, text=True, umask=0o077, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline() == "ready\n"
        folder = folder_of(observe.child_of(process.pid), "pids")
        assert folder.stat().st_mode & 0o777 == 0o755, folder
    finally:
        process.communicate("\n")


def test_limits_of_the_older_kind(who):
    out = who.run("sh", "-c", "cat /proc/self/limits")
    limits = {line[:26].strip(): line[26:].split()[:2] for line in out.splitlines()[1:]}
    assert limits["Max core file size"] == ["0", "0"] and limits["Max open files"] == ["64", "64"]
    assert limits["Max stack size"] == [str(8 << 20)] * 2 and limits["Max nice priority"] == ["0", "0"]
    assert limits["Max realtime priority"] == ["0", "0"] and limits["Max locked memory"] == [str(8 << 20)] * 2
    assert limits["Max msgqueue size"] == [str(800 << 10)] * 2
