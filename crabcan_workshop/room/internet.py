"""The room's internet: a network at the end of a cable, and a server in it, for chapter 11.

    the room's network                 the internet: in another network namespace
    eth0  198.51.100.X ==============  198.51.100.Y   a web server, and one for names

The room has no other way out, so whatever a learner's code does to its network ends here. The server is
a copy of the judge that runs nothing of the learner's and is in no PID namespace of the room's: what it
has heard is evidence, and so is every packet that it sees. Addresses and all numbers are drawn anew.
"""
import json
import os
import random
import signal
import socket

from crabcan_steps import linux
from crabcan_steps.net import links
from crabcan_steps.net.netlink import Netlink

from ..exercises.facts import Absent
from .join import Place, only
from .nets import Net, cable
from .server import serve

SWITCHES = {"ipv4/ip_forward": "0", "ipv6/conf/all/forwarding": "0"}  # a new one has what the host has
STUB, REAL = "/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"
ETH_P_IP = 0x0800


class Internet(Net):
    """The server's network: ask() goes there."""

    def __init__(self, keeper):
        super().__init__(keeper, ("user",))
        net = random.choice(("198.51.100", "203.0.113", "192.0.2"))
        ours, theirs = random.sample(range(2, 250), 2)
        self.host, self.server = f"{net}.{ours}", f"{net}.{theirs}"
        self.host6, self.server6 = f"2001:db8::{ours:x}", f"2001:db8::{theirs:x}"
        self.port, self.mtu = random.randint(1024, 9999), random.randint(1300, 1480)
        self.word = f"w{random.randrange(1 << 24):06x}"  # what the server says
        self.said, said = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.waiter = os.fork()
        if self.waiter == 0:
            try:
                linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
                room = Place(keeper, ("user", "net"))
                only(0, 1, 2, said.fileno(), *room.fds)
                room.enter()
                self.begin(said)
            finally:
                os._exit(1)
        said.close()
        self.problem, fds, _, _ = socket.recv_fds(self.said, 1000, 1)
        self.fds += fds

    def begin(self, said):
        """In the copy: makes the cable, and serves for ever."""
        try:
            for name, text in SWITCHES.items():
                if os.path.exists(f"/proc/sys/net/{name}"):
                    linux.write(f"/proc/sys/net/{name}", text)
            room = Netlink()
            linux.unshare(linux.CLONE_NEWNET)
            world = os.open("/proc/self/ns/net", os.O_RDONLY)
            there = Netlink()
            cable(room, "eth0", {links.IFLA_IFNAME: "eth0", links.IFLA_MTU: self.mtu, links.IFLA_NET_NS_FD: world},
                  self.mtu)
            for netlink, address, six in (room, self.host, self.host6), (there, self.server, self.server6):
                links.set_up(netlink, "lo")
                links.set_up(netlink, "eth0")
                links.add_address(netlink, "eth0", address, 24)
                if os.path.exists("/proc/sys/net/ipv6"):
                    links.add_address(netlink, "eth0", six, 64)
            links.add_default_route(room, self.server)
            if os.path.exists("/proc/sys/net/ipv6"):
                links.add_default_route(room, self.server6)
            sockets = self.listening()
        except OSError as error:
            return said.send(f"{error.filename or 'network'}: {error.strerror}"[:900].encode())
        socket.send_fds(said, [b"ready"], [world])
        serve(self, sockets, said)

    def listening(self):
        web = socket.create_server(("::", self.port), family=socket.AF_INET6, dualstack_ipv6=True) \
            if os.path.exists("/proc/sys/net/ipv6") else socket.create_server(("", self.port))
        names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        names.bind(("", 53))
        packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_IP))
        return web, names, packets

    def need(self):
        """Raises Absent if this machine gives the room no network to play with."""
        if self.problem != b"ready":
            raise Absent(f"no network for the room: {self.problem.decode(errors='replace')}")

    def heard(self):
        """What the server has heard since it was asked last: (kind, from whom, what)."""
        self.said.send(b"?")
        return [tuple(one) for one in json.loads(self.said.recv(1 << 18))]


def resolvers(server):
    """Asked in the room: its own stub for names, as systemd-resolved has one, and where that asks."""
    os.makedirs(os.path.dirname(REAL), exist_ok=True)
    for path, address in (STUB, "127.0.0.53"), (REAL, server):
        with open(path, "w") as file:
            file.write(f"nameserver {address}\n")
    return b"so"
