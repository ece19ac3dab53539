"""What chapter 11 asks of rtnetlink(7): links, addresses, routes. Beside each request, what ip(8) calls it.

A request is a fixed head (struct ifinfomsg, ifaddrmsg or rtmsg), and attributes behind it.
"""
import _socket
import errno
import struct

from .netlink import NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, attributes, missing, parsed

NEW = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL
IFF_UP, IFF_NOARP = 0x1, 0x80                                          # <linux/if.h>
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_MASTER, IFLA_LINKINFO = 1, 3, 4, 10, 18  # <linux/if_link.h>
IFLA_NET_NS_FD, IFLA_INFO_KIND, IFLA_INFO_DATA, VETH_INFO_PEER = 28, 1, 2, 1
IFA_ADDRESS, IFA_LOCAL, IFA_FLAGS, IFA_F_NODAD = 1, 2, 8, 0x02                     # <linux/if_addr.h>
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_METRICS, RTA_TABLE = 1, 4, 5, 6, 8, 15
RTN_UNICAST, RTN_LOCAL, RTN_UNREACHABLE = 1, 2, 7                      # <linux/rtnetlink.h>
RT_TABLE_MAIN, RTPROT_STATIC, SCOPE_UNIVERSE, RTAX_MTU = 254, 4, 0, 2


def link_head(index=0, flags=0, change=0):
    return struct.pack("=BxHiII", 0, 0, index, flags, change)


def packed(address):
    """An address as bytes, 4 or 16 of them, and the family that it is of."""
    family = _socket.AF_INET6 if ":" in address else _socket.AF_INET
    return _socket.inet_pton(family, address), family


def mac_bytes(mac):
    return bytes.fromhex(mac.replace(":", ""))


def add_bridge(netlink, name, mac, mtu):
    """A switch in the kernel. Its own MAC, or it would change with whatever is plugged in."""
    netlink.ask(f"ip link add name {name} address {mac} mtu {mtu} up type bridge", "RTM_NEWLINK",
                link_head(flags=IFF_UP, change=IFF_UP) + attributes({
                    IFLA_IFNAME: name, IFLA_ADDRESS: mac_bytes(mac), IFLA_MTU: mtu,
                    IFLA_LINKINFO: {IFLA_INFO_KIND: "bridge"}}), NEW)


def add_veth(netlink, name, bridge, inside, namespace, mac, mtu):
    """A cable: one end in a bridge of ours, the other in the namespace behind a descriptor.

    An old one of this name, with whose namespace the kernel is not through yet, goes first."""
    master = index_of(netlink, bridge)
    peer = link_head() + attributes({IFLA_IFNAME: inside, IFLA_ADDRESS: mac_bytes(mac), IFLA_MTU: mtu,
                                     IFLA_NET_NS_FD: namespace})
    request = (f"ip link add name {name} mtu {mtu} master {bridge} up arp off type veth "
               f"peer name {inside} address {mac} mtu {mtu} netns /proc/self/fd/{namespace}", "RTM_NEWLINK",
               link_head(flags=IFF_UP | IFF_NOARP, change=IFF_UP | IFF_NOARP) + attributes({
                   IFLA_IFNAME: name, IFLA_MTU: mtu, IFLA_MASTER: master,
                   IFLA_LINKINFO: {IFLA_INFO_KIND: "veth", IFLA_INFO_DATA: {VETH_INFO_PEER: peer}}}), NEW)
    try:
        netlink.ask(*request)
    except OSError as error:
        if error.errno != errno.EEXIST or master_of(netlink, name) not in (master, None):  # somebody else's
            raise
        delete(netlink, name)
        netlink.ask(*request)


def master_of(netlink, name):
    """The number of the bridge in which a link is plugged in, 0 if in none; None if there is no such link."""
    try:
        return int.from_bytes(get(netlink, name)[1].get(IFLA_MASTER, b""), "little")
    except OSError as error:
        if not missing(error):
            raise
        return None


