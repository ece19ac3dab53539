"""Chapter 2, line by line: what only shows when a caller, or a layer, is an odd one."""
import os
import signal
import subprocess

import pytest

from conftest import gone, wait_for
from crabcan_workshop.measure import observe

SPY = """
import gc, os, signal, sys, threading, time
from crabcan_steps import ch02_clone, ch04_mounts, cli, linux
from crabcan_steps.ch01_args import Spec
from crabcan_steps.layer import Layer, LayerError, Stage
class Spy(Layer):
    chapter, name, stage = 2, "spy", Stage.HOSTNAME
spec = Spec(); spec.command = ("sh", "-c", "exit 7")
def run(*layers):
    try:
        print("status", ch02_clone.run(spec, [ch02_clone.Clone(), *layers]), flush=True)
    except LayerError as error:
        print("error", error.layer, error.call, error.errno, flush=True)
"""


def spy(root, text):
    result = root.script(SPY + text)
    assert result.returncode == 0 and result.stderr == "", result
    return result.stdout


def test_the_four_in_a_row_leave_nothing(root):
    out = spy(root, "before = sorted(os.listdir('/proc/self/fd'))\nrun(); run()\n"
                    "print(sorted(os.listdir('/proc/self/fd')) == before, gc.isenabled())")
    assert out == "status 7\nstatus 7\nTrue True\n"


def test_a_caller_that_ignores_sigchld_has_the_status_and_goes_on_ignoring(root):
    out = spy(root, "signal.signal(signal.SIGCHLD, signal.SIG_IGN)\nrun()\n"
                    "print(signal.getsignal(signal.SIGCHLD).name)")
    assert out == "status 7\nSIG_IGN\n"


def test_one_that_does_not_is_left_alone(root):
    out = spy(root, "seen = []\nsignal.signal(signal.SIGCHLD, lambda *_: seen.append(1))\nrun()\n"
                    "print(callable(signal.getsignal(signal.SIGCHLD)), len(seen) > 0)")
    assert out == "status 7\nTrue True\n"


def test_a_threaded_caller_is_refused(root):
    out = spy(root, "threading.Thread(target=time.sleep, args=(1,)).start()\nrun()")
    assert out == "error clone threads 0\n"


def test_what_waits_to_be_printed_is_printed_once(root):
    out = spy(root, "class Stop(Spy):\n    def child(self): sys.stdout.flush()\n"
                    "print('once', end=' ')\nrun(Stop())")
    assert out == "once status 7\n"


def test_a_child_that_dies_without_a_word_is_an_error(root):
    assert spy(root, "class Dies(Spy):\n    def child(self): os._exit(0)\nrun(Dies())") == "error clone died 0\n"


def test_one_that_is_killed_with_a_word_unread_is_an_error(root):
    out = spy(root, """
class Dies(Spy):
    def parent(self, pid, undo):
        os.kill(pid, signal.SIGSTOP)
        if os.fork() == 0:
            time.sleep(0.2); os.kill(pid, signal.SIGKILL); os._exit(0)
run(Dies())
os.wait()""")
    assert out == "error clone died 0\n"


def test_a_layer_that_fails_in_the_child_ends_it(root):
    out = spy(root, "class Bad(Spy):\n    def child(self): linux.chdir('/nowhere')\nrun(Bad())\n"
                    "print(open(f'/proc/self/task/{os.getpid()}/children').read() == '')")
    assert out == "error spy chdir 2\nTrue\n"


def test_whoever_stands_outside_of_the_root_does_not_start(root):
    """A working directory that was opened before the root changed leads out of it."""
    out = spy(root, """
class Outside(Spy):
    stage = Stage.LIMITS
    def prepare(self, spec, undo): self.fd = os.open("/", os.O_PATH)
    def child(self): os.fchdir(self.fd)
spec.workdir = "."
run(ch04_mounts.Mounts(), Outside())""")
    assert out == "error clone getcwd 2\n"


def test_no_descriptor_on_either_side_of_the_socket_stays(root):
    """Descriptors below the socket's number and above it, when the program's path is looked up."""
    out = spy(root, """
low = [os.open("/", os.O_PATH) for _ in range(5)]
class High(Spy):
    def prepare(self, spec, undo): pass
    def child(self):
        for fd in [os.open("/", os.O_PATH) for _ in range(5)]: os.set_inheritable(fd, True)
for fd in low: os.set_inheritable(fd, True)
spec.command = ("ls", "/proc/self/fd")
run(High())""")
    assert out.split() == ["0", "1", "2", "3", "status", "0"]


def test_a_process_1_that_somebody_else_kills_has_that_status(root):
    with root.start("run", "--", "sh", "-c", "echo ready; read x") as running:
        running.ready()
        os.kill(running.init, signal.SIGKILL)
        assert running.process.wait(20) == 137


@pytest.mark.parametrize("begun", ["", "ch02_clone.start(container)"])
def test_what_is_deleted_ends(root, begun):
    """Whether it runs already or only waits; and the caller does not wait for it."""
    out = spy(root, f"""
spec.command = ("sleep", "100")
container = ch02_clone.create(spec, [ch02_clone.Clone()])
{begun}
before = time.monotonic()
ch02_clone.delete(container)
print(os.path.exists(f"/proc/{{container.pid}}"), time.monotonic() - before < 5)""")
    assert out == "False True\n"


def test_kill_9_of_the_runtime_ends_a_child_that_is_still_being_made(root):
    """It waits for nobody, so no closed socket tells it: the kernel does."""
    script = SPY + "class Slow(Spy):\n    def child(self): print('slow', flush=True); time.sleep(60)\nrun(Slow())"
    process = subprocess.Popen([*root.python, "-c", script], env=root.environment, text=True, cwd="/",
                               stdout=subprocess.PIPE)
    assert process.stdout.readline() == "slow\n"
    child = observe.child_of(process.pid)
    process.kill()
    process.wait()
    assert wait_for(lambda: gone(child)), "the child goes on without its parent"


@pytest.mark.parametrize("error, status", [("KeyboardInterrupt", 130), ("SystemExit(9)", 9)])
def test_an_interrupt_before_there_is_a_child_has_its_status(root, error, status):
    script = f"class Stop(Spy):\n    def prepare(self, spec, undo): raise {error}\n" \
             "from crabcan_steps import ch09_runtime\nch09_runtime.LAYERS += (Stop,)\n" \
             "ch09_runtime.NAMES.append('spy')\nsys.exit(cli.main(['run', 'true']))"
    result = root.script(SPY + script)
    assert (result.returncode, result.stderr) == (status, "")


def test_ctrl_c_ends_a_container_with_130(who):
    with who.start("run", "--", "sleep", "100") as running:
        assert wait_for(lambda: program_of(running) == "sleep\n")
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(20) == 130


def program_of(running):
    try:
        with open(f"/proc/{observe.child_of(running.runtime)}/comm") as file:
            return file.read()
    except (OSError, observe.ObserveError):
        return None
