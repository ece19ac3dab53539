"""--init: a process 1 that reaps and passes signals on, and in which nothing of ours can be seen."""
import os
import re
import signal
import subprocess
import time

import pytest

from conftest import Typist, gone, wait_for

ORPHANS = "(sleep 0.1 & exec sleep 0.2) & sleep 0.6; ps ax -o stat= | grep -c ^Z"


def test_orphans_are_reaped(who):
    """Without it they are the command's, which does not know of them."""
    assert who.crabcan("run", "--", "sh", "-c", f"exec 2>&1; trap '' CHLD; {ORPHANS}").returncode in (0, 1)
    result = who.crabcan("run", "--init", "--", "sh", "-c", ORPHANS)
    assert result.stdout == "0\n", result


def test_without_it_they_stay(root):
    assert int(root.crabcan("run", "--", "sh", "-c", f'exec python3 -c "{PYTHON}"').stdout) > 0


PYTHON = "import subprocess, time; subprocess.run(['sh', '-c', '(sleep 0.1 &) ; exit']); time.sleep(0.5); " \
         "print(subprocess.run(['ps', 'ax', '-o', 'stat='], capture_output=True, text=True).stdout.count('Z'))"


@pytest.mark.parametrize("script, status", [("exit 7", 7), ("kill -9 $$", 137), ("kill -TERM $$", 143), ("true", 0)])
def test_the_status_is_the_command_s(who, script, status):
    assert who.crabcan("run", "--init", "--", "sh", "-c", script).returncode == status


@pytest.mark.parametrize("command, status, words", [("nosuch", 127, "not found"), ("/etc/passwd", 126, "executed")])
def test_what_cannot_be_started_is_told_as_ever(who, command, status, words):
    result = who.crabcan("run", "--init", "--", command)
    assert result.returncode == status and words in result.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_signals_reach_the_command_and_do_what_they_do(who, number):
    with who.start("run", "--init", "--", "sh", "-c", "echo ready; exec sleep 100") as running:
        running.ready()
        running.process.send_signal(number)
        assert running.process.wait(20) == 128 + number
    script = f"trap 'echo caught; exit 5' {number.name[3:]}; echo ready; while :; do sleep 0.1; done"
    with who.start("run", "--init", "--", "sh", "-c", script) as running:
        running.ready()
        running.process.send_signal(number)
        assert running.process.stdout.readline() == "caught\n" and running.process.wait(20) == 5


def test_a_command_that_has_become_another_user_lives_on(root):
    """Without CAP_KILL process 1 may send it nothing: then nothing is what happens."""
    script = "import os, time; os.setuid(7); print('ready', flush=True); time.sleep(1); os._exit(3)"
    with root.start("run", "--init", "--cap-add", "SETUID", "--", "python3", "-c", script) as running:
        running.ready()
        running.process.send_signal(signal.SIGUSR1)
        assert running.process.wait(20) == 3


def test_whoever_does_not_listen_is_killed_after_a_while(root):
    """GRACE is 10 seconds; a copy of the module with a shorter one shows the same in less."""
    script = """import sys
from crabcan_steps import cli
from crabcan_steps.clone import init
init.GRACE = 1
sys.exit(cli.main(["run", "--init", "--", "sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done"]))"""
    process = subprocess.Popen([*root.python, "-c", script], env=root.environment, text=True, cwd="/",
                               stdout=subprocess.PIPE)
    assert process.stdout.readline() == "ready\n"
    process.terminate()
    began = time.monotonic()
    assert process.wait(20) == 137 and 0.8 < time.monotonic() - began < 8


def test_those_who_are_left_may_tidy_up(who, folder):
    """Without --init they are killed together with the command."""
    inner = "trap 'echo tidy >/out/tidy; exit' TERM; echo >/out/up; while :; do sleep 0.1; done"
    script = f"sh -c \"{inner}\" & until [ -e /out/up ]; do sleep 0.05; done; exit 3"
    began = time.monotonic()
    result = who.crabcan("run", "--init", "-a", f"{folder}:/out", "--", "sh", "-c", script)
    assert result.returncode == 3 and time.monotonic() - began < 8
    assert (folder / "tidy").exists()


def test_kill_9_of_the_runtime_ends_all(who):
    with who.start("run", "--init", "--", "sh", "-c", "echo ready; exec sleep 100") as running:
        running.ready()
        running.process.kill()
        assert wait_for(lambda: gone(running.init))


