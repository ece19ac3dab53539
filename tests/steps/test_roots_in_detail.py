"""Chapters 4 and 5, line by line: what the root looks like, in numbers that stand here, not there."""
import os
from types import SimpleNamespace

import pytest

from crabcan_steps.mounts import given
from crabcan_steps.mounts.furniture import HIDDEN, STEERING

# runc's and Docker's own lists (`runc spec`, maskedPaths and readonlyPaths), and two of ours.
MASKED = {"/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
          "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware",
          "/sys/devices/virtual/powercap", "/proc/interrupts"}
READ_ONLY = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}


def test_what_is_hidden_and_what_is_read_only():
    assert set(HIDDEN) == MASKED and set(STEERING) == READ_ONLY


def test_each_of_them_is_covered_in_a_container(who):
    mounts = {line.split()[4]: line.split()[5].split(",") for line in
              who.run("cat", "/proc/self/mountinfo").splitlines()}
    for path in filter(os.path.exists, MASKED | READ_ONLY):
        assert path in mounts, f"{path} is not covered; look: crabcan run -- cat /proc/mounts"
        if path in READ_ONLY:
            assert "ro" in mounts[path], f"{path} can be written; look: crabcan run -- cat /proc/mounts"


def test_modes_of_the_places_that_all_share(who):
    out = who.run("stat", "-c", "%n %a", "/", "/tmp", "/var/tmp", "/dev/shm", "/root", "/dev", "/etc")
    assert dict(line.split() for line in out.splitlines()) == {
        "/": "755", "/tmp": "1777", "/var/tmp": "1777", "/dev/shm": "1777", "/root": "700", "/dev": "755",
        "/etc": "755"}


def test_sizes_of_the_places_in_memory(who):
    out = who.run("sh", "-c", "df -k --output=target,size / /dev /dev/shm; df --output=itotal / | tail -1")
    sizes = dict(line.split() for line in out.splitlines()[1:4])
    assert sizes == {"/": "1048576", "/dev": "64", "/dev/shm": "65536"} and out.split()[-1] == "262144"


def test_the_runtime_keeps_no_directory_of_a_mirrored_root_open(root, folder):
    """Whoever may write there could not be unmounted, and each is one less of the caller's limit."""
    (folder / "usr").mkdir()
    for name in ("bin", "lib", "lib64"):
        (folder / name).symlink_to(f"usr/{name}")
    with root.start("run", "-m", folder, "-v", "/usr:/usr:ro", "--", "sh", "-c", "echo up; read word") as box:
        assert box.ready() == "up"
        held = [os.readlink(f"/proc/{box.runtime}/fd/{fd}") for fd in os.listdir(f"/proc/{box.runtime}/fd")]
        assert not [path for path in held if path == str(folder)], held


def test_nothing_can_be_made_in_a_mirror(root, folder):
    (folder / "usr").mkdir()
    (folder / "bin").symlink_to("usr/bin")
    (folder / "lib").symlink_to("usr/lib")
    (folder / "lib64").symlink_to("usr/lib64")
    result = root.crabcan("run", "-m", folder, "-a", "/usr:/usr:ro", "--", "sh", "-c", "touch /new; touch /tmp/new")
    assert result.stderr.count("Read-only file system") == 1 and "mirror" in result.stderr, result
    assert sorted(os.listdir(folder)) == ["bin", "lib", "lib64", "usr"]


def test_home_is_that_of_the_user(who):
    assert who.run("sh", "-c", "echo $HOME") == "/root\n"
    assert who.run("sh", "-c", "echo $HOME", options=["--uid", "7"] if who.root else ["--uid", "0"]) == (
        "/\n" if who.root else "/root\n")


def test_low_ports_and_ping_are_for_everybody_inside(who):
    script = "import socket; s = socket.create_server(('127.0.0.1', 80)); " \
             "socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP); print('both')"
    assert who.run("/usr/bin/python3", "-c", script) == "both\n"


@pytest.mark.parametrize("left_out, sign", [("seccomp", "Seccomp:\t0"), ("caps", "CapBnd:\t0"), ("hostname", None)])
def test_a_layer_is_left_out_by_a_minus_alone(root, left_out, sign):
    """--layers -NAME: all but that one."""
    name = os.uname().nodename
    out = root.run("sh", "-c", "cat /proc/self/status; uname -n; echo $$", options=[f"--layers=-{left_out}"])
    full = root.run("cat", "/proc/self/status")
    if left_out == "seccomp":
        assert sign in out and sign not in full
    elif left_out == "caps":
        assert "CapBnd:\t0000000000000000" in full and "CapBnd:\t0000000000000000" not in out
        assert "Seccomp:\t2" in out
    else:
        assert name in out.splitlines()
    assert out.splitlines()[-1] == "1"


@pytest.mark.parametrize("layers", ["-caps,-seccomp", "all,-caps,-seccomp", "-seccomp,-caps"])
def test_several_are_left_out_together_and_no_more(root, layers):
    status = dict(line.split(":\t", 1) for line in root.run("cat", "/proc/self/status", options=[f"--layers={layers}"])
                  .splitlines() if ":\t" in line)
    assert int(status["CapBnd"], 16) and status["Seccomp"] == "0" and status["NoNewPrivs"] == "0"
    assert root.run("sh", "-c", "ulimit -n; uname -n; ls /home", options=[f"--layers={layers}", "--hostname", "h"]) == (
        "64\nh\n")


@pytest.mark.parametrize("layers", ["hostname", "-clone", "all,-clone"])
def test_without_clone_there_is_nothing_to_leave_out(root, layers):
    result = root.crabcan("run", f"--layers={layers}", "--", "true")
    assert result.returncode == 2 and "without clone there is no container" in result.stderr, result


@pytest.mark.parametrize("layers", ["nosuch", "all,-nosuch"])
def test_a_layer_that_there_is_not_is_told_with_those_that_there_are(root, layers):
    result = root.crabcan("run", f"--layers={layers}", "--", "true")
    assert result.returncode == 2 and "no layer 'nosuch': they are clone, hostname" in result.stderr, result


@pytest.mark.parametrize("name", ["proc", "sys"])
def test_no_link_leads_over_what_shows_the_machine(who, folder, name):
    """By its own path it is refused before that. Else covers could be covered: CVE-2019-16884 of runc's."""
    for one in "proc", "sys", "dev", "etc":
        (folder / one).mkdir()
    (folder / "window").symlink_to(name)
    target = f"/window/{'fs' if name == 'sys' else 'self'}"
    result = who.crabcan("run", "--mount", folder, "--add", f"/usr:{target}", "--", "true")
    assert result.returncode == 125 and "Traceback" not in result.stderr, result
    assert "--add" in result.stderr and "nothing may hide that" in result.stderr, result


def test_a_slash_at_the_end_is_no_other_place(who):
    assert "/a/b " in who.run("cat", "/proc/self/mounts", options=["--tmpfs", "/a/b/"])


def test_what_is_taken_away_between_two_looks_is_no_part(folder):
    """A name that the listing of --mount had, and that its owner has removed since; another is one, a link too."""
    (folder / "stays").mkdir()
    (folder / "link").symlink_to("stays")
    fd = os.open(folder, os.O_PATH)
    spec = SimpleNamespace(mount=str(folder))
    try:
        assert given.mirrored(spec, fd, "gone", 0) == []
        stays, = given.mirrored(spec, fd, "stays", 0)
        link, = given.mirrored(spec, fd, "link", 0)
        assert (stays.target, link.target, link.link) == ("/stays", "/link", "stays")
        stays.close()
    finally:
        os.close(fd)
