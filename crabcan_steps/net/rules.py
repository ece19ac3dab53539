"""The packet filter of chapter 11, in nftables' own words (nft(8)): two tables of ours, nobody else's.

The rules stand as long as the bridge does; a container is a few elements in their sets. What `nft list
table inet crabcan` prints is what is written here.
"""
import _socket
import struct

from .links import mac_bytes
from .netlink import NETLINK_NETFILTER, Netlink, attributes
from .nft import Nft  # noqa: F401: rules.Nft is what runs them

NFPROTO_BRIDGE, IFNAMSIZ = 7, 16  # <linux/netfilter.h>, <linux/if.h>
NFTA_TABLE, NFTA_SET, NFTA_ELEMENTS = 1, 2, 3  # <linux/netfilter/nf_tables.h>
NFTA_LIST_ELEM, NFTA_SET_ELEM_KEY, NFTA_DATA_VALUE = 1, 1, 1

# Where clouds tell a machine its secrets: nearly all; Alibaba; Amazon, Google, Oracle. (Azure's second
# address answers for names, too, and is closed below by its ports.)
CLOUDS4, CLOUDS6 = ("169.254.0.0/16", "100.100.100.200"), ("fd00:ec2::254", "fd20:ce::254", "fd00:c1::a9fe:a9fe")
# What both name. The chain is for IPv6 out of a cable: what cannot be read, as more headers or the next
# fragment hide it, is not accepted.
NAMED = """
table inet crabcan {
  set published4 { type ipv4_addr . inet_proto . inet_service; flags interval; }
  set published6 { type ipv6_addr . inet_proto . inet_service; flags interval; }
  set internal4 { type ipv4_addr; }
  set internal6 { type ipv6_addr; }
}
table bridge crabcan {
  set answers6 { typeof iifname . @th,64,128; }
  chain six {
    frag frag-off != 0 accept
    icmpv6 type != { nd-router-advert, nd-redirect, nd-neighbor-advert, mld-listener-query } accept
    icmpv6 type nd-neighbor-advert iifname . @th,64,128 @answers6 accept
    udp dport != 546 accept
    meta l4proto != { icmpv6, udp } accept
    drop
  }
}
"""
# Who goes where. A hook is a place on a packet's way: prerouting, then input (it is for the host) or
# forward (it goes on), then postrouting.
ROUTING = """
table inet crabcan {
  chain input {  # from a container to the host itself
    type filter hook input priority filter; policy accept;
    iifname != "CABLE*" accept
    iifname != "BRIDGE" drop
    ct state established accept
    ct state related meta l4proto { icmp, icmpv6 } accept
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
    ip daddr GATEWAY icmp type echo-request accept
    ip daddr . meta l4proto . th dport @published4 accept
    ip6 daddr . meta l4proto . th dport @published6 accept
    reject with icmpx admin-prohibited
  }
  chain forward {  # from a container to the world, and back
    type filter hook forward priority filter; policy accept;
    iifname "BRIDGE" oifname "BRIDGE" accept
    iifname "BRIDGE" ip saddr @internal4 reject with icmpx admin-prohibited
    iifname "BRIDGE" ip6 saddr @internal6 reject with icmpx admin-prohibited
    iifname "BRIDGE" ip daddr { CLOUDS4 } reject with icmpx admin-prohibited
    iifname "BRIDGE" ip6 daddr { CLOUDS6 } reject with icmpx admin-prohibited
    iifname "BRIDGE" ip daddr 168.63.129.16 tcp dport { 80, 32526 } reject with icmpx admin-prohibited
    oifname "BRIDGE" ct state established accept
    oifname "BRIDGE" ct state related meta l4proto { icmp, icmpv6 } accept
    oifname "BRIDGE" drop
  }
  chain postrouting {  # out there nobody knows our addresses
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr RANGE oifname != "BRIDGE" masquerade
    ip6 saddr PREFIX oifname != "BRIDGE" masquerade
  }
}
"""
# We made a router of this machine: for our own packets only.
ROUTER = """
add rule inet crabcan forward meta nfproto FAMILY iifname != "BRIDGE" oifname != "BRIDGE" drop
"""
# What comes out of a container's cable says truly from whom it is, or goes nowhere.
CABLES = """
table bridge crabcan {
  set macs { type ifname . ether_addr; }
  set addresses4 { type ifname . ipv4_addr; }
  set addresses6 { type ifname . ipv6_addr; }
  chain prerouting {
    type filter hook prerouting priority dstnat; policy accept;
    iifname != "CABLE*" accept
    iifname . ether saddr != @macs drop
    ether type arp iifname . arp saddr ether != @macs drop
    ether type arp iifname . arp saddr ip @addresses4 accept
    udp dport 68 drop
    ether type ip iifname . ip saddr @addresses4 accept
    ether type ip6 iifname . ip6 saddr @addresses6 goto six
    ip6 saddr :: icmpv6 type nd-neighbor-solicit iifname . @th,64,128 @answers6 accept
    ip6 saddr :: icmpv6 type mld2-listener-report accept
    drop
  }
}
"""
# Made anew where a killed one has left them: to delete what is not there would be an error.
AWAY = """
add table inet crabcan
delete table inet crabcan
add table bridge crabcan
delete table bridge crabcan
"""


