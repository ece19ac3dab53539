"""Addresses that the host gets while a user's container runs, for chapter 11: no way there, either.

pasta goes wherever the user may, and the container's routes to nowhere are of its start. rtnetlink(7) tells
whoever listens of new addresses: a VPN's, or of the bridge that Docker has just made. And the user, who has
made the container's user namespace, may come into it from outside, with all power over its network.
"""
import errno
import os

from .. import linux
from . import links
from .netlink import KINDS, Netlink, messages

GROUPS = 0x10 | 0x100  # RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR: <linux/rtnetlink.h>


def of_the_host(netlink):
    """Where its services are: all its addresses but those that are a container's own as well."""
    for address, _ in links.addresses(netlink):
        if elsewhere(address):
            yield whole(address)


def elsewhere(address):
    return not address.startswith(("127.", "fe80:")) and address != "::1"


def whole(address):
    """An address as a network of one."""
    return f"{address}/{128 if ':' in address else 32}"


def shut(netlink, where):
    """No way there; where there is none already, or no IPv6, that is as good."""
    try:
        links.add_unreachable(netlink, where)
    except OSError as error:
        if ":" not in where and error.errno != errno.EEXIST:
            raise


class Watch:
    """Stands in the container's network, and listens in the host's."""

    def __init__(self, user, network, known):
        self.host, host = Netlink(), Netlink()
        self.host.socket.bind((0, GROUPS))
        linux.setns(user, linux.CLONE_NEWUSER)
        linux.setns(network, linux.CLONE_NEWNET)
        self.inside = Netlink()
        for where in set(of_the_host(host)) - set(known):  # those of the moment before
            shut(self.inside, where)
        host.close()

    def fileno(self):
        return self.host.socket.fileno()

    def ready(self):
        """One or more have come or gone."""
        for kind, _, payload in messages(os.read(self.fileno(), 1 << 16)):
            address = links.address_in(payload) if kind == KINDS["RTM_NEWADDR"] else None
            if address and elsewhere(address):
                shut(self.inside, whole(address))
