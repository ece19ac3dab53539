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
from .leases import free
from .netlink import Netlink
from .ports import opened

BRIDGE, CABLE = "crabcan0", "crabcan"
# Of the addresses for private networks (RFC 1918) corners that few others take; /24 each.
RANGES = [f"{head}.{number}" for number in range(16) for head in ("10.211", "172.29", "192.168")]
SYS = "/proc/sys/net"


def plan(netlink):
    """What is to be made, as it fits on this host: a range that is nobody's, and how large a packet may be."""
    ways = list(links.routes(netlink))
    return {"range": unused(ways), "prefix": prefix() if has_ipv6() else None, "switches": [],
            "mtu": mtu(netlink, ways)}


def close_doors(network):
    """What the kernel would let a bridge do, and ours is not to."""
    linux.write(f"{SYS}/ipv4/conf/{BRIDGE}/route_localnet", "0")  # 127.0.0.1 is nobody's but the host's
    if network["prefix"]:
        linux.write(f"{SYS}/ipv6/conf/{BRIDGE}/accept_ra", "0")


def take_down(network):
    """Takes away what share() has made, or as much of it as there is."""
    for path, before, ours in reversed(network.get("switches", ())):
        if exists(path) and linux.read(path).strip() == ours:  # else somebody has decided anew
            linux.write(path, before)
    away = rules.Nft(rules.AWAY)
    netlink = Netlink()
    links.delete(netlink, BRIDGE)
    netlink.close()
    away.wait()


def words(network):
    """What the rules call this network."""
    return {"BRIDGE": BRIDGE, "CABLE": CABLE, "GATEWAY": f"{network['range']}.1",
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
    raise LayerError("network", "range", 0, f"{RANGES[0]}.0/24 and {len(RANGES) - 1} others are all in use on this "
                     "host: `ip route show table all` tells by whom")


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
    netlink = Netlink()
    found = {address for address, _ in links.addresses(netlink)}
    netlink.close()
    return found


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


def describe(spec, network, others):
    """A lease: what the others, and those who come after us, are to know of this container."""
    number = free(spec.ip, others, network["range"])
    ip6 = [six(spec.ip6, network["prefix"]) or f"{network['prefix']}::{number:x}"] if network["prefix"] or spec.ip6 else []
    mac = spec.mac or mac_of(network["range"], number)
    for other in others.values():
        for what, value in ("--name", spec.name), ("--mac", mac), ("--ip6", ip6[0] if ip6 else None):
            if value and value in (other["name"], other["mac"], *other["ip6"]):
                raise LayerError("network", what, 0, f"{value} is another container's (pid {other['pid']})")
    return {"number": number, "port": f"{CABLE}{number}", "name": spec.name, "host": spec.hostname,
            "ip": f"{network['range']}.{number}", "mac": mac,
            "ip6": ip6 + [links.link_local(mac)] * bool(ip6), "internal": spec.internal,
            "published": opened(spec.publish), "add_host": list(spec.add_host), "pid": os.getpid()}


def six(wanted, prefix):
    """The address of --ip6, if it is one of the bridge's network."""
    if wanted and not prefix:
        raise LayerError("network", "--ip6", 0, f"{wanted}: this host has no IPv6")
    if wanted and (links.packed(wanted)[0][:8] != links.packed(f"{prefix}::")[0][:8] or wanted in (
            f"{prefix}::", f"{prefix}::1")):
        raise LayerError("network", "--ip6", 0, f"{wanted}: addresses here begin with {prefix}:: and end with 2 or more")
    return wanted


def mac_of(network, number):
    """A MAC address that is nobody's card's (the 2 of 02), and of which one can read whose it is."""
    return "02:cc:" + ":".join(f"{int(part):02x}" for part in f"{network}.{number}".split("."))
