"""linux.netDevices of a bundle: links of the machine's that move into the container's network.

Whatever moves is set down, and loses its addresses and routes: the kernel forgets them with the
network that they were for. The specification wants the addresses back, and the link up.
"""
import errno
import os
import struct

from .. import linux
from ..layer import Layer, LayerError
from . import links
from .netlink import NLM_F_DUMP, Netlink, attributes

IFA_F_PERMANENT = 0x80  # <linux/if_addr.h>: no address that somebody has lent, or the kernel made up


class Devices(Layer):
    """Moves links in, by their names, and gives them others there if asked to."""
    chapter, name = 11, "network"
    cures = {("netlink", errno.ENODEV): "the machine has no such device: see `ip link`",
             ("netlink", errno.EEXIST): "there is one of that name already",
             ("netlink", errno.EPERM): "to move a link takes CAP_NET_ADMIN, where it is and where it goes",
             ("netlink", errno.EINVAL): "some links stay where they are (`ethtool -k`: netns-local)"}

    def prepare(self, spec, undo):
        self.wanted = {name: device.get("name") or name
                       for name, device in spec.linux["netDevices"].items()}
        self.joined = spec.joined

    def parent(self, pid, undo):
        namespace = self.joined.get("network")
        if namespace is None:
            namespace = linux.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
            undo.callback(linux.close, namespace)
        here = linux.open("/proc/self/ns/net", os.O_RDONLY)
        undo.callback(linux.close, here)
        ours, theirs = Netlink(), Netlink(namespace)
        undo.callback(ours.close)
        undo.callback(theirs.close)
        for old, new in self.wanted.items():
            link = look(ours, old)
            if links.exists(theirs, new):  # the kernel would move it, and only then find that out
                raise LayerError(self.name, "netlink", errno.EEXIST, f"linux.netDevices.{old}: {new}")
            send(ours, old, new, namespace)
            undo.callback(back, theirs, new, ours, old, here, link)  # should what comes later fail
            revive(theirs, new, link)


def look(netlink, name):
    """What a link is to keep: its flags and addresses. Its MAC and its MTU it keeps by itself."""
    payload, = netlink.ask(f"ip link show {name}", "RTM_GETLINK",
                           links.link_head() + attributes({links.IFLA_IFNAME: name}))
    index, flags = struct.unpack_from("=iI", payload, 4)
    return flags, list(addresses(netlink, index))


def send(netlink, old, new, namespace):
    netlink.ask(f"ip link set {old} name {new} netns /proc/self/fd/{namespace}", "RTM_NEWLINK",
                links.link_head(links.index_of(netlink, old))
                + attributes({links.IFLA_NET_NS_FD: namespace, links.IFLA_IFNAME: new}))


def revive(netlink, name, link, up=True):
    for address, prefix in link[1]:
        links.add_address(netlink, name, address, prefix)
    if up:
        links.set_up(netlink, name)


def back(source, new, target, old, namespace, link):
    """As it was."""
    send(source, new, old, namespace)
    revive(target, old, link, link[0] & links.IFF_UP)


def addresses(netlink, index):
    """A link's addresses that somebody has given it, and that mean the same everywhere: (text, prefix)."""
    for payload in netlink.ask("ip address show", "RTM_GETADDR", bytes(8), NLM_F_DUMP):
        _, prefix, flags, scope, number = struct.unpack_from("=BBBBI", payload)
        if number == index and scope == links.SCOPE_UNIVERSE and flags & IFA_F_PERMANENT:
            yield links.address_in(payload), prefix
