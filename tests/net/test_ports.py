"""Published ports: what passes through the relay, and what cannot be published, in one line."""
import os
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from conftest import CHECKOUT, wait_for  # noqa: E402
from crabcan_steps import ch01_args  # noqa: E402
from crabcan_steps.net import ports, relay as of_relays  # noqa: E402
from crabcan_steps.net.relay import Relay  # noqa: E402
from world import FIRST, HOST, HOST6, as_before, inside, settled, world  # noqa: E402, F401

ECHO = inside("""
import threading
def talk(client):
    while data := client.recv(65536): client.sendall(data)
    client.shutdown(socket.SHUT_WR)
def udp():
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); server.bind(("", 53))
    while True:
        data, client = server.recvfrom(65536); server.sendto(data[::-1], client)
threading.Thread(target=udp, daemon=True).start()
server = socket.create_server(("", 80)); print("ready")
while True: threading.Thread(target=talk, args=server.accept()[:1], daemon=True).start()
""")
CLIENT = """
import os, socket, sys, threading
address, port, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
client, data, found = socket.create_connection((address, port), 10), os.urandom(size), bytearray()
def send():
    client.sendall(data); client.shutdown(socket.SHUT_WR)  # half-closed: the answers still come
threading.Thread(target=send).start()
while more := client.recv(65536): found += more
print(found == data)
"""
DATAGRAM = ("import socket, sys; s = socket.socket(socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM);"
            "s.settimeout(5); s.connect((sys.argv[1], int(sys.argv[2]))); s.send(b'abc' * 400); print(s.recv(9999)[:3].decode())")


def host(world, script, *words):
    return world.root.script(script, *words).stdout.strip()


def test_what_is_sent_comes_back_whole(world, as_before):
    with world.background("-p", "8080:80", "-p", f"{HOST}:8081:80", "-p", f"[{HOST6}]:8082:80", "-p", "0.0.0.0:8083:80",
                          "-p", "5353:53/udp", "-p", "9000-9002:80-82", "--", *ECHO) as running:
        running.ready()
        for address, port in (("127.0.0.1", 8080), ("::1", 8080), (HOST, 8081), (HOST6, 8082), ("127.0.0.1", 8083), (HOST, 8083), ("::1", 9000)):
            assert host(world, CLIENT, address, port, 1) == "True", (address, port)
        assert host(world, CLIENT, "127.0.0.1", 8080, 20_000_000) == "True"
        assert host(world, DATAGRAM, "127.0.0.1", 5353) == host(world, DATAGRAM, "::1", 5353) == "cba"
        assert host(world, CLIENT, "127.0.0.1", 9001, 10) != "True"  # nobody listens on 81: closed, not kept waiting
        many = [subprocess.Popen([*world.root.python, "-c", CLIENT, "127.0.0.1", "8080", "100000"], stdout=-1) for _ in range(10)]
        assert [client.communicate()[0] for client in many] == [b"True\n"] * 10


def test_the_news_of_one_who_has_gone_is_not_his_heir_s():
    """Whoever comes next has the same number for a descriptor: what was said of the old one is not about him."""
    server, reset = socket.create_server(("127.0.0.1", 0)), struct.pack("ii", 1, 0)
    listener = ports.listening("127.0.0.1", 0, "tcp")
    relay = os.fork()
    if relay == 0:
        Relay([(listener, server.getsockname()[1])], "127.0.0.1").run()
    try:
        assert [heir(server, listener.getsockname(), relay, reset) for _ in range(10)] == [b"y"] * 10
    finally:
        os.kill(relay, signal.SIGKILL)
        os.waitpid(relay, 0)
        server.close()
        listener.close()


