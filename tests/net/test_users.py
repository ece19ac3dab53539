"""An ordinary user's network: pasta's, closed where it would be open, and ended with the container."""
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from conftest import Running, gone, wait_for  # noqa: E402
from making import Images  # noqa: E402
from world import CLOUD, HOST, WEB, WEB6, as_before, fresh, inside, world  # noqa: E402, F401

LISTEN = "import socket\nservers = [socket.create_server((a, 7001)) for a in ('127.0.0.1', '172.17.9.1', '{}')]\nprint('ready', flush=True)\n" \
         "while True: servers[0].accept()".format(HOST)


@pytest.fixture
def here(world, user):
    """The user on this host, which has one more address of its own, and services on all of them."""
    world.do(world.host, "ip addr replace 172.17.9.1/24 dev lo")
    server = world.start(world.host, sys.executable, "-c", LISTEN, stdout=subprocess.PIPE)
    assert server.stdout.readline()
    yield world.user(user)
    server.kill()
    server.wait()
    server.stdout.close()


def beside(running):
    """pasta, and who looks after it."""
    found = []
    for pid in Path(f"/proc/{running.runtime}/task/{running.runtime}/children").read_text().split():
        if int(pid) != running.init:
            found += [int(pid), *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
    return found


def test_the_host_s_own_addresses_are_out_of_reach(here):
    tries = [("127.0.0.1", 7001), ("172.17.9.1", 7001), (HOST, 7001), ("198.51.100.1", 7001), (CLOUD, 80), (WEB, 80), (WEB6, 80)]
    found = here.run(*inside(f"print(*[a for a, p in {tries} if reach(a, p)])"), options=["--net", "pasta"])
    assert found.split() == [WEB, WEB6]


def test_nor_are_those_that_it_gets_later(here, world):
    """A VPN that comes up while the container runs; its address may come again, too."""
    serve = "import socket\nserver = socket.create_server(('', 7005))\nprint('ready', flush=True)\nwhile True: server.accept()"
    server = world.start(world.host, sys.executable, "-c", serve, stdout=subprocess.PIPE)
    assert server.stdout.readline()
    late = "172.18.9.1", "2001:db8:77::1"
    try:
        with Running(here, ["run", "--net", "pasta", "--", *inside(
                f"print('ready')\nfor line in sys.stdin: print([a for a in {late} if reach(a, 7005)])")]) as running:
            running.ready()
            for change in "add", "del", "add":
                world.do(world.host, f"for a in {' '.join(late)}; do ip addr {change} $a dev lo; done")
            assert wait_for(lambda: all(a in world.do(running.init, "ip route; ip -6 route") for a in late))
            running.process.stdin.write("\n")
            running.process.stdin.flush()
            assert running.process.stdout.readline() == "[]\n"
    finally:
        world.do(world.host, f"for a in {' '.join(late)}; do ip addr del $a dev lo; done")
        server.kill()
        server.wait()
        server.stdout.close()


def test_without_its_routes_they_are_not(here):
    """What the guard is for: pasta goes there as the user."""
    script = ("import sys\nfrom crabcan_steps import cli\nfrom crabcan_steps.net import links, pasta\nlinks.add_unreachable = lambda *_: None\n"
              "sys.exit(cli.main(['run', '--net', 'pasta', '--', *sys.argv[1:]]))")
    assert here.script(script, *inside(f"print(reach('172.17.9.1', 7001), reach('{CLOUD}', 80))")).stdout == "True True\n"


def test_an_image_s_container_gives_up_what_would_get_past_them(here, user):
    """Docker's capabilities are an image's by default, NET_RAW among them: with pasta only if it is asked for."""
    place = Path(tempfile.mkdtemp(prefix="crabcan-test-", dir="/tmp"))
    place.chmod(0o755)
    os.chown(place, user.uid, user.uid)
    images = Images(here, place)
    images.small()
    raw = 1 << 13
    for asked, given in ((), 0), (("--cap-add", "NET_RAW"), raw), (("--caps", "docker"), raw):
        said = images.inside("grep CapEff /proc/self/status", "--net", "pasta", *asked)
        assert int(said.split()[1], 16) & raw == given, asked
    images.clean()
    shutil.rmtree(place)


def test_a_published_port(here, world):
    with Running(here, ["run", "--net", "pasta", "-p", "8080:80", "-p", f"{HOST}:8081:80", "--", *inside(
            "s = socket.create_server(('', 80)); print('ready')\nwhile True: c, a = s.accept(); c.recv(1); c.sendall(b'hello'); c.close()")]) as running:
        running.ready()
        call = "import socket, sys; s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 3); s.send(bytes(1)); print(s.recv(9).decode())"
        assert here.script(call, "127.0.0.1", 8080).stdout == "hello\n"
        assert [world.do(world.other, f"/usr/bin/python3 -c '{call}' {HOST} {port} 2>/dev/null || true") for port in (8081, 8080)] == [
            "hello\n", ""]


@pytest.mark.parametrize("whom", ["nobody", "us", "pasta", "both", "the one beside us"])
def test_it_ends_with_the_container(here, whom):
    with Running(here, ["run", "--net", "pasta", "--", "sh", "-c", "echo ready; read x; echo end"]) as running:
        running.ready()
        watcher, pasta = beside(running)
        for pid in [pasta] * (whom in ("pasta", "both")) + [running.runtime] * (whom in ("us", "both")) \
                + [watcher] * (whom == "the one beside us"):
            subprocess.run(["kill", "-9", str(pid)], check=True)
        if whom not in ("us", "both"):
            running.process.stdin.write("\n")
            running.process.stdin.flush()
            assert running.process.wait(10) == 0 and running.process.stdout.read() == "end\n"
        assert wait_for(lambda: gone(watcher) and gone(pasta) and gone(running.init))


@pytest.mark.parametrize("words, says", [
    (["-p", "80:80"], "below 1024"), (["-p", "192.0.2.7:8080:80"], "no address"), (["-p", f"{HOST}:7001:80"], "is taken"), (["--ip", "10.0.0.7"], "--ip"),
    (["--name", "x"], "neighbours"), (["--net", "bridge"], "pasta"), (["--net", "container:x"], "root")])
def test_what_a_user_cannot_have_is_one_line(here, words, says):
    result = here.crabcan("run", "--net", "pasta", *words, "true")
    assert result.returncode in (2, 125) and says in result.stderr and len(result.stderr.splitlines()) == 1, result.stderr


def test_what_is_missing_on_the_host_is_told(fresh, user):
    who = fresh.user(user)
    fresh.do(fresh.host, "chmod 600 /dev/net/tun")
    result = who.crabcan("run", "--net", "pasta", "true")
    assert result.returncode == 125 and "/dev/net/tun" in result.stderr
    script = ("import sys\nfrom crabcan_steps import cli\nfrom crabcan_steps.net import pasta\npasta.PASTA = pasta.SLIRP = '/no'\n"
              "sys.exit(cli.main(['run', '--net', 'pasta', 'true']))")
    result = who.script(script)
    assert result.returncode == 125 and "apt-get install passt" in result.stderr and len(result.stderr.splitlines()) == 1


def test_power_over_the_network_is_a_hole_and_said(here):
    result = here.crabcan("run", "--net", "pasta", "--cap-add", "NET_RAW", "--", "true")
    assert result.returncode == 0 and "NET_RAW" in result.stderr


def test_slirp4netns_where_there_is_no_pasta(here):
    script = ("import sys\nfrom crabcan_steps import cli\nfrom crabcan_steps.net import pasta\npasta.PASTA = '/no'\n"
              "sys.exit(cli.main(['run', '--net', 'pasta', *sys.argv[1:]]))")
    result = here.script(script, "--", *inside(f"print(get('http://{WEB}/'), reach('172.17.9.1', 7001), reach('10.0.2.2', 7001))"))
    assert result.stdout == f"{HOST} False False\n", result.stderr
    assert "passt" in here.script(script, "-p", "8080:80", "true").stderr
