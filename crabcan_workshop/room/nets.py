"""What the kernel says of a network, asked in it: nobody's word but the kernel's. For chapter 11."""
import json
import socket
import struct
import subprocess

from crabcan_steps.net import links
from crabcan_steps.net.netlink import NLM_F_DUMP, Netlink, attributes

from .join import Place

NFT = "/usr/sbin/nft"
MOST = 1 << 18  # bytes of an answer


class Net(Place):
    """The network namespace of a process, held open: whatever becomes of the process."""

    def __init__(self, pid, names=("user", "net")):
        super().__init__(pid, names)

    def state(self):
        """The links, addresses and routes: see network()."""
        return json.loads(self.ask(network, MOST) or "null")

    def rules(self):
        """All rules of the packet filter, as nft prints them."""
        return self.ask(lambda: nft("list", "ruleset"), MOST).decode()

    def load(self, text):
        """Gives the packet filter some more."""
        self.ask(lambda: nft("-f", "-", said=text))

    def switch(self, name):
        """The text of a file below /proc/sys/net."""
        return self.ask(lambda: open(f"/proc/sys/net/{name}", "rb").read()).decode().strip()

    def connects(self, address, port):
        """What somebody says who listens there; "" if nobody does."""
        return self.ask(lambda: connects(address, port)).decode(errors="replace")

    def plug(self, name):
        """Makes a link of this name: one that is in somebody's way."""
        self.ask(lambda: cable(Netlink(), name, {links.IFLA_IFNAME: "elsewhere"}) or b"")

    def unplug(self, name):
        self.ask(lambda: links.delete(Netlink(), name) and b"")


def cable(netlink, name, other, mtu=None):
    """A veth with this name here; `other`: the attributes of its other end."""
    netlink.ask(f"ip link add {name} type veth", "RTM_NEWLINK", links.link_head() + attributes({
        links.IFLA_IFNAME: name, links.IFLA_MTU: mtu, links.IFLA_LINKINFO: {
            links.IFLA_INFO_KIND: "veth",
            links.IFLA_INFO_DATA: {links.VETH_INFO_PEER: links.link_head() + attributes(other)}}}), links.NEW)


def network():
    """What is where the caller is, as JSON: {"links", "addresses", "routes" by a router}."""
    netlink = Netlink()
    found = {"links": [], "addresses": list(map(list, links.addresses(netlink))), "routes": []}
    for payload in netlink.ask("ip link", "RTM_GETLINK", links.link_head(), NLM_F_DUMP):
        words = links.parsed(payload[16:])
        mtu, master = (int.from_bytes(words.get(key, b""), "little") for key in (links.IFLA_MTU, links.IFLA_MASTER))
        found["links"].append({
            "name": words[links.IFLA_IFNAME][:-1].decode(), "mac": words.get(links.IFLA_ADDRESS, b"").hex(":"),
            "index": struct.unpack_from("=i", payload, 4)[0], "up": bool(payload[8] & links.IFF_UP),
            "mtu": mtu, "master": master})
    for family in socket.AF_INET, socket.AF_INET6:
        for kind, where, _, words in links.routes(netlink, family):
            if kind == links.RTN_UNICAST and links.RTA_GATEWAY in words:
                found["routes"].append([where or "default", socket.inet_ntop(family, words[links.RTA_GATEWAY])])
    return json.dumps(found).encode()


def nft(*words, said=""):
    return subprocess.run([NFT, *words], input=said.encode(), capture_output=True).stdout


def connects(address, port):
    with socket.socket() as one:
        one.settimeout(1)
        one.connect((address, port))
        one.sendall(b"\n")
        return one.recv(100)
