"""What users of other container tools have reported, tried here: each with the place of its report.

The situations are theirs, the words and inputs are ours. Grouped by what they are about.
"""
import fcntl
import os
import pty
import resource
import signal
import struct
import subprocess
import termios

import pytest

pytestmark = pytest.mark.slow  # left out by --fast


def lines(result):
    """What crabcan says, but for the limits that an ordinary user may not have."""
    return [line for line in result.stderr.splitlines() if "default limits" not in line]


@pytest.fixture
def place(folder):
    """A directory that everybody may enter, with a file in it."""
    (folder / "a").mkdir()
    (folder / "a" / "file").write_text("here\n")
    return folder


def program(folder, text, name="start.sh"):
    path = folder / name
    path.write_bytes(text.encode())
    path.chmod(0o755)
    return path


# ---------------------------------------------------------------- programs that do not start

@pytest.mark.parametrize("text, status, words", [
    ("#!/bin/nonexistent\n", 127, "/bin/nonexistent"),      # moby/moby#29420: it does not say which is missing
    ("#!/bin/sh\r\necho no\r\n", 127, "CR"),                # moby/moby#30617: made on Windows
    ("echo no\n", 126, "#!"),                               # opencontainers/runc#1773: "exec format error"
    ("!/bin/sh\necho no\n", 126, "#!"),                     # moby/moby#10738: the # was forgotten
    ("#!/usr/bin/env nowhere\n", 127, "nowhere"),           # tektoncd/pipeline#5708: env says it
    ("", 126, "empty")])
def test_a_script_that_cannot_start_says_why(who, folder, text, status, words):
    program(folder, text)
    result = who.crabcan("run", "-a", f"{folder}:/opt", "--", "/opt/start.sh")
    assert result.returncode == status, result.stderr
    assert words in result.stderr and len(lines(result)) == 1 and not result.stdout


def test_a_path_through_a_file_is_no_command(who):
    """moby/moby#31702: "not a directory", and the advice was about mounts."""
    result = who.crabcan("run", "--", "/etc/passwd/run.sh")
    assert result.returncode in (126, 127) and "/etc/passwd/run.sh" in result.stderr
    assert "mount" not in result.stderr and len(lines(result)) == 1


def test_a_directory_is_no_command(who):
    """moby/moby#40859: launch errors that do not tell what is wrong."""
    result = who.crabcan("run", "--", "/usr")
    assert result.returncode == 126 and "directory" in result.stderr


# ---------------------------------------------------------------- where it starts

def test_the_working_directory_may_be_a_link(who, folder):
    """podman#13346: a link inside was refused, as it leads nowhere outside."""
    (folder / "place").mkdir()
    (folder / "link").symlink_to("/opt/place")
    out = who.run("/bin/pwd", "-P", options=("-a", f"{folder}:/opt", "-w", "/opt/link"))
    assert out == "/opt/place\n"


def test_a_missing_working_directory_is_named(who):
    """podman#9040: "chdir: No such file or directory", of which program?"""
    result = who.crabcan("run", "-w", "/nowhere", "--", "true")
    assert result.returncode == 125 and "/nowhere" in result.stderr and "--workdir" in result.stderr


@pytest.mark.parametrize("mask", [0o077, 0o007, 0])
def test_the_callers_umask_stays_outside(who, mask):
    """rkt#3567, opencontainers/runc#1359, podman#5506: users could not enter what root had made."""
    uid = ["--uid", "1000"] if who.root else []
    result = who.crabcan("run", *uid, "--", "sh", "-c", "umask; ls / /dev/shm >/dev/null && cat /etc/passwd >/dev/null "
                         "&& stat -c %a /tmp /etc", preexec_fn=lambda: os.umask(mask))
    assert result.stdout.split() == ["0022", "1777", "755"], result.stderr


# ---------------------------------------------------------------- what it is given

@pytest.mark.parametrize("value", ["one\ntwo\n", "a=b=c", "tab\there", "\\n", "'quoted'", "$HOME", ""])
def test_a_variable_is_what_was_said(who, value):
    """moby/moby#12997, #11443: lines, tabs and quotes in a value."""
    out = who.run("/usr/bin/python3", "-c", "import os; print(os.environ['V'], end='')", options=("-e", f"V={value}"))
    assert out == value


def test_a_boundless_limit_on_files_stays_outside(who):
    """containerd#6741, navikt/cplt#525: programs that close all descriptors up to the limit hang."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    result = who.crabcan("run", "--", "sh", "-c", "ulimit -n; ulimit -Hn", timeout=20, preexec_fn=lambda:
                         resource.setrlimit(resource.RLIMIT_NOFILE, (most, most)))
    assert result.stdout.split() == ["64", "64"], result.stderr


# ---------------------------------------------------------------- standard input, and the terminal

def test_input_that_ends_ends_it(who):
    """podman#392, containerd#2659: it printed twice, and never ended."""
    assert who.crabcan("run", "--", "cat", stdin="hi\n", timeout=20).stdout == "hi\n"


