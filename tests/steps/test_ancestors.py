"""The bugs that our ancestors shipped, one test each. The names say what went wrong for them."""
import os
import subprocess

import pytest

from conftest import UNIFIED, end, gone, wait_for
from crabcan_workshop.doctor import version
from test_ch07_seccomp import CALL
from test_ch08_cgroups import limit

PYTHON = ["/usr/bin/python3", "-c"]


def test_capabilities_dropped_on_a_copy(who):
    result = who.crabcan("run", "--layers", "all,-seccomp", "--", "sh", "-c",
                         "grep -E 'CapEff|CapBnd' /proc/self/status; mount -t tmpfs x /tmp; hostname x")
    assert result.stdout.count("0" * 16) == 2
    assert result.returncode != 0


def test_no_user_namespace_and_continuing(root):
    """A user namespace in which there may be no more of them."""
    script = 'echo 0 > /proc/sys/user/max_user_namespaces; exec "$@"'
    result = subprocess.run(["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh",
                             *root.command("run", "--layers", "all,-cgroups", "echo", "ran")],
                            env=root.environment, text=True, capture_output=True)
    assert result.returncode == 125 and "ran" not in result.stdout, result
    assert "clone3" in result.stderr and "too many namespaces" in result.stderr


def test_less_processor_time_was_more(who):
    who.need_cgroups()
    with who.start("run", "--cpus", "0.25", "--", "sh", "-c", "echo ready; read x") as running:
        running.ready()
        if UNIFIED:
            assert limit(running.init, "cpu", "cpu.max") == ["25000", "100000"]
        else:
            assert limit(running.init, "cpu", "cpu.cfs_quota_us") == ["25000"]


def test_rlimit_set_in_the_parent(who):
    with who.start("run", "--nofile", "50", "--", "sh", "-c", "echo ready; read x") as running:
        running.ready()
        limits = open(f"/proc/{running.init}/limits").read()
    assert [line.split()[3:5] for line in limits.splitlines() if "open files" in line] == [["50", "50"]]


def test_cgroup_namespace_made_too_early(who):
    assert {line.split(":")[2] for line in who.run("cat", "/proc/self/cgroup").split()} == {"/"}


LATE = """
import os, sys
from crabcan_steps import ch02_clone
from crabcan_steps.ch01_args import Spec
from crabcan_steps.ch05_namespaces import Users
from crabcan_steps.layer import Layer, LayerError
class Dies(Layer):
    chapter, name = 2, "dies"
    def child(self): os._exit(0)
spec = Spec(); spec.command = ("true",)
try:
    print(ch02_clone.run(spec, [ch02_clone.Clone(), Users(), Dies()]))
except LayerError as error:
    print(error.call)
"""


def test_a_parent_waits_for_a_dead_child_and_takes_silence_for_yes(who):
    assert who.script(LATE).stdout == "died\n"


def test_a_child_outlives_its_parent(who):
    with who.start("run", "--", "sh", "-c", "echo ready; sleep 100") as running:
        running.ready()
        end(running.runtime)
        assert wait_for(lambda: gone(running.init))


def test_exit_status_discarded(who):
    assert who.crabcan("run", "--", "sh", "-c", "exit 42").returncode == 42


TERMINAL = """
import array, fcntl, termios
def attempt(request, argument):
    try:
        fcntl.ioctl(0, request, argument); return "works"
    except OSError as error: return error.errno
print(attempt(termios.TIOCGWINSZ, bytes(8)), attempt(termios.FIONREAD, bytes(4)), attempt(0x5412, b"x"))
"""


def test_a_mask_that_refused_the_window_size_too(who):
    """With a terminal: script(1) gives one to the runtime."""
    import shlex
    command = shlex.join(who.command("run", "--", *PYTHON, TERMINAL))
    result = subprocess.run(["script", "--quiet", "--return", "--command", command, "/dev/null"],
                            env=who.environment, text=True, capture_output=True, stdin=subprocess.DEVNULL)
    assert result.stdout.split()[-3:] == ["works", "works", "1"], result


@pytest.mark.skipif("__import__('platform').machine() != 'x86_64'", reason="numbers of x86_64")
def test_clone3_passed(who):
    assert who.run(*PYTHON, CALL, "435", "0", "0").strip() == "38"
    assert who.run(*PYTHON, CALL, "272", "0x10000000").strip() == "1"


SETUID = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
os.umask(0); os.chdir("/w")
def new(name):
    open(name, "w").close(); return os.open(name, os.O_RDWR)
fd = new("f")
libc.chmod(b"f", 0o4755); libc.fchmod(fd, 0o4755); libc.fchmodat(-100, b"f", 0o4755, 0)
libc.syscall(452, -100, b"f", 0o4755, 0)
libc.open(b"o", os.O_CREAT | os.O_RDWR, 0o4755); libc.openat(-100, b"oa", os.O_CREAT | os.O_RDWR, 0o4755)
libc.creat(b"c", 0o4755); libc.mknod(b"m", 0o104755, 0); libc.mknodat(-100, b"ma", 0o104755, 0)
how = (ctypes.c_uint64 * 3)(os.O_CREAT | os.O_RDWR, 0o4755, 0); libc.syscall(437, -100, b"o2", how, 24)
print(len(os.listdir(".")), [f for f in os.listdir(".") if os.stat(f).st_mode & 0o6000])
"""


def test_setuid_files_could_still_be_made(who, folder):
    """Ten doors. Without the filter, the same script walks through."""
    assert who.run(*PYTHON, SETUID, options=["-a", f"{folder}:/w"]) == "1 []\n"
    assert not [p for p in folder.iterdir() if p.stat().st_mode & 0o6000]
    open_doors = who.run(*PYTHON, SETUID, options=["--layers", "all,-seccomp", "-a", f"{folder}:/w"])
    assert open_doors.split()[0] != "1" and "[]" not in open_doors


def test_no_proc_no_dev_no_loopback_no_hostname(who):
    out = who.run("sh", "-c", "ls -d /proc/self /dev/null; uname -n; ip -o link | grep -c UP",
                  options=["--hostname", "named"])
    assert out.split() == ["/dev/null", "/proc/self", "named", "1"]


def test_temporary_directories_and_mount_points_stayed(who, folder):
    (folder / "bin").mkdir()
    ours = lambda: {name for name in os.listdir("/tmp") if "crabcan" in name}
    before = ours()
    who.crabcan("run", "-m", folder, "-a", "/usr:/usr:ro", "/usr/bin/true")
    assert ours() <= before and os.listdir(folder) == ["bin"]


def test_version_read_as_a_float():
    assert version("4.18.0-1") > version("4.8.3") and version("6.1.0") > version("5.12")


def test_command_split_on_white_space_and_add_that_crashed(who):
    assert who.crabcan("-c", "sh -c 'echo \"a  b\"'").stdout == "a  b\n"
    result = who.crabcan("-a", "nocolon", "-c", "true")
    assert result.returncode == 2 and len(result.stderr.splitlines()) == 1
