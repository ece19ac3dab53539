"""Chapter 11: a network of its own, with a way out, and no way in that nobody asked for."""
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "net"))
from world import FIRST, HOST, OTHER, WEB, as_before, inside, settled, world  # noqa: E402, F401, F811


def test_without_the_option_there_is_a_loopback_only(who):
    assert who.run("sh", "-c", "ls /sys/class/net") == "lo\n"


def test_the_world_sees_the_host_s_address(world, as_before):
    result = world.crabcan("--", *inside(f"print(get('http://{WEB}/'), get('http://web.test/'))"))
    assert (result.stdout, result.stderr) == (f"{HOST} {HOST}\n", "")


def test_what_a_container_finds(world, as_before):
    """An address, a route, its own name: by asking the kernel inside, and from outside."""
    with world.background("--name", "web", "-h", "box", "--", "sh", "-c", "hostname -i; ip -o -4 addr; ip route; read x") as running:
        assert FIRST in running.ready()
        links = world.do(running.init, "ip -o -4 addr show eth0; ip route")
        assert f"inet {FIRST}.2/24" in links and f"default via {FIRST}.1 dev eth0" in links
        assert "master crabcan0" in world.do(world.host, "ip link show crabcan2")


def test_neighbours_know_each_other_by_name(world, as_before):
    with world.background("--name", "one", "--", *inside("print('ready', flush=True); time.sleep(1); print(get('http://two:8000/')); sys.stdin.read()")) as one:
        one.ready()
        with world.background("--name", "two", "--", "sh", "-c", "cd /tmp; echo here > index.html; echo ready; exec python3 -m http.server 2>/dev/null") as two:
            two.ready()
            assert one.process.stdout.readline() == "here\n"


def test_a_published_port_is_this_machine_s_unless_an_address_is_given(world, as_before):
    with world.background("-p", "8080:80", "-p", f"{HOST}:8081:80", "--", *inside(
            "s = socket.create_server(('', 80)); print('ready', flush=True)\n"
            "while True: c, a = s.accept(); c.sendall(a[0].encode()); c.close()")) as running:
        running.ready()
        call = "import socket; print(socket.create_connection(('{}', {}), 3).recv(99).decode())"
        tried = {(pid, address, port): world.do(pid, f'/usr/bin/python3 -c "{call.format(address, port)}" 2>/dev/null || echo no').strip()
                 for pid, address, port in ((world.host, "127.0.0.1", 8080), (world.host, "::1", 8080), (world.other, HOST, 8080),
                                            (world.other, HOST, 8081))}
        assert list(tried.values()) == [f"{FIRST}.1", f"{FIRST}.1", "no", f"{FIRST}.1"]


def test_after_kill_9_nothing_is_left(world):
    with world.background("-p", "8080:80", "--", "sh", "-c", "echo ready; read x") as running:
        running.ready()
        assert world.state() != world.before
        running.process.kill()
        assert settled(world) == []


def test_an_ordinary_user_gets_out_by_pasta(world, as_before, user):
    result = world.user(user).crabcan("run", "--net", "pasta", "--", *inside(f"print(get('http://{WEB}/'), get('http://web.test/'))"))
    assert result.stdout == f"{HOST} {HOST}\n", result.stderr


@pytest.mark.parametrize("net", ["bridge", "pasta"])
def test_who_may_have_which(world, net, user):
    who = world.user(user) if net == "bridge" else world.root
    result = who.crabcan("run", "--net", net, "--", "true")
    assert result.returncode == 2 and "--net" in result.stderr and len(result.stderr.splitlines()) == 1


def test_nobody_comes_in_by_a_route_of_his_own(world, as_before):
    with world.background("--", *inside("s = socket.create_server(('', 80)); print('ready', flush=True); s.accept()")) as running:
        running.ready()
        world.do(world.other, f"ip route add {FIRST}.0/24 via {HOST}")
        try:
            assert "no" in world.do(world.other, f"/usr/bin/python3 -c \"import socket; socket.create_connection(('{FIRST}.2', 80), 2)\" 2>/dev/null || echo no")
            assert OTHER in world.do(world.other, "ip -o addr")
        finally:
            world.do(world.other, f"ip route del {FIRST}.0/24")
