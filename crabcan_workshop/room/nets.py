"""What the kernel says of a network, asked in it (Place.ask): nobody's word but the kernel's."""
import json
import socket
import struct
import subprocess

from crabcan_steps.net import links
from crabcan_steps.net.netlink import NLM_F_DUMP, Netlink

NFT = "/usr/sbin/nft"


def network():
    """The links, addresses and routes of where the caller is, as JSON."""
    netlink = Netlink()
    found = {"links": [], "addresses": list(map(list, links.addresses(netlink))), "routes": []}
    for payload in netlink.ask("ip link", "RTM_GETLINK", links.link_head(), NLM_F_DUMP):
        words = links.parsed(payload[16:])
        number = {key: int.from_bytes(words.get(key, b""), "little") for key in (links.IFLA_MTU, links.IFLA_MASTER)}
        found["links"].append({
            "name": words[links.IFLA_IFNAME][:-1].decode(), "mac": words.get(links.IFLA_ADDRESS, b"").hex(":"),
            "index": struct.unpack_from("=i", payload, 4)[0], "up": bool(payload[8] & links.IFF_UP),
            "mtu": number[links.IFLA_MTU], "master": number[links.IFLA_MASTER]})
    for family in socket.AF_INET, socket.AF_INET6:
        for kind, where, prefix, words in links.routes(netlink, family):
            if kind == links.RTN_UNICAST and links.RTA_GATEWAY in words:
                found["routes"].append([where or "default", prefix, socket.inet_ntop(family, words[links.RTA_GATEWAY])])
    return json.dumps(found).encode()


def rules():
    """All rules of the packet filter, as nft prints them."""
    return subprocess.run([NFT, "list", "ruleset"], capture_output=True).stdout


def connects(address, port, word="", family=socket.AF_INET):
    """What somebody says who listens there; b"" if nobody does."""
    with socket.socket(family) as one:
        one.settimeout(1)
        one.connect((address, port))
        one.sendall(word.encode() + b"\n")
        return one.recv(100)


def load(text):
    """Gives the packet filter some rules."""
    return subprocess.run([NFT, "-f", "-"], input=text.encode(), capture_output=True).stderr
