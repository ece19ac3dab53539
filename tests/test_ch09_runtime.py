"""Chapter 9: the whole, its terminal, and what it tells of itself."""
import json
import termios
import time

from conftest import Typist, closes


def test_a_session_of_its_own(matrix):
    closes(matrix, "session", 9)


def test_the_whole_matrix_is_as_it_should_be(matrix):
    assert not [(step, name) for step in matrix for name, cell in matrix[step].items() if cell == "wrong"]


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
