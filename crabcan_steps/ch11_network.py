"""Chapter 11: a network of its own, with a way out.

     container           |            host                              |   world
     eth0  10.211.0.2 ===|=== crabcan2 --[ crabcan0 10.211.0.1 ]-- NAT --|-- eth0 ---> ...

A cable (veth(4)) has one end in the container's network namespace and one in ours, where a switch in the
kernel (a bridge) holds all of them. An address and a route say how to use it; and as nobody in the world
knows our addresses, the host puts its own in the place of them (NAT). An ordinary user may do none of
this to the host: for him a program in between makes each connection again, as its own (pasta).
"""
import errno
import os
import time

from . import linux
from .layer import Layer, warn
from .mounts.parts import READ_ONLY
from .net import addresses, beside, bridge, firewall, links, names, ports, rules
from .net.leases import Leases, note
from .net.netlink import Netlink
from .oci.quickjson import dumps

INSIDE = "eth0"


class Address(Layer):
    """Which address it will have, and which names it will know. The first sets up the bridge."""
    chapter, name = 11, "network"
    options = {"publish": "-p", "dns": "--dns", "add_host": "--add-host", "name": "--name", "ip": "--ip",
               "ip6": "--ip6", "mac": "--mac", "internal": "--internal"}
    cures = {
        ("lease", errno.EADDRNOTAVAIL): "as many containers as one bridge holds here: end some",
        ("netlink", errno.EPERM): "only root of the host may change its network: as a user, --net pasta",
        ("netlink", errno.EOPNOTSUPP): "this kernel lacks it: `modprobe bridge veth`",
        ("write", errno.EROFS): "/proc/sys is read-only here: are we in a container?",
    }
    held = None  # the descriptor that says: this lease is somebody's

    def prepare(self, spec, undo):
        beside.after_us(left, undo)
        with Leases() as leases:
            undo.callback(give_back, self)  # also after a failure in the middle of this
            release(leases, leases.dead())
            network = leases.read("network") or share(leases)
            self.lease = addresses.describe(spec, network, leases.living())
            self.held = leases.take(self.lease["number"], self.lease)
            leases.introduce()
        spec.network, spec.lease = network, self.lease
        servers = "" if spec.internal else names.resolvers(spec.dns, bridge.own_addresses())
        spec.files = [names.Over(f"{leases.path}/{self.lease['number']}.hosts", "/etc/hosts", READ_ONLY),
                      names.Text("/etc/resolv.conf", servers)]


def share(leases):
    """What all containers share, made for the first of them: a bridge, a host that forwards, and NAT."""
    netlink, seen = Netlink(), firewall.look()
    network = bridge.plan(netlink)
    leases.write("network", dumps(network))  # first: whoever comes after a kill -9 finds what to take away
    links.add_bridge(netlink, bridge.BRIDGE, addresses.mac_of(network["range"], 1), network["mtu"])
    links.add_address(netlink, bridge.BRIDGE, f"{network['range']}.1", 24)
    bridge.close_doors(network)
    if network["prefix"]:
        links.add_address(netlink, bridge.BRIDGE, f"{network['prefix']}::1", 64)
    routed = bridge.forward(leases, network, netlink)
    netlink.close()
    loading = rules.Nft(rules.tables(bridge.words(network), routed))
    for obstacle in firewall.obstacles(seen, bridge.BRIDGE):
        warn(obstacle)
    loading.wait()
    return network


class Cable(Layer):
    """The cable, plugged in at both ends; the child waits meanwhile."""
    chapter, name = 11, "network"

    def prepare(self, spec, undo):
        self.network, self.lease = spec.network, spec.lease

    def parent(self, pid, undo):
        known = rules.Nft(rules.elements("add", self.lease))  # meanwhile:
        note(self.lease["number"], pid)
        namespace = linux.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        host = Netlink()
        links.add_veth(host, self.lease["port"], bridge.BRIDGE, INSIDE, namespace, self.lease["mac"],
                       self.network["mtu"])
        inside = Netlink(namespace)
        links.add_address(inside, INSIDE, self.lease["ip"], 24)
        for address in self.lease["ip6"][:1]:
            links.add_address(inside, INSIDE, address, 64)
        links.set_up(inside, INSIDE)
        links.add_default_route(inside, f"{self.network['range']}.1")
        if self.network["prefix"]:
            links.add_default_route(inside, f"{self.network['prefix']}::1")
        host.close()
        inside.close()
        linux.close(namespace)
        known.wait()


class Ports(Layer):
    """Listens on the host for the container, and passes on what comes."""
    chapter, name = 11, "network"

    def prepare(self, spec, undo):
        self.spec, self.listeners = spec, []
        if spec.publish:
            from .net.relay import Relay  # only now, as few ask for it: and not in the copy that runs it
            self.relay = Relay
        for published in spec.publish:
            given = published[0]
            for where in [given] if given else ports.LOOPBACK:
                socket = ports.bound(where, published)
                if socket:
                    undo.callback(socket.close)
                    self.listeners.append((socket, published[2]))

    def parent(self, pid, undo):
        if self.listeners:
            beside.with_us(lambda: self.relay(self.listeners, self.spec.lease["ip"]).run(),
                           [socket.fileno() for socket, _ in self.listeners], undo, beside.NOBODY)
        for socket, _ in self.listeners:
            linux.close(socket.detach())


def give_back(address):
    """The end of a lease, or of what was half made; the last one takes the bridge away."""
    with Leases() as leases:
        if address.held is not None:
            linux.close(address.held)
        release(leases, {address.lease["number"]: address.lease} if address.held is not None else {})


def left(pid):
    """The same, when we were killed: somebody beside us does it."""
    for _ in range(1000):  # what was to become the container may still be there, with a copy of all that we had open
        with Leases() as leases:
            if not any(lease.get("pid") == pid for lease in leases.living().values()):
                return release(leases, leases.dead())
        time.sleep(0.01)


def release(leases, gone):
    """Forgets containers that have ended: their cables, what the rules know of them, their names."""
    others = set(leases.numbers()) - gone.keys()
    network = leases.read("network")
    netlink, known = Netlink(), ""
    for number, lease in gone.items():
        own = rules.elements("delete", lease) if lease and others else ""
        known += own and rules.elements("add", lease) + own  # it may not be known yet
        if own or not others or leases.in_use(number):  # else it goes with its namespace
            links.delete(netlink, f"{bridge.CABLE}{number}")
    netlink.close()
    if network and not others:
        bridge.take_down(network)
        leases.clear("network")
    elif network and known:
        rules.Nft(known).wait(False)
    for number in gone:  # last: who is killed half-way is still there, dead, for the next one
        leases.remove(number)
    leases.introduce()
