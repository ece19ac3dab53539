"""Chapter 5: users, IPC, network, cgroups and time of its own."""
import os
import subprocess

import pytest

from conftest import closes


@pytest.mark.parametrize("name", ["users", "ipc", "keys", "network", "cgroup", "time"])
def test_property(matrix, name):
    closes(matrix, name, 5)


def test_root_inside_is_nobody_outside(root):
    with root.start("run", "--", "sh", "-c", "echo ready; read x") as running:
        running.ready()
        words = open(f"/proc/{running.init}/status").read().split("Uid:")[1].split()[:4]
    assert len(set(words)) == 1 and int(words[0]) >= 100_000


def test_the_user_asked_for(user):
    assert user.run("id", "-u", options=["-u", "0"]) == "0\n"


def test_another_user_than_root(root):
    assert root.run("sh", "-c", "id -u; id -g; id -G", options=["-u", "1000"]).split() == ["1000"] * 3


def test_loopback_is_up_and_alone(who):
    script = ("import socket; s = socket.create_server(('127.0.0.1', 0)); "
              "socket.create_connection(s.getsockname()); print(socket.if_nameindex())")
    assert who.run("/usr/bin/python3", "-c", script) == "[(1, 'lo')]\n"


def test_no_group_of_the_caller_s_slips_through(root):
    command = ["setpriv", "--groups", "4,27", *root.command("run", "--", "grep", "Groups", "/proc/self/status")]
    result = subprocess.run(command, env=root.environment, text=True, capture_output=True)
    assert result.stdout.split() == ["Groups:"], result


GIVE = """import os, struct
try:
    os.setxattr("/x/f", "security.capability", struct.pack("<5I", 0x02000001, 1 << 21, 0, 0, 0))
except OSError as error:
    print(error.strerror)"""


@pytest.mark.parametrize("options", [["--cap-add", "SETFCAP"], ["--cap-add", "ALL"], ["--caps", "docker"],
                                     ["--layers", "all,-caps"], ["--layers", "all,-caps,-seccomp"]], ids=" ".join)
def test_no_capabilities_for_files_that_the_host_believes(root, folder, options):
    """Owners are shifted, so a capability set in there would be the host's root's gift."""
    (folder / "f").touch()
    result = root.crabcan("run", *options, "-a", f"{folder}:/x", "--", "/usr/bin/python3", "-c", GIVE)
    assert result.stdout == "Operation not permitted\n", result
    assert os.listxattr(folder / "f") == []
    assert ("SETFCAP is not given" in result.stderr) == ("all,-caps" not in options[1])


def test_nor_by_a_user_namespace_inside(root, folder):
    (folder / "f").touch()
    script = f"unshare -Ur /usr/bin/python3 -c '{GIVE}'; unshare -U /usr/bin/python3 -c '{GIVE}'"
    root.crabcan("run", "--layers", "all,-caps,-seccomp", "-a", f"{folder}:/x", "--", "sh", "-c", script)
    assert os.listxattr(folder / "f") == []


def test_where_nothing_is_shifted_it_is_given(root):
    assert root.run("grep", "CapBnd", "/proc/self/status", options=["--cap-add", "SETFCAP"]).split()[1] == "0000000080000000"


def test_a_set_user_id_file_that_is_there_can_be_changed_through_memory(root, folder):
    """What SECURITY.md does not promise. If this fails, the kernel or we have become better: say so there."""
    (folder / "su").write_bytes(b"good")
    (folder / "su").chmod(0o4755)
    script = "import mmap, os; mmap.mmap(os.open('/x/su', os.O_RDWR), 4)[:] = b'evil'"
    root.crabcan("run", "-a", f"{folder}:/x", "--", "/usr/bin/python3", "-c", script)
    assert (folder / "su").read_bytes() == b"evil" and (folder / "su").stat().st_mode & 0o7777 == 0o4755
    root.crabcan("run", "-a", f"{folder}:/x", "--", "sh", "-c", "echo evil >/x/su")
    assert (folder / "su").stat().st_mode & 0o7777 == 0o755


def test_whose_files_are_not_shifted_may_give_them_capabilities(user, folder):
    """An ordinary user's: the host believes nothing that his containers write."""
    out = user.run("grep", "CapBnd", "/proc/self/status", options=["-a", f"{folder}:/x", "--cap-add", "SETFCAP"])
    assert int(out.split()[1], 16) >> 31 & 1, "chapter 5: SETFCAP is gone: grep Cap /proc/self/status"