def test_who_finds_no_room_waits_and_who_is_silent_is_asked(monkeypatch):
    """Its memory has an end, and so has its patience with those who have gone without a word."""
    monkeypatch.setattr(of_relays, "ROOM", 4)
    server, listener = socket.create_server(("127.0.0.1", 0)), ports.listening("127.0.0.1", 0, "tcp")
    relay = os.fork()
    if relay == 0:
        Relay([(listener, server.getsockname()[1])], "127.0.0.1").run()
    try:
        server.settimeout(5)
        first, second = (socket.create_connection(listener.getsockname(), 5) for _ in range(2))
        there = [server.accept()[0] for _ in range(2)]
        asked = subprocess.run(["ss", "-Htno", "state", "established", f"dport = :{server.getsockname()[1]}"],
                               text=True, capture_output=True).stdout
        assert asked.count("timer:(keepalive,") == 2, asked
        with socket.create_connection(listener.getsockname(), 5) as third:
            third.send(b"x")
            server.settimeout(0.3)
            with pytest.raises(TimeoutError):
                server.accept()
            first.close()
            there[0].close()
            server.settimeout(5)
            with server.accept()[0] as later:
                later.settimeout(5)
                assert later.recv(1) == b"x"
        for one in second, *there:
            one.close()
    finally:
        os.kill(relay, signal.SIGKILL)
        os.waitpid(relay, 0)
        server.close()
        listener.close()


def heir(server, address, relay, reset):
    """A connection ends, and another begins, while the relay has no time; returns what comes through the other."""
    with socket.create_connection(address, 5) as old, server.accept()[0] as there:
        old.send(b"x")
        assert there.recv(1) == b"x"  # both are known to it
        os.kill(relay, signal.SIGSTOP)
        os.waitpid(relay, os.WUNTRACED)
        there.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        there.close()
        with socket.create_connection(address, 5) as new:
            old.send(b"and one more")
            os.kill(relay, signal.SIGCONT)
            with server.accept()[0] as there:
                new.send(b"y")
                there.settimeout(5)
                return there.recv(1)


def test_the_relay_is_nobody_and_can_do_nothing(world, as_before):
    with world.background("-p", "8080:80", "--", *ECHO) as running:
        running.ready()
        children = Path(f"/proc/{running.runtime}/task/{running.runtime}/children").read_text().split()
        status = {pid: dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()) for pid in children}
        relay = next(one for pid, one in status.items() if one["Uid"].split() == ["65534"] * 4)
        assert int(relay["CapEff"], 16) == int(relay["CapPrm"], 16) == 0 and relay["NoNewPrivs"].strip() == "1"
        assert relay["Groups"].strip() == ""
        files = subprocess.run(["ls", "-l", f"/proc/{relay['Pid'].strip()}/fd"], text=True, stdout=-1).stdout
        assert files.count("socket:") == 2 and "/run/crabcan" not in files and "pipe:" not in files


def test_where_nobody_is_nobody_it_says_so():
    """In a user namespace of few ids: a relay that cannot be nobody would end without a word."""
    script = ("from crabcan_steps.net import beside\ntry: beside.with_us(print, [], None, beside.NOBODY)\n"
              "except Exception as error: print(type(error).__name__, error)")
    said = subprocess.run(["unshare", "--user", "--map-root-user", sys.executable, "-P", "-c", script], text=True,
                          cwd=CHECKOUT, env=os.environ | {"PYTHONPATH": str(CHECKOUT)}, capture_output=True)
    assert "LayerError" in said.stdout and "65534" in said.stdout and "user_namespaces(7)" in said.stdout, said


def test_a_thousand_ports(world, as_before):
    options = [word for port in range(20000, 21000) for word in ("-p", f"{port}:80")]
    with world.background("--ulimit", "nofile=64", *options, "--", *ECHO) as running:
        line = running.process.stdout.readline()
        if not line:  # the caller's limit on open files
            said = running.process.stderr.read()
            assert "ulimit -n" in said and len(said.splitlines()) == 1
        else:
            assert host(world, CLIENT, "127.0.0.1", 20999, 1) == "True"
    left = settled(world)
    assert not left, left[:3]


