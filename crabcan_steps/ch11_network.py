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
from .ch05_namespaces import Namespaces
from .layer import Layer, LayerError
from .net import bridge, links, names, rules
from .net.beside import AfterUs
from .net.leases import Leases, free, note
from .net.netlink import Netlink
from .net.ports import Ports, opened

INSIDE = "eth0"


class Address(Layer):
    """Which address it will have, and which names it will know. The first sets up the bridge."""
    chapter, name = 11, "network"
    options = {"publish": "-p", "dns": "--dns", "add_host": "--add-host", "name": "--name", "ip": "--ip",
               "ip6": "--ip6", "mac": "--mac", "internal": "--internal"}
    cures = {
        ("lease", errno.EADDRNOTAVAIL): "as many containers as one bridge holds here: end some",
        ("open", errno.EACCES): "only root has leases",
        ("netlink", errno.EPERM): "only root of the host may change its network: as a user, --net pasta",
        ("netlink", errno.EOPNOTSUPP): "this kernel lacks it: `modprobe bridge veth`",
        ("write", errno.EROFS): "/proc/sys is read-only here: are we in a container?",
    }

    def prepare(self, spec, undo):
        spec.watch = AfterUs(undo)
        with Leases() as leases:
            release(leases, leases.dead())  # what killed ones have left
            network = leases.read("network") or bridge.set_up(leases)
            others = leases.living()
            lease = self.lease(spec, network, others)
            held = leases.take(lease["number"], lease)
            undo.callback(give_back, lease, held)
            leases.introduce()
        spec.network, spec.lease = network, lease
        spec.files = names.files(spec, leases.path, lease, bridge.own_addresses())

    def lease(self, spec, network, others):
        """A description of this container, for the others and for those who come after us."""
        number = free(spec.ip, others, network["range"])
        ip6 = [spec.ip6 or f"{network['prefix']}::{number:x}"] if network["prefix"] else []
        mac = spec.mac or bridge.mac_of(network["range"], number)
        for other in others.values():
            for what, value in ("--name", spec.name), ("--mac", mac), ("--ip6", ip6[0] if ip6 else None):
                if value and value in (other["name"], other["mac"], *other["ip6"]):
                    raise LayerError(self.name, what, 0, f"{value} is another container's (pid {other['pid']})")
        return {"number": number, "port": f"{bridge.CABLE}{number}", "name": spec.name, "host": spec.hostname,
                "ip": f"{network['range']}.{number}", "mac": mac,
                "ip6": ip6 + [links.link_local(mac)] * bool(ip6), "internal": spec.internal,
                "published": opened(spec.publish), "add_host": list(spec.add_host), "pid": os.getpid()}


class Cable(Layer):
    """The cable, plugged in at both ends; the child waits meanwhile."""
    chapter, name = 11, "network"

    def prepare(self, spec, undo):
        self.network, self.lease, self.watch = spec.network, spec.lease, spec.watch

    def parent(self, pid, undo):
        note(self.lease["number"], pid)
        self.watch.begin(lambda: left(self.lease))
        known = rules.Nft(rules.elements("add", self.lease))  # meanwhile:
        namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
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
        for socket in host, inside:
            socket.close()
        linux.close(namespace)
        known.wait()


def give_back(lease, held):
    """The end of a lease; the last one takes the bridge away."""
    with Leases() as leases:
        linux.close(held)
        release(leases, {lease["number"]: lease})


def left(lease):
    """The same, when we were killed: somebody beside us does it."""
    for _ in range(100):  # the kernel may still be closing what we had open
        with Leases() as leases:
            if not leases.held(lease["number"]):
                return release(leases, leases.dead())
        time.sleep(0.01)


def release(leases, gone):
    """Forgets containers that have ended: their cables, what the rules know of them, their names."""
    others = set(leases.numbers()) - gone.keys()
    network = leases.read("network")
    if gone:
        netlink = Netlink()
        for number in gone:
            links.delete(netlink, f"{bridge.CABLE}{number}")
        netlink.close()
    if not others and network:
        bridge.take_down(leases, network)
    elif gone and network:
        rules.Nft("".join(rules.elements("add", one) + rules.elements("delete", one)  # it may not be known yet
                          for one in gone.values() if one)).wait()
    for number in gone:  # last: who is killed half-way is still there, dead, for the next one
        leases.remove(number)
    leases.introduce()


def connected(spec, layers):
    """The layers, with those of this chapter: what says the names stands before the mounts that show them."""
    before, after = [Ports(), Address()], [Cable()]
    if spec.net == "pasta":
        from .net.pasta import Alone, Pasta
        before, after = [Alone()], [Pasta()]
    elif spec.net != "bridge":
        for layer in layers:
            if isinstance(layer, Namespaces):
                layer.flags &= ~linux.CLONE_NEWNET
        before, after = [], []
        if spec.net != "host":
            from .net.joined import Joined
            before = [Joined()]
    place = next((n for n, layer in enumerate(layers) if layer.name == "mounts"), len(layers))
    return [*layers[:place], *before, *layers[place:], *after]
