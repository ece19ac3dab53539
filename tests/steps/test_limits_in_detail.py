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


# ---------------------------------------------------------------- what is said of one that cannot be had

@pytest.mark.parametrize("options, text", [
    (["--memory", "64M", "--memory-swap", "32M"], "--memory-swap: is memory and swap together: at least --memory (64M)"),
    (["--memory-swap", "32M"], "--memory-swap: is memory and swap together: at least --memory (1024M)")])
def test_a_limit_that_nobody_could_have(who, options, text):
    result = who.crabcan("run", *options, "--", "true")
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (125, "", 1), result
    assert result.stderr.startswith(f"crabcan: chapter 8 (cgroups): {text}"), result.stderr


def test_more_files_than_we_may_have_ourselves(who):
    words = ["prlimit", "--nofile=100:100", "--", *who.command("run", "--nofile", "500", "--", "true")]
    result = subprocess.run(words, env=who.environment, text=True, capture_output=True, timeout=who.patience)
    assert (result.returncode, result.stdout) == (125, ""), result
    assert result.stderr.endswith("setrlimit: Operation not permitted: --nofile 500: our own hard limit is 100\n")


@pytest.mark.parametrize("option, value", [("--memory", "64M"), ("--pids", "20"), ("--cpus", "0.5")])
def test_an_ordinary_user_without_cgroups_hears_how_to_have_them(user, option, value):
    if user.has_cgroups():
        pytest.skip("this user has cgroups")
    result = user.crabcan("run", option, value, "--", "true")
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (125, "", 1), result
    assert f"cgroup: Permission denied: {option} (/sys/fs/cgroup): be root, or log in under systemd" in result.stderr


def test_and_of_the_defaults_in_one_line(user):
    if user.has_cgroups():
        pytest.skip("this user has cgroups")
    result = user.crabcan("run", "--", "echo", "up")
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (0, "up\n", 1), result
    assert result.stderr.startswith("crabcan: default limits that cannot be had here: --memory (")
    assert ", --pids (" in result.stderr


def test_a_controller_that_is_not_there(root):
    """As on a kernel without it: the files of its tree are hidden, in a mount namespace of the test's own."""
    if UNIFIED:
        pytest.skip("version 2 is one tree")
    script = 'mount -t tmpfs none /sys/fs/cgroup/pids && exec "$@"'
    words = ["unshare", "--mount", "sh", "-c", script, "sh", *root.command("run", "--pids", "20", "--", "true")]
    result = subprocess.run(words, env=root.environment, text=True, capture_output=True, timeout=root.patience)
    assert (result.returncode, result.stderr.count("\n")) == (125, 1), result
    assert "--pids (" in result.stderr and "this kernel has no such limit, or another tree has its controller" in result.stderr
