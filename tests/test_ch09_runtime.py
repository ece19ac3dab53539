"""Chapter 9: the whole, its terminal, and what it tells of itself."""
import json
import os
import select
import shlex
import signal
import subprocess
import termios
import time
from types import SimpleNamespace

import pytest

from conftest import Typist, closes


def test_a_session_of_its_own(matrix):
    closes(matrix, "session", 9)


def test_the_whole_matrix_is_as_it_should_be(matrix):
    assert not [matrix.tell(step, name) for step in matrix for name, cell in matrix[step].items() if cell == "wrong"]


def test_a_shell_has_a_terminal_and_job_control(who):
    with Typist(who, "run", "--", "bash", "--norc", "-i") as typist:
        typist.type("tty; echo $((40+2))\r")
        typist.sees("/dev/pts/0")
        typist.sees("42")
        typist.type("sleep 1000\r")
        typist.sees("sleep 1000")
        time.sleep(0.5)
        typist.type("\x1a")
        typist.sees("Stopped")
        typist.type("fg\r")
        typist.sees("sleep 1000")
        time.sleep(0.5)
        typist.type("\x03")
        typist.type("echo $((40+3))\r")
        typist.sees("43")
        typist.type("exit 5\r")
        assert typist.process.wait(20) == 5
        assert termios.tcgetattr(typist.inner) == typist.before


def test_what_is_typed_ahead_is_not_lost(who):
    """Even the end of input, which cat needs to come to its own."""
    with Typist(who, "run", "--", "cat") as typist:
        typist.type("typed early\r\x04")
        typist.sees("typed early\r\ntyped early\r\n")  # echoed by the terminal, and by cat
        assert typist.process.wait(20) == 0


def test_ctrl_c_ends_a_program_without_a_handler(who):
    with Typist(who, "run", "--", "sh", "-c", "echo ready; exec sleep 1000") as typist:
        typist.sees("ready")
        time.sleep(0.3)
        typist.type("\x03")
        assert typist.process.wait(20) == 130
        assert termios.tcgetattr(typist.inner) == typist.before


def test_a_terminal_that_is_closed_can_be_opened_again(who):
    """As by a program that goes into the background and comes back. Keys that nobody reads end nothing."""
    script = "echo one; exec <&- >&- 2>&-; sleep 1.5; head -c 99999 /dev/zero | tr '\\0' . >/dev/tty; echo two >/dev/tty"
    with Typist(who, "run", "--", "sh", "-c", script) as typist:
        typist.sees("one")
        for _ in range(3):
            typist.type("x")
            time.sleep(0.3)
        typist.sees("two")
        assert typist.process.wait(20) == 0


def test_much_output_arrives_whole(who):
    with Typist(who, "run", "--", "sh", "-c", "seq 20000; echo the end") as typist:
        typist.sees("\r\n20000\r\n")
        typist.sees("the end")


def test_a_trace_has_both_sides_and_every_chapter(who, folder):
    result = who.crabcan("run", "--trace", folder / "trace", "--", "true")
    assert result.returncode == 0, result.stderr
    events = [json.loads(line) for line in (folder / "trace").read_text().splitlines()]
    assert {event["side"] for event in events} == {"parent", "child"}
    assert {event["chapter"] for event in events} >= {2, 3, 4, 5, 6, 7, 8, 9}
    assert [e["args"] for e in events if e["call"] == "sethostname"][0][0]
    for key in ("layer", "call", "args", "result", "errno", "microseconds"):
        assert all(key in event for event in events)


def test_debug_tells_it_in_lines(who):
    result = who.crabcan("run", "-d", "--hostname", "told", "--", "true")
    assert "sethostname('told')" in result.stderr and "CLONE_NEWPID" in result.stderr
    assert "pivot_root('.', '.')" in result.stderr and "\033[" not in result.stderr
    for words in ("capbset_drop(CAP_SYS_ADMIN)", "fsmount(", "</dev/pts>)", "set_no_new_privs()",
                  "prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ", "prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)",
                  "move_mount(", "mount_setattr('/', AT_RECURSIVE, propagation=MS_PRIVATE)"):
        assert words in result.stderr, words
    assert result.stderr.replace("\n", "").isprintable()
    assert max(map(len, result.stderr.splitlines())) < 300


def piped(who, script, reader, *options):
    """crabcan in a shell's pipeline; the CompletedProcess of the whole, whose status is crabcan's."""
    words = shlex.join(map(str, who.command("run", *options, "--", "sh", "-c", script)[len(who.prefix):]))
    line = f"echo in | {words} | {reader}; exit ${{PIPESTATUS[1]}}"
    return subprocess.run([*who.prefix, "bash", "-c", line], env=who.environment, text=True,
                          capture_output=True, stdin=subprocess.DEVNULL, timeout=60, cwd="/")


def test_whose_reader_is_gone_ends_as_by_sigpipe(who):
    """The kernel keeps SIGPIPE from a PID 1, and it would write in vain for ever."""
    result = piped(who, "while :; do echo y; done", "head -1")
    assert (result.returncode, result.stdout) == (141, "y\n")


def test_but_not_before_it_writes_again_nor_if_it_ignores_that(who, folder):
    result = piped(who, "echo y; sleep 1; touch /x/done", "head -1", "-a", f"{folder}:/x")
    assert (folder / "done").exists() and result.returncode == 0, result
    result = piped(who, "trap '' PIPE; echo y; sleep 0.3; echo z; echo z; exit 3", "head -1")
    assert result.returncode == 3, result


