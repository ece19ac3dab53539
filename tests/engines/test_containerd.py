"""containerd with our runtime, by ctr, and the same containers with runc: a daemon of the tests' own."""
import contextlib
import time

import pytest

from conftest import UNIFIED, Typist
from crabcan_workshop.engine import image
from crabcan_workshop.engine.base import CGROUPS
from engines import RUNC, Both

pytestmark = [pytest.mark.usefixtures("root"), pytest.mark.timeout(300)]
CASES = {  # name: (options, a line of shell or words, its status, what it prints)
    "status": ([], "exit 7", 7, ""),
    "no such program": ([], ["nope"], 1, ""),
    "read-only": (["--read-only"], "touch /x; echo $?", 0, "1\n"),
    "capabilities": (["--cap-drop", "CAP_CHOWN", "--cap-add", "CAP_SYS_TIME"], "grep Cap /proc/self/status", 0, "Cap"),
    "environment": (["--env", "A=b  c", "--cwd", "/tmp"], 'echo "$A"; pwd', 0, "b  c\n/tmp\n"),
    "device": (["--device", "/dev/full"], "echo a >/dev/full; echo $?", 0, "1\n"),
    "privileges": ([], "grep -E 'Cap|NoNewPrivs|Seccomp:' /proc/self/status", 0, "NoNewPrivs:\t1"),
    "seccomp": (["--seccomp"], "grep Seccomp: /proc/self/status", 0, "2\n"),
}


@pytest.fixture(scope="module")
def both(root):
    with Both("containerd") as both:
        yield both


def words(both, ours, options, command, name, keep=False):
    found = both.engine.shown(command, *options, name=name)
    found[found.index("--runc-binary") + 1] = str(both.engine.uses) if ours else RUNC
    return [word for word in found if word != "--rm" or not keep]


def run(both, ours, options, command):
    name = f"one-{time.monotonic_ns()}"
    command = ["sh", "-c", command] if isinstance(command, str) else command
    result = both.call(*words(both, ours, options, command, name))
    both.call("containers", "rm", name)  # what could not be started stays
    return result.returncode, result.stdout


@contextlib.contextmanager
def running(both, *options, ours=True):
    name = f"box-{time.monotonic_ns()}"
    both.must(*words(both, ours, ["--detach", *options], ["sleep", "100"], name, keep=True))
    try:
        yield name
    finally:
        both.call("tasks", "delete", "--force", name)
        both.call("containers", "rm", name)


def tasks_exec(both, name, *command, options=()):
    return ["tasks", "exec", "--fifo-dir", f"{both.engine.folder}/fifo", "--exec-id",
            f"e{time.monotonic_ns()}", *options, name, *command]


@pytest.mark.parametrize("name", CASES)
def test_the_same_as_with_runc(both, name):
    options, command, status, wanted = CASES[name]
    found = [run(both, ours, options, command) for ours in (True, False)]
    assert found[0] == found[1]
    assert found[0][0] == status and wanted in found[0][1], found[0]


def test_exec_and_its_status(both):
    for ours in True, False:
        with running(both, ours=ours) as name:
            said = both.call(*tasks_exec(both, name, "sh", "-c", "id -u; exit 5"))
            assert (said.returncode, said.stdout) == (5, "0\n"), said
            assert both.call(*tasks_exec(both, name, "nope")).returncode == 1


def test_a_terminal(both):
    name = f"tty-{time.monotonic_ns()}"
    with Typist(both.engine, *words(both, True, ["--tty"], ["sh", "-c", "tty; read word; echo got $word; exit 4"],
                                    name)) as typist:
        typist.sees("/dev/pts/0", 60)
        typist.type("abc\n")
        typist.sees("got abc")
        assert typist.process.wait(30) == 4


def test_pause_metrics_and_processes(both):
    with running(both) as name:
        both.must("tasks", "pause", name)
        assert "PAUSED" in both.must("tasks", "ls")
        both.must("tasks", "resume", name)
        assert "RUNNING" in both.must("tasks", "ls")
        assert "memory" in both.must("tasks", "metrics", name)
        assert len(both.must("tasks", "ps", name).splitlines()) == 2


def test_limits(both):
    for ours in True, False:
        with running(both, "--memory-limit", "67108864", "--cpus", "0.5", ours=ours) as name:
            files = ("memory.max", "cpu.max") if UNIFIED else ("memory.limit_in_bytes", "cpu.cfs_quota_us")
            said = [path.read_text() for file in files
                    for path in CGROUPS.glob(f"{'' if UNIFIED else '*/'}{both.engine.parent[1:]}/{name}/{file}")]
            assert said[0] == "67108864\n" and said[1].startswith("50000"), said


def test_two_containers(both):
    with running(both) as one, running(both) as two:
        pids = [line.split()[1] for line in both.must("tasks", "ls").splitlines()[1:]]
        assert len(set(pids)) == 2
        both.must("tasks", "kill", "--signal", "KILL", one)
        assert both.call(*tasks_exec(both, two, "true")).returncode == 0


def test_the_runtime_is_ours(both):
    with running(both) as name:
        pass
    commands = [call.command for call in both.engine.calls() if name in call.words]
    assert commands[:2] == ["create", "start"] and "delete" in commands
    assert image.NAME in both.must("images", "ls", "--quiet")