LOOK = """import ctypes, os
libc, found = ctypes.CDLL(None, use_errno=True), []
if libc.ptrace(0x4206, 1, 0, 0) == 0: found.append("ptrace")
for name in ("mem", "maps", "environ", "exe", "fd", "root/etc/hostname", "cwd/etc", "auxv", "stack", "io"):
    try:
        os.listdir("/proc/1/" + name) if name in ("fd", "cwd/etc") else open("/proc/1/" + name, "rb").read(9)
        found.append(name)
    except OSError: pass
fd = os.pidfd_open(1)
if libc.syscall(438, fd, 0, 0) >= 0: found.append("pidfd_getfd")
words = [line.split(":")[1].split() for line in open("/proc/1/status") if line.startswith(("Cap", "Seccomp:"))]
print(found, open("/proc/1/cmdline").read().strip(chr(0)), *dict.fromkeys(word[0] for word in words))
"""


@pytest.mark.parametrize("options", [[], ["--cap-add", "SYS_PTRACE,SYS_ADMIN,DAC_OVERRIDE", "--seccomp", "unconfined"]])
def test_nothing_of_ours_can_be_seen_in_it(who, options, tmp_path):
    result = who.crabcan("run", "--init", "-e", "SECRET=1", *options, "--", "/usr/bin/python3", "-c", LOOK)
    assert result.stdout.startswith("[] crabcan-init "), result
    if not options:
        assert result.stdout.split()[2:] == ["0000000000000000", "2"]
    control = who.crabcan("run", *options, "--", "sh", "-c", "sleep 1 & exec sleep 1 2>&1; :")
    assert control.returncode == 0


def test_the_look_sees_what_an_ordinary_process_1_has(who):
    out = who.run("sh", "-c", '/usr/bin/python3 -c "$0"; true', LOOK)
    assert "'environ'" in out and "'fd'" in out and "sh -c" in out.replace("\0", " ")


def test_it_holds_no_descriptor_and_no_pipe_open(root):
    """Whoever reads what the command prints gets to the end of it, whatever process 1 does."""
    with root.start("run", "--init", "--", "sh", "-c", "echo ready; exec >&- 2>&-; sleep 3") as running:
        running.ready()
        assert os.listdir(f"/proc/{running.init}/fd") == []
        assert running.process.poll() is None


def test_a_terminal_s_keys_are_the_command_s(who):
    with Typist(who, "run", "--init", "--", "bash", "--norc", "-i") as typist:
        typist.type("ps -o pid=,tpgid= $$\r")
        typist.sees("ps -o")
        typist.sees("2")
        typist.type("sleep 1000\r")
        typist.sees("sleep 1000")
        time.sleep(0.5)
        typist.type("\x03")
        typist.type("echo $((40+2))\r")
        typist.sees("42")
        typist.type("exit 5\r")
        assert typist.process.wait(20) == 5
    with Typist(who, "run", "--init", "--", "sh", "-c", "echo ready; exec sleep 1000") as typist:
        typist.sees("ready")
        time.sleep(0.3)
        typist.type("\x03")
        assert typist.process.wait(20) == 130


def test_ctrl_z_does_not_leave_it_standing_there(who):
    """Nobody above could continue it: Ctrl-C would do nothing any more."""
    with Typist(who, "run", "--init", "--", "sh", "-c", "echo ready; exec sleep 1000") as typist:
        typist.sees("ready")
        time.sleep(0.3)
        typist.type("\x1a")
        time.sleep(0.3)
        typist.type("\x03")
        assert typist.process.wait(20) == 130


def test_a_terminal_of_somebody_else_s_is_none(root):
    """`crabcan run --init -- CMD </dev/null` at a terminal: 2 is one, but not this session's."""
    outer, inner = os.openpty()
    try:
        result = subprocess.run(root.command("run", "--init", "--", "echo", "ran"), env=root.environment,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=inner, text=True)
    finally:
        os.close(outer)
        os.close(inner)
    assert (result.returncode, result.stdout) == (0, "ran\n")


def test_what_it_needs_itself_is_told(root, tmp_path):
    result = root.crabcan("run", "--pids", "1", "--init", "--", "true")
    assert result.returncode == 125 and "--pids must be 2" in result.stderr
    (tmp_path / "p.json").write_text('{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": ['
                                     '{"names": ["prctl"], "action": "SCMP_ACT_ERRNO"}]}')
    words = ["--seccomp", tmp_path / "p.json", "--", "true"]
    assert root.crabcan("run", *words).returncode == 0
    result = root.crabcan("run", "--init", *words)
    assert result.returncode == 125 and "holds --init as well" in result.stderr


def test_each_step_takes_it(root):
    out = root.run("ps", "-o", "pid=,args=", options=["--init"])
    assert re.search(r"1 crabcan-init\n +2 ps", out), out
    assert root.crabcan("step", "2", "--init", "--", "sh", "-c", "echo $$").stdout == "2\n"
