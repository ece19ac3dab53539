"""Other people's packet filters, for chapter 11: read, never touched, and told where they are in the way.

Every filter on the host sees every packet, and one that drops it is enough: an `accept` of ours does not
count there. So whoever forbids what is forwarded (Docker, ufw and firewalld do) must allow it himself.
"""
import os

from .. import linux
from . import rules

LEGACY = "/usr/sbin/iptables-legacy"
BACK = "-o {bridge} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
CURES = (  # what is found in its table, whose it is, and what he wants to hear
    ("DOCKER-USER", "Docker", "iptables -I DOCKER-USER -i {bridge} -j ACCEPT && iptables -I DOCKER-USER " + BACK),
    ("ufw-", "ufw", "ufw route allow in on {bridge}"),
    ("firewalld", "firewalld", "firewall-cmd --zone=trusted --add-interface={bridge}"),
    ("", "a filter of yours", "iptables -I FORWARD -i {bridge} -j ACCEPT && iptables -I FORWARD " + BACK))


def look():
    """Asks for all rules of the host's, nftables' and the older kind."""
    asked = [rules.Nft("list ruleset\n")]
    if os.path.exists(LEGACY) and "filter" in names():
        asked.append(rules.Nft("-S FORWARD", LEGACY, ["-S", "FORWARD"]))
    return asked


def names():
    """Tables of the older kind (iptables-legacy) that are in use."""
    try:
        return linux.read("/proc/net/ip_tables_names").split()
    except OSError:
        return []


def obstacles(asked, bridge):
    """A line for each table in which what is forwarded ends."""
    for one in asked:
        text = one.wait()
        tables = [text] if text.startswith("-P") else text.split("\ntable ")
        for table in tables:
            if bridge not in table and drops(table):
                who, cure = next((who, cure) for sign, who, cure in CURES if sign in table)
                yield (f"{who} drops what this host forwards, so containers will reach each other only: "
                       f"allow it: {cure.format(bridge=bridge)}")


def drops(table):
    """Tells whether a table's chain on the hook `forward` drops what it does not know."""
    if table.startswith("-P FORWARD DROP"):
        return True
    for chain in table.split("\n\tchain ")[1:]:
        lines = [line.strip() for line in chain.split("\n\t}")[0].split("\n")]
        if any("hook forward" in line for line in lines[:2]):
            last = lines[-1].split()
            last = last[5:] if last[:1] == ["counter"] else last  # counter packets 3 bytes 180 drop
            if "policy drop" in lines[1] or last[:1] in (["drop"], ["reject"]):
                return True
    return False
