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
IDLE = 60          # seconds between two looks at who over UDP is silent


class Relay:
    """Listening sockets, and what goes on behind them."""

    def __init__(self, listeners, address):
        self.poll = select.epoll()
        self.ends = {}         # descriptor -> who is called when something happens there
        self.address = address
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        for socket, port in listeners:
            kind = Listener if socket.type & 0xF == _socket.SOCK_STREAM else Datagrams
            self.watch(kind(self, socket, port), select.EPOLLIN)

    def watch(self, end, events):
        self.ends[end.socket.fileno()] = end
        self.poll.register(end.socket.fileno(), events)

    def forget(self, end):
        if self.ends.pop(end.socket.fileno(), None):
            self.poll.unregister(end.socket.fileno())
            end.socket.close()

    def outwards(self, kind, port):
        """A socket towards the container. connect() need not be through when this returns."""
        socket = _socket.socket(_socket.AF_INET, kind)
        socket.setblocking(False)
        try:
            socket.connect((self.address, port))
        except BlockingIOError:
            pass
        return socket

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
            for end in [end for end in self.ends.values() if isinstance(end, Talk)]:
                if end.idle():
                    self.forget(end)
                    end.end()


class Listener:
    """TCP: each connection becomes two ends."""

    def __init__(self, relay, socket, port):
        self.relay, self.socket, self.port = relay, socket, port

    def ready(self, events):
        fd, _ = self.socket._accept()
        client = End(self.relay, _socket.socket(fileno=fd))
        client.socket.setblocking(False)
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
