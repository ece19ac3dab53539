"""A container on one page: it works, leaves nothing, and is left in three ways that the course closes."""
import os
import pty
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import CHECKOUT, gone, host_mounts, wait_for
from crabcan_workshop.measure import observe

PROGRAM = CHECKOUT / "chapters/first/container.py"
PAGE = (CHECKOUT / "chapters/00-start.md").read_text()
REMOUNT = "mount -o remount,bind,rw /here 2>/dev/null; echo mine > /here/note"


@pytest.fixture
def page(who, folder):
    """Runs the page's program as its reader would: typed into a directory of his own."""
    program = folder / "container.py"
    program.write_bytes(PROGRAM.read_bytes())
    program.chmod(0o644)

    def contain(*command, **options):
        return subprocess.run([*who.prefix, "/usr/bin/python3", program, *command], cwd=folder, text=True,
                              capture_output=True, timeout=60, stdin=subprocess.DEVNULL,
                              env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin"}, **options)
    return contain


@pytest.fixture
def crabcan(who, folder):
    """The same command with the runtime of chapter 9, and the same directory at /here, read-only."""
    def contain(*command, **options):
        return subprocess.run(who.command("run", "--add", f"{folder}:/here:ro", "--", *command), text=True,
                              env=who.environment, capture_output=True, timeout=60, **options)
    return contain


def test_it_fits_on_a_page_and_needs_nothing_that_python_does_not_bring():
    lines = [line for line in PROGRAM.read_text().splitlines() if line.strip()]
    assert len(lines) <= 62
    modules = re.findall(r"^(?:import|from) (\w+)", PROGRAM.read_text(), re.M)
    assert modules and set(modules) <= sys.stdlib_module_names


def test_inside_it_is_root_process_1_with_a_name_and_a_root_of_its_own(page):
    result = page("sh", "-c", "echo $$ $(id -u) $(hostname) /*; ls /proc | grep -c '^[0-9]'; readlink /proc/self/ns/pid")
    first, count, pids = result.stdout.splitlines()
    assert first == "1 0 onepage /bin /dev /here /lib /lib64 /proc /sbin /usr", result.stderr
    assert int(count) <= 4  # the shell, its pipe: nobody of the machine's
    assert pids != os.readlink("/proc/self/ns/pid")


def test_what_is_shown_of_the_machine_is_read_only(page, folder):
    result = page("sh", "-c", "ls /here; touch /here/mine; grep -E ' (/usr|/here)[ /]' /proc/mounts")
    name, *mounts = result.stdout.splitlines()
    assert name == "container.py" and "Read-only file system" in result.stderr
    assert len(mounts) > 1 and all(line.split()[3].split(",")[0] == "ro" for line in mounts)
    assert not (folder / "mine").exists()


def test_the_old_root_is_gone_and_dev_null_is_the_machines(page):
    result = page("sh", "-c", "echo /../*; test -c /dev/null && echo device")
    assert result.stdout == "/../bin /../dev /../here /../lib /../lib64 /../proc /../sbin /../usr\ndevice\n", result.stderr


def test_it_leaves_the_machine_as_it_was(page):
    before = socket.gethostname(), host_mounts(), sorted(os.listdir("/tmp"))
    assert page("sh", "-c", "exit 5").returncode == 5
    assert before == (socket.gethostname(), host_mounts(), sorted(os.listdir("/tmp")))


def test_killed_it_takes_its_container_along(who, folder, page):
    page("true")
    program = [*who.prefix, "/usr/bin/python3", folder / "container.py", "sh", "-c", "echo ready; exec sleep 1000"]
    with subprocess.Popen(program, cwd=folder, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"ready\n"
        inside = observe.child_of(process.pid)
        os.kill(process.pid, signal.SIGKILL)
    assert wait_for(lambda: gone(inside))


def test_without_a_command_it_is_a_shell_that_says_nothing_strange(who, folder, page):
    page("true")
    outer, inner = pty.openpty()
    process = subprocess.Popen([*who.prefix, "/usr/bin/python3", folder / "container.py"], cwd=folder, stdin=inner,
                               stdout=inner, stderr=inner, start_new_session=True, env={"PATH": "/usr/bin:/bin"})
    os.close(inner)
    os.write(outer, b"ls /here; sleep 0.1 & wait; exit 4\n")
    seen = b""
    try:
        while chunk := os.read(outer, 4096):
            seen += chunk
    except OSError:  # EIO: nobody has the inner end any more
        pass
    assert process.wait(60) == 4
    os.close(outer)
    assert b"container.py" in seen and not re.search(rb"can.?not|can't|sh: ", seen), seen


def test_what_cannot_be_run_is_one_line(page):
    result = page("nonesuch")
    assert result.returncode == 1 and result.stderr == "container: [Errno 2] No such file or directory\n"


def test_the_first_way_out_is_an_open_directory(page, crabcan):
    root = os.open("/", os.O_RDONLY)
    try:
        command = "head", "-1", f"/proc/self/fd/{root}/etc/passwd"
        assert page(*command, pass_fds=[root]).stdout.startswith("root:")
        assert crabcan(*command, pass_fds=[root]).stdout == ""
    finally:
        os.close(root)


def test_the_second_way_out_is_the_network(page, crabcan):
    with socket.create_server(("127.0.0.1", 0)) as server:
        ask = f"import socket; print(socket.create_connection({server.getsockname()}, 9).getpeername()[1])"
        port = f"{server.getsockname()[1]}\n"
        assert page("python3", "-c", ask).stdout == port
        result = crabcan("python3", "-c", ask)
        assert result.stdout == "" and "refused" in result.stderr


def test_the_third_way_out_is_to_mount_as_root(page, crabcan, folder):
    crabcan("sh", "-c", REMOUNT)
    assert not (folder / "note").exists()
    page("sh", "-c", REMOUNT)
    assert (folder / "note").read_text() == "mine\n"


def test_the_shell_outside_can_be_ended_from_inside(page, crabcan):
    """As the page says: `kill -9 0`. A session of its own keeps it from the tests."""
    command = "sh", "-c", "kill -9 0"
    assert page(*command, start_new_session=True).returncode == -signal.SIGKILL
    assert crabcan(*command, start_new_session=True).returncode == 0  # it hits but itself: PID 1 is spared


def test_started_by_root_its_root_may_write_what_proc_sys_holds(page, who):
    result = page("test", "-w", "/proc/sys/kernel/core_pattern")
    assert (result.returncode == 0) == who.root


def test_the_page_names_the_chapter_that_closes_each_way():
    ways = PAGE.partition("## Three ways out")[2].partition("\n## ")[0]
    for way, chapter in {"By what was open already": "02-clone", "Through the network": "05-namespaces",
                         "As root": "06-caps"}.items():
        assert f"({chapter}.md)" in ways.partition(f"**{way}.**")[2].partition("\n**")[0]
