"""Signals are acted on while a container starts, however long that takes: a file server may hang."""
import fcntl
import os
import shutil
import signal
import subprocess

import pytest

from conftest import gone, wait_for
from crabcan_workshop.measure import observe

SLOW = """
import sys, time
from crabcan_steps import ch02_clone, ch09_runtime, cli
from crabcan_steps.layer import Layer, Stage

class Slow(Layer):
    chapter, name, stage = 2, "slow", Stage.HOSTNAME
    def child(self):
        print("hangs", flush=True)
        time.sleep(60)

ch09_runtime.LAYERS = (*ch09_runtime.LAYERS, Slow)
ch09_runtime.NAMES.append("slow")
sys.exit(cli.main(["run", "--", "echo", "ran"]))
"""


@pytest.fixture
def leased(folder):
    """A program of which another process has a lease: execve waits until that gives it back."""
    program = folder / "program"
    shutil.copy("/bin/true", program)
    program.chmod(0o755)
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)  # the kernel asks us to give it back
    held = os.open(program, os.O_RDONLY)
    fcntl.fcntl(held, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    yield folder
    os.close(held)
    signal.signal(signal.SIGIO, before)


@pytest.mark.parametrize("debug", [[], ["--debug"]])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT])
def test_a_start_that_hangs_in_execve_ends_with_the_signal(who, leased, number, debug):
    with who.start("run", *debug, "-a", f"{leased}:/x", "--", "/x/program") as running:
        assert wait_for(lambda: where(running) == "__break_lease", 8), where(running)
        child = observe.child_of(running.runtime)
        running.process.send_signal(number)
        assert running.process.wait(8) == 128 + number, running.process.stderr.read()
        assert gone(child)
        assert debug or "chapter" not in running.process.stderr.read()


def where(running):
    """In which of its functions the kernel lets the container's process wait (proc(5), wchan)."""
    try:
        with open(f"/proc/{observe.child_of(running.runtime)}/wchan") as file:
            return file.read()
    except (OSError, observe.ObserveError):
        return None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_one_that_hangs_earlier_does_too(who, number):
    """As it does where a place for a mount is looked up on a file server that is silent."""
    process = subprocess.Popen([*who.python, "-c", SLOW], env=who.environment, text=True, cwd="/",
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert process.stdout.readline() == "hangs\n"
        child = observe.child_of(process.pid)
        process.send_signal(number)
        assert process.wait(8) == 128 + number
        assert gone(child) and "ran" not in process.stdout.read() and "chapter" not in process.stderr.read()
    finally:
        process.kill()
        process.communicate()


def test_what_ends_nobody_waits_until_the_program_runs(who):
    """SIGUSR1 would end a program without a handler; one that has just begun has none yet."""
    script = SLOW.replace("sleep(60)", "sleep(1)").replace('"echo", "ran"', '"sleep", "20"')
    process = subprocess.Popen([*who.python, "-c", script], env=who.environment, text=True, cwd="/",
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout.readline() == "hangs\n"
    process.send_signal(signal.SIGUSR1)
    assert process.wait(10) == 128 + signal.SIGUSR1, process.communicate()