def test_input_that_stays_open_holds_nobody_up(who):
    """moby/moby#11957: the command had ended, and run waited for a last line to be typed."""
    process = subprocess.Popen(who.command("run", "--", "echo", "done"), env=who.environment, text=True,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.wait(20) == 0 and process.stdout.read() == "done\n"
    process.stdin.close()
    process.stdout.close()


def test_nothing_open_at_all(who):
    """docker/cli#2542: started without standard input, output and error it hung, sometimes."""
    for _ in range(5):
        process = subprocess.Popen(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *who.command("run", "--", "sh", "-c",
                                    "exit 7")], env=who.environment)
        assert process.wait(20) == 7


def test_the_terminal_has_its_size_from_the_first_moment(who):
    """moby/moby#43229, #25450: nought lines and nought columns, until somebody moves the window."""
    outer, inner = pty.openpty()
    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("4H", 41, 97, 0, 0))
    process = subprocess.Popen(who.command("run", "--", "stty", "size"), env=who.environment, stdin=inner,
                               stdout=inner, stderr=inner, start_new_session=True)
    assert process.wait(20) == 0
    assert os.read(outer, 4000).decode().splitlines()[-1] == "41 97"
    os.close(outer)
    os.close(inner)


# ---------------------------------------------------------------- the root, and what is mounted in it

def test_a_link_within_what_is_added(who, place):
    """containers/crun#497: a link of one added directory that leads into another, both added."""
    (place / "b").mkdir()
    (place / "b" / "link").symlink_to(place / "a" / "file")
    out = who.run("cat", "/b/link", options=("-a", f"{place}/b:/b", "-a", f"{place}/a:{place}/a"))
    assert out == "here\n"


def test_a_link_as_the_source_is_followed(who, place):
    """containers/crun#890: the link itself was bound, and led nowhere."""
    (place / "link").symlink_to("a")
    assert who.run("cat", "/x/file", options=("-a", f"{place}/link:/x")) == "here\n"


def test_a_link_on_the_way_to_a_mount_stays_inside(root, place):
    """containers/crun#42, #111: /var/run is a link to /run, which is the root's and not the machine's."""
    tree = place / "root"
    for name in ("usr", "proc", "sys", "dev", "run/secrets", "var", "etc"):
        (tree / name).mkdir(parents=True)
    for name in ("bin", "lib", "lib64"):
        (tree / name).symlink_to(f"usr/{name}")
    (tree / "var/run").symlink_to("/run")
    before = sorted(os.listdir("/run"))
    result = root.crabcan("run", "-m", tree, "-a", "/usr:/usr:ro", "-a", f"{place}/a:/var/run/secrets", "--",
                          "cat", "/run/secrets/file")
    assert (result.stdout, sorted(os.listdir("/run"))) == ("here\n", before), result.stderr


def test_a_mount_on_the_root_itself_is_an_answer(who, place):
    """containers/crun#1752: "mount to ``: Invalid argument"."""
    result = who.crabcan("run", "-a", f"{place}/a:/", "--", "true")
    assert result.returncode in (2, 125) and len(lines(result)) == 1
    assert "--mount" in result.stderr


def test_a_read_only_root_keeps_shared_memory_and_a_socket_for_logs(who):
    """moby/moby#36503, #35344: /dev/shm and /dev were read-only, too."""
    out = who.run("sh", "-c", "touch /dev/shm/x /dev/log && echo yes; touch /x 2>/dev/null || echo no",
                  options=("--read-only",))
    assert out.split() == ["yes", "no"]


# ---------------------------------------------------------------- its end

def test_a_child_that_we_inherit_is_not_the_container(who):
    """containers/bubblewrap#146: exec by a shell with a child, whose end was taken for the command's."""
    words = who.command("run", "--", "sh", "-c", "sleep 1; exit 5")
    process = subprocess.run(["bash", "-c", 'exec "$@" 9< <(sleep 0.1; exit 3)', "bash", *words], env=who.environment)
    assert process.returncode == 5


def test_a_caller_that_ignores_its_children_hears_the_status(who):
    """containers/bubblewrap#711: Erlang ignores SIGCHLD, and the kernel keeps no status then."""
    result = who.crabcan("run", "--", "sh", "-c", "exit 9", timeout=20,
                         preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
    assert result.returncode == 9


def test_what_the_command_leaves_running_ends_with_it(who):
    """containers/bubblewrap#105: programs in the background went on, and the sandbox with them."""
    mark = f"86{os.getpid() % 1000:03}"
    assert who.run("sh", "-c", f"setsid sleep {mark} >/dev/null 2>&1 & sleep 0.2; echo done") == "done\n"
    assert subprocess.run(["pgrep", "-fx", f"sleep {mark}"], capture_output=True).returncode == 1