def set_up(netlink, name):
    netlink.ask(f"ip link set {name} up", "RTM_NEWLINK",
                link_head(flags=IFF_UP, change=IFF_UP) + attributes({IFLA_IFNAME: name}))


def delete(netlink, name):
    """Removes a link, and with one end of a cable the other. Tells whether there was one."""
    try:
        netlink.ask(f"ip link del {name}", "RTM_DELLINK", link_head() + attributes({IFLA_IFNAME: name}))
        return True
    except OSError as error:
        if not missing(error):
            raise
        return False


def get(netlink, name=None, index=0):
    """(index, attributes) of a link, by its name or number. Raises OSError (ENODEV)."""
    payload, = netlink.ask(f"ip link show {name or f'if{index}'}", "RTM_GETLINK",
                           link_head(index) + attributes({IFLA_IFNAME: name}))
    return struct.unpack_from("=i", payload, 4)[0], parsed(payload[16:])


def index_of(netlink, name):
    return get(netlink, name)[0]


def exists(netlink, name):
    """Tells whether there is a link of this name."""
    try:
        return bool(get(netlink, name))
    except OSError as error:
        if not missing(error):
            raise
        return False


def add_address(netlink, name, address, prefix):
    """An address for a link, known to be nobody else's: IPv6 need not ask around for a second."""
    raw, family = packed(address)
    nodad = family == _socket.AF_INET6
    netlink.ask(f"ip address add {address}/{prefix} dev {name}" + nodad * " nodad", "RTM_NEWADDR",
                struct.pack("=BBBBI", family, prefix, 0, SCOPE_UNIVERSE, index_of(netlink, name))
                + attributes({IFA_LOCAL: raw, IFA_ADDRESS: raw, IFA_FLAGS: IFA_F_NODAD if nodad else None}), NEW)


def add_default_route(netlink, gateway):
    """Where everything goes for which there is no nearer way."""
    raw, family = packed(gateway)
    netlink.ask(f"ip {'-6 ' * (len(raw) == 16)}route add default via {gateway}", "RTM_NEWROUTE",
                route_head(family, 0, RTN_UNICAST) + attributes({RTA_GATEWAY: raw}), NEW)


def add_unreachable(netlink, where):
    """Where nothing goes, whatever other routes say: the nearer one counts."""
    address, _, prefix = where.partition("/")
    raw, family = packed(address)
    netlink.ask(f"ip {'-6 ' * (len(raw) == 16)}route add unreachable {where}", "RTM_NEWROUTE",
                route_head(family, int(prefix), RTN_UNREACHABLE) + attributes({RTA_DST: raw}), NEW)


def route_head(family, prefix, kind):
    return struct.pack("=BBBBBBBBI", family, prefix, 0, 0, RT_TABLE_MAIN, RTPROT_STATIC, SCOPE_UNIVERSE, kind, 0)


def addresses(netlink):
    """Every address of the host's: (address, prefix) as text and number."""
    for payload in netlink.ask("ip address show", "RTM_GETADDR", bytes(8), NLM_F_DUMP):
        if address := address_in(payload):
            yield address, payload[1]


def address_in(payload):
    """The address that a message about one (struct ifaddrmsg) tells of, as text."""
    found = parsed(payload[8:])
    raw = found.get(IFA_LOCAL) or found.get(IFA_ADDRESS)
    return _socket.inet_ntop(payload[0], raw) if raw else None


def routes(netlink, family=_socket.AF_INET):
    """Every route in every table: (kind, destination or None for default, prefix, attributes)."""
    for payload in netlink.ask(f"ip {'-6 ' * (family != _socket.AF_INET)}route show table all", "RTM_GETROUTE",
                               struct.pack("=B11x", family), NLM_F_DUMP):
        _, prefix = struct.unpack_from("=BB", payload)
        found = parsed(payload[12:])
        where = _socket.inet_ntop(family, found[RTA_DST]) if RTA_DST in found else None
        yield payload[7], where, prefix, found
