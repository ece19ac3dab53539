"""What all containers of chapter 11 share: the bridge, its addresses and rules, and a host that forwards.

The first container sets it up and writes down what it has changed, before it does; the last takes all
of it away, and so does the next one if all were killed.
"""
import _socket
import os

from .. import linux
from ..layer import LayerError, exists, warn
from ..oci.quickjson import dumps
from . import links, rules
from .addresses import CABLE
from .netlink import Netlink

BRIDGE = "crabcan0"
# Of the addresses for private networks (RFC 1918) corners that few others take; /24 each.
RANGES = [f"{head}.{number}" for number in range(16) for head in ("10.211", "172.29", "192.168")]
SYS = "/proc/sys/net"


def plan(netlink):
    """What is to be made, as it fits on this host: a range that is nobody's, and how large a packet may be."""
    if links.exists(netlink, BRIDGE):  # not of a killed one: he had written it down
        raise LayerError("network", BRIDGE, 0, f"is there, and no lease tells whose it is: `ip link del {BRIDGE}`?")
    ways = list(links.routes(netlink))
    return {"range": unused(ways), "prefix": prefix() if has_ipv6() else None, "switches": [],
            "mtu": mtu(netlink, ways)}


def close_doors(network):
    """What the kernel would let a bridge do, and ours is not to."""
    linux.write(f"{SYS}/ipv4/conf/{BRIDGE}/route_localnet", "0")  # 127.0.0.1 is nobody's but the host's
    linux.write(f"{SYS}/ipv4/conf/{BRIDGE}/arp_ignore", "1")  # who asks for the host's other addresses hears nothing
    if network["prefix"]:
        linux.write(f"{SYS}/ipv6/conf/{BRIDGE}/accept_ra", "0")


def take_down(network):
    """Takes away what share() has made, or as much of it as there is."""
    for path, before, ours in reversed(network.get("switches", ())):
        if exists(path) and linux.read(path).strip() == ours:  # else somebody has decided anew
            linux.write(path, before)
    away = rules.Nft(rules.AWAY)
    netlink = Netlink()
    if links.exists(netlink, BRIDGE):  # else we might not even be allowed to
        links.delete(netlink, BRIDGE)
    netlink.close()
    away.wait(False)


def words(network):
    """What the rules call this network."""
    return {"BRIDGE": BRIDGE, "CABLE": CABLE, "GATEWAY": f"{network['range']}.1",
            "CLOUDS4": ", ".join(rules.CLOUDS4), "CLOUDS6": ", ".join(rules.CLOUDS6),
            "RANGE": f"{network['range']}.0/24", "PREFIX": f"{network['prefix'] or 'fd00'}::/64"}


def forward(leases, network, netlink):
    """Makes the host pass packets on (ip_forward), where it does not yet: returns for which families.

    What it changes is written down first. A host that forwards IPv6 believes no router any more, unless
    accept_ra says 2 (ip-sysctl)."""
    switches, routed = network["switches"], []
    six = network["prefix"] and any(where is None for kind, where, _, _ in links.routes(netlink, _socket.AF_INET6)
                                    if kind == links.RTN_UNICAST)
    if linux.read(f"{SYS}/ipv4/ip_forward").strip() == "0":
        switches.append([f"{SYS}/ipv4/ip_forward", "0", "1"])
        routed.append("ipv4")
    if six and linux.read(f"{SYS}/ipv6/conf/all/forwarding").strip() == "0":
        for name in os.listdir(f"{SYS}/ipv6/conf"):
            path = f"{SYS}/ipv6/conf/{name}/accept_ra"
            if name not in ("all", "default", BRIDGE) and linux.read(path).strip() == "1":
                switches.append([path, "1", "2"])
        switches.append([f"{SYS}/ipv6/conf/all/forwarding", "0", "1"])
        routed.append("ipv6")
    leases.write("network", dumps(network))
    for path, _, ours in switches:
        linux.write(path, ours)
    return routed


def unused(ways):
    """The first of RANGES that no route of the host's touches, a VPN's neither."""
    taken = [span(where, prefix) for _, where, prefix, _ in ways if prefix >= 8]  # wider is a way out, in halves
    for candidate in RANGES:
        first, last = span(f"{candidate}.0", 24)
        if not any(begin <= last and first <= end for begin, end in taken):
            if candidate != RANGES[0]:
                warn(f"{RANGES[0]}.0/24 is in use on this host: the containers have {candidate}.0/24")
            return candidate
    raise LayerError("network", "range", 0, f"all {len(RANGES)} are in use here: `ip route show table all` tells by whom")


def span(address, prefix):
    """The first and last address of a network, as numbers."""
    first = int.from_bytes(links.packed(address)[0], "big")
    return first, first + (1 << 32 - prefix) - 1


def mtu(netlink, ways):
    """How large a packet may be on the way out: larger ones would be lost, or cut, on a VPN's way."""
    out = [found for kind, where, _, found in ways if where is None and kind == links.RTN_UNICAST
           and links.RTA_OIF in found]
    if not out:
        return 1500
    nearest = min(out, key=lambda found: int.from_bytes(found.get(links.RTA_PRIORITY, b""), "little"))
    _, link = links.get(netlink, index=int.from_bytes(nearest[links.RTA_OIF], "little"))
    return max(1280, min(int.from_bytes(link[links.IFLA_MTU], "little"), 65535))


def own_addresses():
    """The host's own addresses: none of them can be reached from inside."""
    return {address for address, _ in links.addresses(Netlink())}


def has_ipv6():
    path = f"{SYS}/ipv6/conf/all/disable_ipv6"
    return exists(path) and linux.read(path).strip() == "0"


def prefix():
    """Our network of unique local addresses (RFC 4193): the same again on this host, and no other's."""
    import _sha1  # only now, once for a bridge
    try:
        seed = linux.read("/etc/machine-id")
    except OSError:
        seed = linux.urandom(16).hex()
    digits = _sha1.sha1(f"crabcan {seed}".encode()).hexdigest()[:10]
    return f"fd{digits[:2]}:{digits[2:6]}:{digits[6:]}"