def test_pipes_can_be_opened_again_inside(who):
    """As images do that log to /dev/stdout. The pipes are made by whoever starts the container."""
    for options in [], ["--uid", "7"], ["--user", "7:0"]:
        result = piped(who, "echo out >/dev/stdout; (echo err >/dev/stderr) 2>&1; cat /dev/stdin", "cat", *options)
        assert result.stdout == "out\nerr\nin\n", result


def test_pipes_stay_whose_they_were(who):
    """Others of the pipeline have them, too: they open them afterwards, and only they read them."""
    words = shlex.join(map(str, who.command("run", "--user", "7", "--", "sh", "-c", "true </dev/stdout || exit 3")
                           [len(who.prefix):]))
    line = f"({words}; echo $? >/dev/stdout; stat -Lc %u /dev/stdout) | cat"
    result = subprocess.run([*who.prefix, "sh", "-c", line], env=who.environment, text=True, cwd="/",
                            capture_output=True, stdin=subprocess.DEVNULL, timeout=60)
    assert result.stdout == f"3\n{who.uid}\n", result


def test_a_pipe_of_somebody_else_s_stops_no_start(who):
    """After `sudo -u`, say: made by root."""
    result = who.crabcan("run", "--user", "7", "--", "echo", "out")
    assert result.stdout == "out\n", result


# ---------------------------------------------------------------- whose terminal it is

def terminal_of(who, script, how, keys="", until="END"):
    """A shell at a terminal runs crabcan somehow; what is printed, and whether it still echoes."""
    words = shlex.join(map(str, who.command("run", "--", "sh", "-c", script)))
    player = SimpleNamespace(environment=who.environment, command=lambda line: ["sh", "-c", line])
    with Typist(player, f"{words} {how}; echo END") as typist:
        if keys:
            typist.sees("READY")
            typist.type(keys)
        end, seen = time.monotonic() + 6, ""
        while until not in seen and time.monotonic() < end:
            if select.select([typist.outer], [], [], 0.1)[0]:
                seen += os.read(typist.outer, 4096).decode(errors="replace")
        return seen, bool(termios.tcgetattr(typist.inner)[3] & termios.ECHO)


@pytest.mark.parametrize("script, how", [
    ("echo READY >&2; read x <&2; echo GOT:$x.", "</dev/null"),
    ("echo READY >&2; read x <&2; echo GOT:$x.", "</dev/null | cat"),
    ("echo READY >&2; read x </proc/self/fd/2; echo GOT:$x.", "</dev/null"),
    ("echo READY; read x <&1; echo GOT:$x.", "</dev/null & sleep 2; wait"),
    ("echo READY >&2; read x; echo GOT:$x.", "| cat"),
    ("echo READY; read x </dev/tty; echo GOT:$x.", "</dev/null")])
def test_nobody_inside_reads_the_keys_of_a_terminal_that_is_for_output(who, script, how):
    assert "GOT:typed." not in terminal_of(who, script, how, "typed\n")[0]


def test_nor_leaves_it_without_echo(who):
    assert terminal_of(who, "stty -echo <&2; stty raw <&1; echo READY", "</dev/null")[1]


def test_output_looks_as_it_did_and_in_order(who):
    script = "test -t 1 && test -t 2 && echo tty; test -t 0 || echo none; echo one; echo two >&2; echo three"
    seen, _ = terminal_of(who, script, "</dev/null")
    assert "tty\r\nnone\r\none\r\ntwo\r\nthree\r\nEND" in seen, seen


def test_lines_that_are_typed_go_into_a_file(who, folder):
    """`crabcan run -- cat > notes`, ended with Ctrl-D."""
    words = shlex.join(map(str, who.command("run", "--", "sh", "-c", "echo READY >&2; cat")))
    player = SimpleNamespace(environment=who.environment, command=lambda line: ["sh", "-c", line])
    with Typist(player, f"{words} >{folder}/notes; echo END") as typist:
        typist.sees("READY")
        typist.type("a line\n")
        typist.sees("a line\r\n")
        typist.type("\x04")
        typist.sees("END")
    assert (folder / "notes").read_text() == "a line\n"


def test_a_stalled_terminal_keeps_no_signal_from_us(who):
    with Typist(who, "run", "--", "sh", "-c", "echo READY; while :; do echo yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy; done") as typist:
        typist.sees("READY")
        time.sleep(1)  # nobody reads what is printed: all buffers are full by now
        typist.process.send_signal(signal.SIGTERM)
        assert typist.process.wait(10) == 143


@pytest.mark.parametrize("redirection", ["", "</dev/null"])
def test_a_closed_terminal_ends_it_as_sighup_would(who, redirection):
    words = shlex.join(map(str, who.command("run", "--", "sh", "-c", "echo READY; exec sleep 1000")))
    outer, inner = os.openpty()
    process = subprocess.Popen(["sh", "-c", f"exec {words} {redirection}"], env=who.environment, stdin=inner,
                               stdout=inner, stderr=inner, start_new_session=True)
    seen = b""
    while b"READY" not in seen:
        seen += os.read(outer, 4096)
    os.close(inner)
    os.close(outer)
    assert process.wait(20) == 129
