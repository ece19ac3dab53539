"""The published ports of chapter 11: the sockets that listen on the host."""
import _socket
import errno

from .. import linux
from ..layer import LayerError, exists

LOOPBACK = ("127.0.0.1", "::1")  # without an address: for this machine only
ANY = {"0.0.0.0": "0.0.0.0/0", "::": "::/0"}
UNPRIVILEGED = "/proc/sys/net/ipv4/ip_unprivileged_port_start"
CURES = {
    errno.EADDRINUSE: "is taken: `ss -ltunp sport = :{port}` tells by whom; or take another",
    errno.EADDRNOTAVAIL: "{address} is no address of this host (`ip address` lists them)",
    errno.EACCES: "below {least} is for root (sysctl net.ipv4.ip_unprivileged_port_start)",
    errno.EMFILE: "more open files than our caller's limit allows: `ulimit -n 8192`",
}


def bound(where, published):
    """A listening socket on an address for one -p; None where this host has no such loopback. Raises LayerError."""
    given, port, inside, protocol = published
    if where == "::1" and not given and not exists("/proc/sys/net/ipv6"):
        return None
    try:
        return listening(where, port, protocol)
    except OSError as error:
        if where == "::1" and not given and error.errno == errno.EADDRNOTAVAIL:
            return None  # IPv6 is switched off
        shown = f"[{given}]:" if ":" in (given or "") else f"{given}:" if given else ""
        option = f"-p {shown}{port}:{inside}" + "/udp" * (protocol == "udp")
        text = CURES.get(error.errno, error.strerror)
        raise LayerError("network", option, 0, text.format(port=port, address=where, least=least())) from error


def listening(address, port, protocol):
    """A socket on an address and port of the host's."""
    kind = _socket.SOCK_STREAM if protocol == "tcp" else _socket.SOCK_DGRAM
    family = _socket.AF_INET6 if ":" in address else _socket.AF_INET
    socket = _socket.socket(family, kind, 0, linux.socket(family, kind))
    try:
        if protocol == "tcp":
            socket.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)  # connections may still be ending
        if ":" in address:
            socket.setsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_V6ONLY, 1)
        socket.bind((address, port))
        if protocol == "tcp":
            socket.listen(128)
        socket.setblocking(False)
    except OSError:
        linux.close(socket.detach())
        raise
    return socket


def least():
    return linux.read(UNPRIVILEGED).strip() if exists(UNPRIVILEGED) else "1024"


def opened(publish):
    """What the rules are to let containers reach of the host: published on an address that is not its
    loopback. (family, protocol, addresses, port) each."""
    return [(6 if ":" in where else 4, protocol, ANY.get(where, where), port)
            for where, port, _, protocol in publish if where and where != "::1" and not where.startswith("127.")]
