"""What a program beside us has put into a container's network: for a recording, in chapter 11.

pasta(1) asks the kernel itself, so none of its requests is one of ours. Who records asks what has come of
them, and notes the commands of ip(8) that would have made the same.
"""
import _socket
import os
import struct
import time

from .. import linux
from .links import (IFF_UP, IFLA_IFNAME, RT_TABLE_MAIN, RTA_DST, RTA_GATEWAY, RTA_OIF, RTN_UNICAST, address_in,
                    link_head)
from .netlink import NLM_F_DUMP, Netlink, parsed

RT_SCOPE_LINK, RTPROT_KERNEL = 253, 2  # <linux/rtnetlink.h>
PATIENCE = 5  # seconds
FAMILIES = ((_socket.AF_INET, "ip"), (_socket.AF_INET6, "ip -6"))


def note(words, pid, programs):
    """Has the recording tell what a process's network is now; words: of the program that made it so.

    A copy of us goes there to ask: an ordinary user cannot come back from a user namespace."""
    end = time.monotonic() + PATIENCE
    while words[0] == "pasta" and not all(map(settled, programs)) and time.monotonic() < end:
        time.sleep(0.002)
    ours, theirs = os.pipe()
    asker = os.fork()
    if asker == 0:
        try:
            linux.observer = None
            linux.setns(os.pidfd_open(pid), linux.CLONE_NEWUSER | linux.CLONE_NEWNET)
            os.write(theirs, "\n".join(commands(Netlink())).encode())
        finally:
            os._exit(0)
    os.close(theirs)
    with open(ours, "rb") as answer:
        said = answer.read().decode()
    os.waitpid(asker, 0)
    linux.observer("pasta", (said, words), {}, None, 0, 0)


def settled(program):
    """Tells whether pasta is through with what it sets up: then, and not before, it loads a filter (seccomp(2))."""
    try:
        theirs, own = (linux.read(f"/proc/{pid}/status").partition("\nSeccomp_filters:")[2] for pid in (program, "self"))
        return not own or int(theirs.split()[0]) > int(own.split()[0])  # not every kernel counts them
    except FileNotFoundError:
        return True  # it has ended


def commands(netlink):
    """What ip(8) would have been told: links that are up, their addresses, and routes."""
    names = {}
    for payload in netlink.ask("ip link show", "RTM_GETLINK", link_head(), NLM_F_DUMP):
        index, flags = struct.unpack_from("=iI", payload, 4)
        names[index] = name = parsed(payload[16:])[IFLA_IFNAME].rstrip(b"\0").decode()
        if flags & IFF_UP:
            yield from [f"ip tuntap add name {name} mode tap"] * (name != "lo")
            yield f"ip link set {name} up"
    for payload in netlink.ask("ip address show", "RTM_GETADDR", bytes(8), NLM_F_DUMP):
        _, prefix, _, scope, index = struct.unpack_from("=BBBBI", payload)
        if scope != RT_SCOPE_LINK:  # which a link gives itself
            yield f"ip address add {address_in(payload)}/{prefix} dev {names[index]}"
    for family, ip in FAMILIES:
        for payload in netlink.ask(f"{ip} route show", "RTM_GETROUTE", struct.pack("=B11x", family), NLM_F_DUMP):
            if route := way(payload, family, names):
                yield f"{ip} route add {route}"


def way(payload, family, names):
    """A route in ip(8)'s words, or None if the kernel has made it with an address."""
    its, prefix, _, _, table, protocol, _, kind = struct.unpack_from("=8B", payload)
    if (its, table, kind) != (family, RT_TABLE_MAIN, RTN_UNICAST) or protocol == RTPROT_KERNEL:
        return None
    found = parsed(payload[12:])
    where = f"{_socket.inet_ntop(family, found[RTA_DST])}/{prefix}" if RTA_DST in found else "default"
    if RTA_GATEWAY in found:
        return f"{where} via {_socket.inet_ntop(family, found[RTA_GATEWAY])}"
    return f"{where} dev {names[int.from_bytes(found[RTA_OIF], 'little')]}"
