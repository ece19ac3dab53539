"""The packet filter of chapter 11, in nftables' own words (nft(8)): two tables of ours, nobody else's.

The rules stand as long as the bridge does; a container is a few elements in their sets. What `nft list
table inet crabcan` prints is what is written here.
"""
import os

from .. import linux
from ..layer import LayerError

PROGRAMS = ("/usr/sbin/nft", "/sbin/nft", "/usr/local/sbin/nft")
LAYER = "network"
FLUSHED = (": somebody has flushed our rules, as a firewall's reload may: end the containers that run, "
           "and the next one has them again")

# Who goes where. A hook is a place on a packet's way: prerouting, then input (it is for the host) or
# forward (it goes on), then postrouting.
ROUTING = """
table inet crabcan {
  set published4 { type ipv4_addr . inet_proto . inet_service; flags interval; }
  set published6 { type ipv6_addr . inet_proto . inet_service; flags interval; }
  set internal4 { type ipv4_addr; }
  set internal6 { type ipv6_addr; }
  chain input {  # from a container to the host itself
    type filter hook input priority filter; policy accept;
    iifname != "CABLE*" accept
    iifname != "BRIDGE" drop
    ct state established,related accept
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
    iifname "BRIDGE" ip daddr 169.254.0.0/16 reject with icmpx admin-prohibited
    iifname "BRIDGE" ip6 daddr fd00:ec2::254 reject with icmpx admin-prohibited
    oifname "BRIDGE" ct state established,related accept
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
  set answers6 { typeof iifname . @th,64,128; }
  chain prerouting {
    type filter hook prerouting priority dstnat; policy accept;
    iifname != "CABLE*" accept
    iifname . ether saddr != @macs drop
    ether type arp iifname . arp saddr ether != @macs drop
    ether type arp iifname . arp saddr ip @addresses4 accept
    udp dport { 68, 546 } drop
    ether type ip iifname . ip saddr @addresses4 accept
    icmpv6 type { nd-router-advert, nd-redirect } drop
    icmpv6 type nd-neighbor-advert iifname . @th,64,128 != @answers6 drop
    ether type ip6 iifname . ip6 saddr @addresses6 accept
    ip6 saddr :: icmpv6 type { nd-neighbor-solicit, mld2-listener-report } accept
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
    text = AWAY + ROUTING + "".join(ROUTER.replace("FAMILY", family) for family in routed) + CABLES
    for name, word in words.items():
        text = text.replace(name, word)
    return text


def elements(verb, lease):
    """What makes a container known (`add`), or unknown (`delete`)."""
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
    return "".join(f"{verb} element {one}\n" for one in ours)


def number(address):
    import _socket
    return int.from_bytes(_socket.inet_pton(_socket.AF_INET6, address), "big")


class Nft:
    """One run of nft, all or nothing: it begins at once, and is waited for when it must be done."""

    def __init__(self, script, program=None, words=("-f", "-")):
        program = program or next(filter(os.path.exists, PROGRAMS), None)
        if program is None:
            raise LayerError(LAYER, "nft", 0, "not found, and nobody would guard the bridge: "
                                              "`apt-get install nftables`")
        self.said, rules = os.memfd_create("nft"), os.memfd_create("rules")
        try:
            os.write(rules, script.encode())
            os.lseek(rules, 0, os.SEEK_SET)
            self.pid = nft(script, [program, *words], [
                (os.POSIX_SPAWN_DUP2, rules, 0), (os.POSIX_SPAWN_DUP2, self.said, 1),
                (os.POSIX_SPAWN_DUP2, self.said, 2)])
        finally:
            linux.close(rules)

    def wait(self, needed=True):
        """Waits for its end. Raises LayerError with its first line if it has refused, where that matters."""
        status = os.waitstatus_to_exitcode(linux.waitpid(self.pid, 0)[1])
        os.lseek(self.said, 0, os.SEEK_SET)
        said = os.read(self.said, 1 << 20).decode(errors="replace")
        linux.close(self.said)
        if status and needed:
            line = said.strip().split("\n")[0] or f"exit status {status}"
            raise LayerError(LAYER, "nft", 0, line + FLUSHED * ("No such file" in line))
        return said


@linux.system_call
def nft(script, words, actions):
    """Starts `nft -f -`, which reads the script and asks all of it of the kernel in one go."""
    return linux.posix_spawn(words[0], words, {}, file_actions=actions, setsigmask=())