@pytest.mark.parametrize("words, says", [
    (["-p", "0:80"], "1 to 65535"), (["-p", "80:70000"], "1 to 65535"), (["-p", "x:80"], "is no port"), (["-p", ":80"], "is no port"),
    (["-p", "80"], "8080:80"), (["-p", "8000-8010:80-81"], "11 ports"), (["-p", "9-8:9-8"], "ends before"), (["-p", "80:80/sctp"], "/udp"),
    (["-p", "1-65535:1-65535"], "4096"), (["-p", "1.2.3:80:80"], "address"), (["-p", "localhost:80:80"], "address"), (["-p", "[::1:80:80"], ""),
    (["-p", "1:2:3:4"], "HOST:CONTAINER"), (["-p", ""], "HOST:CONTAINER"), (["-p", "٣:80"], "is no port"), (["-p", "-1:80"], "is no port"),
    (["--name", "n" * 300], "64"), (["--name", "a b"], "letters"), (["--name", "localhost"], "own name"), (["--name", ""], "letters"),
    (["--mac", "01:00:00:00:00:00"], "group"), (["--mac", "2:3"], "MAC"), (["--mac", "00:00:00:00:00:00"], "nobody's"), (["--name", "127.0.0.1"], "letters"), (["--name", "4711"], "letters"),
    (["--ip", "fd00::1"], "IPv4"), (["--ip6", "10.0.0.1"], "IPv6"), (["--ip", "10.0.0.256"], "address"), (["--dns", "name.example"], "address"),
    (["--add-host", "a"], "NAME:ADDRESS"), (["--add-host", "a b:1.2.3.4"], "letters"), (["--add-host", "a:b"], "address"),
    (["--net", "brigde"], "bridge"), (["--net", ""], "bridge")])
def test_wrong_words_are_one_line(words, says, capsys):
    with pytest.raises(SystemExit) as end:
        ch01_args.parse([*words, "--", "true"])
    text = capsys.readouterr().err
    assert end.value.code == 2 and len(text.splitlines()) == 1 and says in text and words[0] in text


@pytest.mark.parametrize("words, says", [
    (["-p", "192.0.2.77:80:80"], "no address of this host"), (["--ip", "192.0.2.1"], f"{FIRST}.2"), (["--ip", f"{FIRST}.1"], f"{FIRST}.2"),
    (["--ip", f"{FIRST}.255"], f"{FIRST}.254"), (["-p", "8080:80", "-p", "8080:81"], "is taken"), (["--internal", "--net", "none"], "--net bridge"),
    (["--internal", "-p", "8080:80"], "neighbours only"),
    (["--net", "container:nobody"], "--name"), (["--net", "container:4194303"], "no such process"), (["--net", "container:self"], "--name"),
    (["--net", "host"], "all,-network"), (["--layers", "all,-network"], "chapter 11"), (["--layers", "all,-namespaces"], "chapter 5")])
def test_what_cannot_be_had_is_one_line_and_leaves_nothing(world, as_before, words, says):
    result = world.crabcan(*words, "true")
    assert result.returncode in (2, 125) and says in result.stderr and len(result.stderr.splitlines()) == 1, result.stderr


def test_a_port_or_a_name_that_is_taken(world, as_before):
    with world.background("-p", "8080:80", "--name", "web", "--mac", "02:00:00:00:00:09", "--", *ECHO) as running:
        running.ready()
        for words in (["-p", "8080:80"], ["-p", "0.0.0.0:8080:80"], ["--name", "web"], ["--mac", "02:00:00:00:00:09"], ["--ip", f"{FIRST}.2"]):
            result = world.crabcan(*words, "true")
            assert result.returncode == 125 and len(result.stderr.splitlines()) == 1 and words[0] in result.stderr
        assert host(world, CLIENT, "127.0.0.1", 8080, 10) == "True"


def test_a_pod_shares_a_network(world, as_before):
    """--net container:NAME, or the number of its process."""
    with world.background("--name", "web", "-p", "8080:80", "--", *ECHO) as running:
        running.ready()
        for whose in "web", running.runtime, running.init:
            seen = world.root.run(*inside("print(reach('127.0.0.1', 80)); print(open('/etc/hosts').read())"), options=["--net", f"container:{whose}"])
            assert seen.startswith("True\n") and " web\n" in seen
        assert world.root.crabcan("run", "--net", f"container:{world.processes[0].pid}", "true").returncode == 125  # the host's


def test_the_host_s_network_on_purpose(world, as_before):
    shown = world.root.run("ip", "-o", "-4", "addr", options=["--net", "host", "--layers", "all,-network"])
    assert HOST in shown
    assert wait_for(lambda: True)
