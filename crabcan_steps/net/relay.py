"""Published ports, for chapter 11: a program of the host's listens, and passes on what it hears.

Not by a rule that gives packets another destination (DNAT), as Docker does: such packets never reach the
hook `input`, where a host's firewall is, and 127.0.0.1 would have to be routable (route_localnet), so that
neighbours reach what listens there only. A program that listens is to the firewall what any other is. The
price: the server sees all connections come from the bridge. It runs as nobody, and can do nothing else.
"""
import _socket
import resource
import select
import time

from .datagrams import Datagrams, Talk

MOST = 1 << 17     # bytes that are kept for somebody slow
ROOM = 8192        # sockets at once, two for a connection: 1 GiB, if all are slow
IDLE = 60          # seconds between two looks at who over UDP is silent
# Who is silent for two minutes is asked four times whether they are still there (tcp(7)); a container that
# does not answer at all keeps nobody waiting longer than half a minute.
PATIENCE = (_socket.SO_KEEPALIVE, 1, _socket.SOL_SOCKET), (_socket.TCP_KEEPIDLE, 120, _socket.IPPROTO_TCP), \
    (_socket.TCP_KEEPINTVL, 15, _socket.IPPROTO_TCP), (_socket.TCP_KEEPCNT, 4, _socket.IPPROTO_TCP), \
    (_socket.TCP_SYNCNT, 4, _socket.IPPROTO_TCP)


class Relay:
    """Listening sockets, and what goes on behind them."""

    def __init__(self, listeners, address):
        self.poll = select.epoll()
        self.ends = {}         # descriptor -> who is called when something happens there
        self.address = address
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.listeners = []
        for socket, port in listeners:
            kind = Listener if socket.type & 0xF == _socket.SOCK_STREAM else Datagrams
            self.listeners.append(kind(self, socket, port))
            self.watch(self.listeners[-1], select.EPOLLIN)
        self.room, self.full = max(2, min(ROOM, hard - len(listeners) - 16)), False

    def watch(self, end, events):
        self.ends[end.socket.fileno()] = end
        self.poll.register(end.socket.fileno(), events)

    def forget(self, end):
        if self.ends.pop(end.socket.fileno(), None):
            self.poll.unregister(end.socket.fileno())
            end.socket.close()

    def outwards(self, kind, port):
        """A socket towards the container. connect() need not be through when this returns."""
        socket = patient(_socket.socket(_socket.AF_INET, kind))
        try:
            socket.connect((self.address, port))
        except BlockingIOError:
            pass
        return socket

    def listen(self):
        """Only as long as there is room: whoever comes meanwhile waits in the kernel's queue."""
        full = len(self.ends) - len(self.listeners) > self.room - 2
        if full != self.full:
            self.full = full
            for end in self.listeners:
                self.poll.modify(end.socket.fileno(), 0 if full else select.EPOLLIN)

    def run(self):
        while True:
            for fd, events in self.poll.poll(IDLE):
                end = self.ends.get(fd)
                try:
                    if end:
                        end.ready(events)
                except BlockingIOError:  # nothing there: it was about another, who had this number before
                    pass
                except OSError:  # one of the two has gone: so has the other
                    end.drop()
            self.listen()
            for end in [end for end in self.ends.values() if isinstance(end, Talk)]:
                if end.idle():
                    self.forget(end)
                    end.end()


def patient(socket):
    """A socket that waits for nobody; of TCP, that asks now and then whether its other end is still there."""
    socket.setblocking(False)
    for option, value, level in PATIENCE if socket.type & 0xF == _socket.SOCK_STREAM else ():
        socket.setsockopt(level, option, value)
    return socket


class Listener:
    """TCP: each connection becomes two ends."""

    def __init__(self, relay, socket, port):
        self.relay, self.socket, self.port = relay, socket, port

    def ready(self, events):
        fd, _ = self.socket._accept()
        client = End(self.relay, patient(_socket.socket(fileno=fd)))
        try:
            server = End(self.relay, self.relay.outwards(_socket.SOCK_STREAM, self.port))
        except OSError:
            return client.socket.close()
        client.other, server.other = server, client
        self.relay.watch(client, select.EPOLLIN)
        self.relay.watch(server, select.EPOLLIN | select.EPOLLOUT)

    def drop(self):
        """Too many open files, or a client that has gone again: the next one may be luckier."""
        time.sleep(0.01)


class End:
    """One side of a connection, and what it has not taken yet."""

    def __init__(self, relay, socket):
        self.relay, self.socket, self.other = relay, socket, None
        self.kept, self.finished, self.told = b"", False, False

    def ready(self, events):
        if events & select.EPOLLERR and self.finished:
            return self.drop()
        if events & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR) and not self.finished:
            data = self.socket.recv(MOST)
            self.finished = not data
            self.other.kept += data
        for end in self, self.other:
            end.send()
        if self.finished and self.other.finished and not self.kept and not self.other.kept:
            return self.drop()
        for end in self, self.other:
            wanted = select.EPOLLIN * (not end.finished and len(end.other.kept) < MOST) \
                | select.EPOLLOUT * bool(end.kept)
            self.relay.poll.modify(end.socket.fileno(), wanted or select.EPOLLET)  # that it has gone: once

    def send(self):
        """Passes on what is kept; and that no more will come."""
        try:
            if self.kept:
                self.kept = self.kept[self.socket.send(self.kept):]
            if self.other.finished and not self.kept and not self.told:
                self.told = True
                self.socket.shutdown(_socket.SHUT_WR)
        except BlockingIOError:
            pass

    def drop(self):
        for end in self, self.other:
            self.relay.forget(end)
