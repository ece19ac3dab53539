"""What a lease says of a container, for chapter 11: its number, and all that follows from it.

Number 7 has crabcan7 for a cable, 10.211.0.7, fd...::7 and 02:cc:0a:d3:00:07, unless it asks for others.
"""
import _socket
import errno
import os

from ..layer import LayerError
from . import links
from .ports import opened

LAYER, CABLE = "network", "crabcan"
FIRST, LAST = 2, 254  # of an address's last byte: 1 is the bridge's


def describe(spec, network, others):
    """A lease: what the others, and those who come after us, are to know of this container."""
    number = free(spec.ip, others, network["range"])
    usual, mac, ip6 = by_number(network, number), spec.mac, six(spec.ip6, network["prefix"])
    own = {"mac": mac or usual["mac"],
           "ip6": [ip6 or usual["ip6"][0], link_local(mac) if mac else usual["ip6"][1]] if usual["ip6"] else []}
    for what, value in ("--name", spec.name), ("--mac", mac), ("--ip6", ip6):
        for other in others.values():
            if value and value in (other["name"], other["mac"], *other["ip6"]):
                raise LayerError(LAYER, what, 0, f"{value} is another container's (pid {other['pid']})")
    for what, value in ("--mac", mac), ("--ip6", ip6):
        for other in range(1, LAST + 1) if value else ():
            kept = by_number(network, other)
            if other != number and value in (kept["mac"], *kept["ip6"]):
                raise LayerError(LAYER, what, 0, f"{value} is kept for who has {network['range']}.{other}")
    return {"number": number, "port": f"{CABLE}{number}", "name": spec.name, "host": spec.hostname,
            "ip": f"{network['range']}.{number}", **own, "usual": usual, "internal": spec.internal,
            "published": opened(spec.publish), "add_host": list(spec.add_host), "pid": os.getpid()}


def by_number(network, number):
    """What a container has that asks for nothing: its MAC, and its addresses of IPv6."""
    mac, prefix = mac_of(network["range"], number), network["prefix"]
    return {"mac": mac, "ip6": [f"{prefix}::{number:x}", link_local(mac)] if prefix else []}


def six(wanted, prefix):
    """The address of --ip6, if it is one of the bridge's network."""
    if wanted and not prefix:
        raise LayerError(LAYER, "--ip6", 0, f"{wanted}: this host has no IPv6")
    raw = links.packed(wanted or "::")[0]
    if wanted and (raw[:8] != links.packed(f"{prefix}::")[0][:8] or int.from_bytes(raw[8:], "big") < 2):
        raise LayerError(LAYER, "--ip6", 0, f"{wanted}: addresses here begin with {prefix}:: and end with 2 or more")
    return wanted


def mac_of(network, number):
    """A MAC address that is nobody's card's (the 2 of 02), and of which one can read whose it is."""
    return "02:cc:" + ":".join(f"{int(part):02x}" for part in f"{network}.{number}".split("."))


def link_local(mac):
    """The address that the kernel gives itself by its MAC address, valid on the cable only (RFC 4291)."""
    raw = links.mac_bytes(mac)
    return _socket.inet_ntop(_socket.AF_INET6, b"\xfe\x80" + bytes(6) + bytes([raw[0] ^ 2]) + raw[1:3]
                             + b"\xff\xfe" + raw[3:])


def free(wanted, taken, network):
    """The number of an address that is nobody's: the lowest, or that of --ip."""
    if wanted is None:
        for number in range(FIRST, LAST + 1):
            if number not in taken:
                return number
        raise LayerError(LAYER, "lease", errno.EADDRNOTAVAIL, f"all of {network}.{FIRST} to {LAST}")
    head, _, last = wanted.rpartition(".")
    if head != network or not FIRST <= int(last) <= LAST:
        raise LayerError(LAYER, "--ip", 0, f"{wanted}: addresses here are {network}.{FIRST} to {network}.{LAST}")
    if int(last) in taken:
        raise LayerError(LAYER, "--ip", 0, f"{wanted} is another container's (pid {taken[int(last)].get('pid')})")
    return int(last)
