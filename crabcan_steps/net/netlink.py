"""netlink(7), for chapter 11: how the kernel is asked about its network, in bytes.

    message:   length 4 | kind 2 | flags 2 | sequence 4 | port 4 | payload ...
    attribute: length 2 | type 2 | value ..., filled up with zeros to a multiple of 4

A value may be attributes again. The answer to a request is an acknowledgement with an errno, 0 if it
was done; since Linux 4.12 with a sentence, too (extended acknowledgement). `ip` speaks the same.
"""
import _socket  # what `socket` is made of; that takes 2 ms
import errno
import os
import struct

from .. import linux

NLMSG_ERROR, NLMSG_DONE = 2, 3  # <linux/netlink.h>
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP, NLM_F_EXCL, NLM_F_CREATE = 0x1, 0x4, 0x300, 0x200, 0x400
NLM_F_ACK_TLVS, NLMSGERR_ATTR_MSG = 0x200, 1
NETLINK_ROUTE, NETLINK_NETFILTER, NFNL_SUBSYS_NFTABLES = 0, 12, 10  # <linux/netfilter/nfnetlink.h>
NESTED = 0x8000  # the value of this attribute is attributes
SOL_NETLINK, NETLINK_CAP_ACK, NETLINK_EXT_ACK = 270, 10, 11
HEADER, ATTRIBUTE = struct.Struct("=IHHII"), struct.Struct("=HH")


def pad(data):
    """Zeros up to the next multiple of four: where the kernel looks for what comes next."""
    return data + bytes(-len(data) % 4)


def attribute(kind, value):
    """An attribute: of bytes, a number (32 bits), a name, or a dict of attributes."""
    if isinstance(value, dict):
        kind, value = kind | NESTED, attributes(value)
    elif isinstance(value, int):
        value = struct.pack("=I", value)
    elif isinstance(value, str):
        value = value.encode() + b"\0"
    return pad(ATTRIBUTE.pack(ATTRIBUTE.size + len(value), kind) + value)


def attributes(wanted):
    """Several of them, as {type: value}; None is left out."""
    return b"".join(attribute(kind, value) for kind, value in wanted.items() if value is not None)


def parsed(data):
    """The attributes in an answer, as {type: bytes}. A length of less than its own head ends it."""
    found = {}
    while len(data) >= ATTRIBUTE.size:
        length, kind = ATTRIBUTE.unpack_from(data)
        if length < ATTRIBUTE.size:
            break
        found[kind & ~NESTED] = data[ATTRIBUTE.size:length]
        data = data[length + -length % 4:]
    return found


def messages(data):
    """The (kind, flags, payload) in what one read has brought."""
    while len(data) >= HEADER.size:
        length, kind, flags, _, _ = HEADER.unpack_from(data)
        yield kind, flags, data[HEADER.size:length]
        data = data[length + -length % 4:]


class Netlink:
    """A socket to the kernel's network: to ours, or that of a namespace behind a descriptor.

    A socket stays in the namespace in which it was made. So we go there, make it, and come back."""

    def __init__(self, namespace=None, protocol=NETLINK_ROUTE):
        if namespace is None:
            self.socket = opened(protocol)
        else:
            own = linux.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            try:
                linux.setns(namespace, linux.CLONE_NEWNET)
                self.socket = opened(protocol)
            finally:
                linux.setns(own, linux.CLONE_NEWNET)
                linux.close(own)
        self.sequence = 0

    def ask(self, said, kind, payload, flags=NLM_F_ACK):
        """Sends a request, waits for the answer; returns the payloads that came with it.

        `said`: the command of ip(8) that says the same. Raises OSError, with the kernel's words."""
        self.sequence += 1
        number, flags = KINDS[kind], flags | NLM_F_REQUEST
        head = HEADER.pack(HEADER.size + len(payload), number, flags, self.sequence, 0)
        return netlink(kind, said, self.socket.fileno(), (head + payload).hex(" ", 4))

    def close(self):
        linux.close(self.socket.detach())


KINDS = {"RTM_NEWLINK": 16, "RTM_DELLINK": 17, "RTM_GETLINK": 18, "RTM_SETLINK": 19,  # <linux/rtnetlink.h>
         "RTM_NEWADDR": 20, "RTM_GETADDR": 22, "RTM_NEWROUTE": 24, "RTM_GETROUTE": 26,
         "NFT_MSG_GETSETELEM": NFNL_SUBSYS_NFTABLES << 8 | 13}  # <linux/netfilter/nf_tables.h>


def opened(protocol):
    """A socket for rtnetlink(7), or for the packet filter, that tells in words what was wrong."""
    fd = linux.socket(_socket.AF_NETLINK, _socket.SOCK_RAW, protocol)
    made = _socket.socket(_socket.AF_NETLINK, _socket.SOCK_RAW, protocol, fd)
    for option in NETLINK_CAP_ACK, NETLINK_EXT_ACK:  # the error, not all of our request again; and words
        made.setsockopt(SOL_NETLINK, option, 1)
    return made


@linux.system_call
def netlink(kind, said, socket, request):
    """Sends a request (in hexadecimal, as the trace shows it) and reads all of its answer."""
    os.write(socket, bytes.fromhex(request))
    found = []
    while True:
        for answer, flags, payload in messages(os.read(socket, 1 << 16)):
            if answer == NLMSG_ERROR:
                refused(payload, flags, said)
                return found
            if answer == NLMSG_DONE:
                return found
            found.append(payload)


def refused(payload, flags, said):
    """Raises the error of an acknowledgement; its errno is 0 where all is well."""
    number = -struct.unpack_from("=i", payload)[0]
    if number:
        words = parsed(payload[20:]) if flags & NLM_F_ACK_TLVS else {}  # behind the head of our request
        text = words.get(NLMSGERR_ATTR_MSG, b"").rstrip(b"\0").decode(errors="replace")
        raise OSError(number, text or os.strerror(number), f"{said} ({text})" if text else said)


def missing(error):
    """Tells whether an error says that there is no such thing."""
    return error.errno in (errno.ENODEV, errno.ENOENT)
