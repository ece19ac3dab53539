"""Chapter 2: PID 1 of its own, exit statuses, signals, and neither side waits for a dead one."""
import contextlib
import os
import signal
import subprocess

import pytest

from conftest import closes, end, gone, wait_for
from crabcan_steps.layer import Undo
from crabcan_workshop.measure import observe


def test_it_is_pid_1(matrix):
    closes(matrix, "pid", 2)


def test_from_outside_it_has_two_numbers(who):
    with who.start("step", "2", "--", "sh", "-c", "echo ready; read x") as running:
        running.ready()
        status = open(f"/proc/{running.init}/status").read()
    numbers = next(line for line in status.splitlines() if line.startswith("NSpid")).split()
    assert numbers[1:] == [str(running.init), "1"]


@pytest.mark.parametrize("script, status", [
    ("exit 0", 0), ("exit 7", 7), ("exit 255", 255), ("sh -c 'kill -TERM $$'", 143),
    ("sh -c 'kill -KILL $$'; exit $?", 137)])
def test_the_exit_status_is_the_command_s(who, script, status):
    assert who.crabcan("run", "--", "sh", "-c", script).returncode == status


@pytest.mark.parametrize("command, status, words", [
    (["nosuch"], 127, "not found"), (["/usr"], 126, "cannot be executed"),
    (["/etc/hostname"], 126, "cannot be executed")])
def test_what_cannot_be_executed(who, command, status, words):
    result = who.crabcan("run", "--", *command)
    assert result.returncode == status
    assert words in result.stderr.splitlines()[-1]


@pytest.mark.parametrize("step", ["2", "9"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_ends_a_program_without_handlers(who, step, number):
    with who.start("step", step, "--", "sh", "-c", "echo ready; exec sleep 100") as running:
        running.ready()
        wait_for(lambda: open(f"/proc/{running.init}/comm").read() == "sleep\n")
        end(running.runtime, number)
        assert running.process.wait(20) == 128 + number
        assert wait_for(lambda: gone(running.init))


@pytest.mark.parametrize("step", ["2", "9"])
def test_a_signal_reaches_a_handler_once(who, step):
    script = "trap 'echo got' TERM; echo ready; for i in 1 2 3 4 5 6; do sleep 0.1; done; exit 5"
    with who.start("step", step, "--", "bash", "-c", script) as running:
        running.ready()
        end(running.runtime, signal.SIGTERM)
        out, _ = running.process.communicate(timeout=20)
        assert out == "got\n" and running.process.returncode == 5


def test_stop_and_continue(who):
    with who.start("run", "--", "sh", "-c", "echo ready; exec sleep 100") as running:
        running.ready()
        end(running.runtime, signal.SIGTSTP)
        state = lambda pid: open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[0]
        assert wait_for(lambda: state(running.init) == "T" and state(running.runtime) == "T")
        end(running.runtime, signal.SIGCONT)
        assert wait_for(lambda: state(running.init) == "S" and state(running.runtime) == "S")


def test_a_killed_runtime_takes_its_container_along(who):
    for step in range(2, 10):
        with who.start("step", step, "--", "sh", "-c", "sleep 1000 & echo ready; wait") as running:
            running.ready()
            end(running.runtime)
            assert wait_for(lambda: gone(running.init)), f"step {step}"


def test_a_killed_runtime_takes_its_container_along_at_any_moment(who):
    """Kills it after 5, 10, ... ms: during imports, set-up, the container's life."""
    import time
    for milliseconds in range(5, 150, 5):
        with who.start("run", "--", "sleep", "container-marker") as running:
            time.sleep(milliseconds / 1000)
            end(running.runtime)
    assert wait_for(lambda: not survivors()), survivors()


def survivors():
    """Processes whose command line says that they came from the test above."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if b"container-marker" in open(f"/proc/{pid}/cmdline", "rb").read() and not gone(pid):
                found.append(pid)
        except OSError:
            pass
    return found


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_what_is_to_be_undone_is_undone_whatever_happens(error):
    """Last things first, all of them, and the error is still told."""
    done, undo = [], Undo()

    def fail():
        done.append("failed")
        raise error

    for deed in (lambda: done.append("first"), fail, lambda: done.append("last")):
        undo.callback(deed)
    with pytest.raises(error), undo:
        pass
    assert done == ["last", "failed", "first"]
    undo.close()
    assert len(done) == 3  # each once


def test_what_is_handed_over_is_not_undone_here():
    done, undo = [], Undo()
    with undo:
        undo.callback(done.append, 1)
        heir = undo.pop_all()
    assert done == []
    heir.close()
    assert done == [1]


def test_ctrl_z_stops_all_of_the_container(who):
    """Not only its process 1, while the children go on."""
    with who.start("run", "--", "sh", "-c", "sh -c 'while :; do :; done' & echo ready; wait") as running:
        running.ready()
        inside = os.readlink(f"/proc/{running.init}/ns/pid")

        def states():
            found = []
            for entry in os.listdir("/proc"):
                with contextlib.suppress(OSError):
                    if entry.isdigit() and os.readlink(f"/proc/{entry}/ns/pid") == inside:
                        found.append(observe.stat_of(entry)[0])
            return found
        assert wait_for(lambda: len(states()) == 2) and "T" not in states()
        before = len(os.listdir(f"/proc/{running.runtime}/fd"))
        running.process.send_signal(signal.SIGTSTP)
        assert wait_for(lambda: states() == ["T", "T"]), states()
        assert wait_for(lambda: observe.stat_of(running.runtime)[0] == "T")  # last of all
        running.process.send_signal(signal.SIGCONT)
        assert wait_for(lambda: "T" not in states()), states()
        assert wait_for(lambda: len(os.listdir(f"/proc/{running.runtime}/fd")) == before)


def test_why_a_program_may_not_be_executed(root, tmp_path):
    """Each cause by its name: a directory, no permission, a mount that forbids it."""
    tmp_path.chmod(0o755)
    script = f"mount -t tmpfs -o noexec,mode=755 none {tmp_path}; cp /bin/true {tmp_path}/there; exec \"$@\""
    command = root.command("run", "-a", f"{tmp_path}:/x", "--", "/x/there")
    result = subprocess.run(["unshare", "--mount", "sh", "-c", script, "sh", *command], env=root.environment,
                            text=True, capture_output=True)
    assert result.returncode == 126 and "mounted noexec" in result.stderr, result
    for path, cause in {"/usr": "is a directory", "/etc/passwd": "no execute permission"}.items():
        result = root.crabcan("run", "--", path)
        assert result.returncode == 126 and cause in result.stderr, result