def tables(words, routed):
    """All of it; `words` are put in for the names in capitals. `routed`: what was not before us."""
    text = AWAY + NAMED + ROUTING + "".join(ROUTER.replace("FAMILY", family) for family in routed) + CABLES
    for name, word in words.items():
        text = text.replace(name, word)
    return text


def elements(verb, lease):
    """What makes a container known (`add`), or unknown (`delete`): "" where nothing is to be done.

    What its number alone says of a cable is true of whoever has that number next, and stays: to forget it
    takes the kernel 12 ms, and nft 3 to say it again."""
    usual = said_of({**lease, **lease["usual"], "published": (), "internal": False})
    said = [one for one in said_of(lease) if one not in usual]
    if verb == "add" and (said or not known(lease["port"], lease["usual"]["mac"])):
        said = usual + said
    return "".join(f"{verb} element {one}\n" for one in said)


def known(port, mac):
    """Tells whether the rules know a cable, of whoever had its number before."""
    netlink, key = Netlink(protocol=NETLINK_NETFILTER), port.encode().ljust(IFNAMSIZ, b"\0") + mac_bytes(mac) + bytes(2)
    try:
        return bool(netlink.ask(f"nft get element bridge crabcan macs {{ {port} . {mac} }}", "NFT_MSG_GETSETELEM",
                                struct.pack("=BBH", NFPROTO_BRIDGE, 0, 0) + attributes({
                                    NFTA_TABLE: "crabcan", NFTA_SET: "macs", NFTA_ELEMENTS: {
                                        NFTA_LIST_ELEM: {NFTA_SET_ELEM_KEY: {NFTA_DATA_VALUE: key}}}})))
    except OSError:  # not it, nor all of the table perhaps: nft will say
        return False
    finally:
        netlink.close()


def said_of(lease):
    """A container's elements, each with its set."""
    port, ours = lease["port"], [f"bridge crabcan macs {{ {lease['port']} . {lease['mac']} }}",
                                 f"bridge crabcan addresses4 {{ {lease['port']} . {lease['ip']} }}"]
    for address in lease["ip6"]:
        ours.append(f"bridge crabcan addresses6 {{ {port} . {address} }}")
        ours.append(f"bridge crabcan answers6 {{ {port} . {number(address):#034x} }}")
    for family, protocol, address, host in lease["published"]:
        ours.append(f"inet crabcan published{family} {{ {address} . {protocol} . {host} }}")
    if lease["internal"]:
        ours.append(f"inet crabcan internal4 {{ {lease['ip']} }}")
        ours += [f"inet crabcan internal6 {{ {address} }}" for address in lease["ip6"][:1]]
    return ours


def number(address):
    return int.from_bytes(_socket.inet_pton(_socket.AF_INET6, address), "big")
