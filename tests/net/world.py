"""A small world for the tests of the network: a host, the internet, and somebody on the host's own wire.

Each is a network namespace; "the host" has mounts of its own, too (its /run, its resolv.conf). What a test
breaks there is broken there only, and this machine's network is never touched.

    host  up0 198.51.100.2 --- wire --- 198.51.100.1  internet  203.0.113.5 (web), 203.0.113.53 (names)
                                |
                           198.51.100.9  other
"""
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import CHECKOUT, Running, Who
from internet import CLOUD, CLOUDS, NAMES, WEB, WEB6

HOST, ROUTER, OTHER = "198.51.100.2", "198.51.100.1", "198.51.100.9"
HOST6, ROUTER6 = "2001:db8:1::2", "2001:db8:1::1"
FILES = Path(__file__).parent
FIRST = "10.211.0"


class World:
    """The namespaces, and what runs in them. Everything in it ends with it."""

    def __init__(self, folder, six=True):
        self.folder, self.processes, self.six = folder, [], six
        self.host = self.namespace("--mount")
        self.internet, self.other = self.namespace(), self.namespace()
        self.furnish()
        self.wire()
        server = self.start(self.internet, sys.executable, FILES / "internet.py", stdout=subprocess.PIPE)
        assert server.stdout.readline() == b"ready\n"
        self.root = Who("root", [sys.executable], CHECKOUT, self.enter(self.host))
        self.before = self.state()

    def namespace(self, *more):
        """A process that only holds namespaces."""
        process = subprocess.Popen(["unshare", "--net", *more, "--", "sh", "-c", "echo made; exec sleep 600"],
                                   stdout=subprocess.PIPE)
        self.processes.append(process)
        assert process.stdout.readline() == b"made\n"
        self.do(process.pid, "test ! -e /proc/sys/net/ipv6 || echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad")
        return process.pid

    def enter(self, pid):
        return ["nsenter", f"--target={pid}", "--net", *(["--mount"] if pid == self.processes[0].pid else []), "--"]

    def start(self, where, *words, **options):
        process = subprocess.Popen([*self.enter(where), *map(str, words)], **options)
        self.processes.append(process)
        return process

    def do(self, where, script, check=True):
        """Runs a shell's script somewhere; returns what it printed."""
        result = subprocess.run([*self.enter(where), "sh", "-ec", script], text=True, capture_output=True, timeout=30)
        assert not check or result.returncode == 0, f"{script}\n{result.stderr}"
        return result.stdout

    def furnish(self):
        """The host's own files: an empty /run, systemd-resolved's two lists of servers, a tun for everybody."""
        (self.folder / "resolv.conf").write_text("nameserver 127.0.0.53\noptions edns0\n")
        self.do(self.host, f"""mount -t tmpfs tmpfs /run
            mkdir -p /run/systemd/resolve /dev/net
            printf 'nameserver {NAMES}\\nsearch test\\n' > /run/systemd/resolve/resolv.conf
            mount --bind {self.folder}/resolv.conf /etc/resolv.conf
            mount -t tmpfs tmpfs /dev/net
            mknod -m 666 /dev/net/tun c 10 200
            ip link set lo up
            echo 0 > /proc/sys/net/ipv4/ip_forward
            test ! -e /proc/sys/net/ipv6 || echo 0 > /proc/sys/net/ipv6/conf/all/forwarding""")

    def wire(self):
        """Cables from host and other to a bridge at the internet's, and all addresses."""
        for name, pid, address in ("up0", self.host, HOST), ("oth0", self.other, OTHER):
            self.do(self.internet, f"ip link add in-{name} mtu 1400 type veth peer name {name} mtu 1400 netns {pid}")
            self.do(pid, f"ip link set lo up; ip addr add {address}/24 dev {name}; ip link set {name} up; "
                         f"ip route add default via {ROUTER}")
        self.do(self.internet, f"""ip link set lo up
            ip link add wire mtu 1400 type bridge; ip link set wire up
            for name in up0 oth0; do ip link set in-$name master wire up; done
            ip addr add {ROUTER}/24 dev wire
            ip addr add {ROUTER6}/64 dev wire nodad
            for a in {WEB} {NAMES} {CLOUD} {WEB6} {" ".join(CLOUDS.values())}; do ip addr add $a dev lo nodad; done""")
        if self.six:
            self.do(self.host, f"ip addr add {HOST6}/64 dev up0 nodad; ip -6 route add default via {ROUTER6}")

    def user(self, user):
        """An ordinary user on this host."""
        return Who(user.name, ["/usr/bin/python3"], user.environment["PYTHONPATH"], [*self.enter(self.host), *user.prefix])

    def crabcan(self, *words, **options):
        return self.root.crabcan("run", "--memory", "max", "--pids", "max", "--net", "bridge", *words, **options)

    def background(self, *words, who=None, net="bridge"):
        """A container that goes on, to be used in a `with`; ready() waits for its first line."""
        return Running(who or self.root, ["run", "--net", net, *words])

    def state(self):
        """All of the host's network that somebody may leave something in."""
        return self.do(self.host, """ip -o link; ip -o address; ip route show table all; nft list ruleset; ls -R /run/crabcan || true
            cat /proc/sys/net/ipv4/ip_forward; cat /proc/sys/net/ipv6/conf/*/forwarding /proc/sys/net/ipv6/conf/*/accept_ra || true
            ss -Hltun""").replace("/run/crabcan:\n", "")

    def close(self):
        for process in reversed(self.processes):
            process.send_signal(signal.SIGKILL)
            process.wait()
            if process.stdout:
                process.stdout.close()


def inside(script):
    """A container's command: Python with what the probes need."""
    return ["/usr/bin/python3", "-c", TOOLS + script]


TOOLS = """
import functools; print = functools.partial(print, flush=True)
import socket, sys, time, urllib.request
def get(url, data=None):
    try: return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, data, timeout=3).read().decode()
    except Exception as error: return f"no: {error}"
def reach(address, port, seconds=2):
    try: socket.create_connection((address, port), seconds).close(); return True
    except OSError: return False
"""


def settled(world, before=None, seconds=5):
    """Waits until the host is as it was in the beginning; returns what differs."""
    end, before = time.monotonic() + seconds, before or world.before
    while (now := world.state()) != before and time.monotonic() < end:
        time.sleep(0.05)
    return sorted(set(now.splitlines()) ^ set(before.splitlines()))


def missing():
    """What these tests need and this machine lacks."""
    return [name for name in ("nft", "ip", "nsenter") if not any(
        os.path.exists(f"{folder}/{name}") for folder in ("/usr/sbin", "/usr/bin", "/sbin", "/bin"))]


# ---------------------------------------------------------------- fixtures, for modules that import them

def made(folder, **options):
    if os.geteuid() != 0:
        pytest.skip("not root: nobody else may make network namespaces with cables between them")
    assert not missing(), f"the tests need {missing()}: ./workshop setup"
    return World(folder, **options)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A host with the internet, for a module's tests; each leaves it as it was."""
    world = made(tmp_path_factory.mktemp("world"))
    yield world
    world.close()


@pytest.fixture
def fresh(tmp_path):
    """One that a test may change."""
    world = made(tmp_path)
    yield world
    world.close()


@pytest.fixture
def as_before(world):
    """That a test leaves nothing on the host is a part of it."""
    yield
    left = settled(world)
    assert not left, left
