"""The published ports of chapter 11: taken before anything else is made, and given to the relay."""
import _socket
import errno

from ..layer import Layer, LayerError, exists
from .beside import NOBODY, with_us

LOOPBACK = ("127.0.0.1", "::1")  # without an address: for this machine only
ANY = {"0.0.0.0": "0.0.0.0/0", "::": "::/0"}
UNPRIVILEGED = "/proc/sys/net/ipv4/ip_unprivileged_port_start"
CURES = {
    errno.EADDRINUSE: "is taken: `ss -ltunp sport = :{port}` tells by whom; or take another",
    errno.EADDRNOTAVAIL: "{address} is no address of this host (`ip address` lists them)",
    errno.EACCES: "below {least} is for root (sysctl net.ipv4.ip_unprivileged_port_start)",
    errno.EMFILE: "more open files than our caller's limit allows: `ulimit -n 8192`",
}


class Ports(Layer):
    """Listens on the host for the container, and passes on what comes."""
    chapter, name = 11, "network"

    def prepare(self, spec, undo):
        self.spec, self.listeners = spec, []
        if spec.publish:
            from .relay import Relay  # only now, as few ask for it: and not in the copy that runs it
            self.relay = Relay
        for where, port, inside, protocol in spec.publish:
            for socket in bound(where, port, inside, protocol):
                undo.callback(socket.close)
                self.listeners.append((socket, inside))

    def parent(self, pid, undo):
        if self.listeners:
            with_us(lambda: self.relay(self.listeners, self.spec.lease["ip"]).run(),
                    [socket.fileno() for socket, _ in self.listeners], undo, NOBODY)
        for socket, _ in self.listeners:
            socket.close()


def bound(where, port, inside, protocol):
    """A listening socket; without an address two, for both loopbacks. Raises LayerError."""
    sockets = []
    for address in (where,) if where else LOOPBACK:
        if address == "::1" and not where and not exists("/proc/sys/net/ipv6"):
            continue
        option = f"-p {where + ':' if where else ''}{port}:{inside}" + "/udp" * (protocol == "udp")
        try:
            sockets.append(listening(address, port, protocol))
        except OSError as error:
            if address == "::1" and not where and error.errno == errno.EADDRNOTAVAIL:
                continue  # IPv6 is switched off
            for socket in sockets:
                socket.close()
            text = CURES.get(error.errno, error.strerror)
            raise LayerError("network", option, 0, text.format(
                port=port, address=address, least=least())) from error
    return sockets


def listening(address, port, protocol):
    """A socket on an address and port of the host's."""
    kind = _socket.SOCK_STREAM if protocol == "tcp" else _socket.SOCK_DGRAM
    socket = _socket.socket(_socket.AF_INET6 if ":" in address else _socket.AF_INET, kind)
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
        socket.close()
        raise
    return socket


def least():
    from .. import linux
    return linux.read(UNPRIVILEGED).strip() if exists(UNPRIVILEGED) else "1024"


def opened(publish):
    """What the rules are to let containers reach of the host: published on an address that is not its
    loopback. (family, protocol, addresses, port) each."""
    return [(6 if ":" in where else 4, protocol, ANY.get(where, where), port)
            for where, port, _, protocol in publish if where and where != "::1" and not where.startswith("127.")]
