"""Chapter 5: users, IPC, network, cgroups and time of its own."""
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
