"""Published ports of UDP, for chapter 11: there are no connections, so who talks to whom is remembered."""
import _socket
import select
import time

SILENCE = 60  # seconds after which a talk is over
TALKS = 1000  # at most, for a port


class Datagrams:
    """UDP: whoever sends something has a socket of his own towards the container, for the answers."""

    def __init__(self, relay, socket, port):
        self.relay, self.socket, self.port, self.talks = relay, socket, port, {}

    def ready(self, events):
        data, client = self.socket.recvfrom(65536)
        talk = self.talks.get(client)
        if talk is None:
            if len(self.talks) >= TALKS:
                return
            talk = self.talks[client] = Talk(self, client)
            self.relay.watch(talk, select.EPOLLIN)
        talk.send(data)

    def drop(self):
        pass


class Talk:
    """What one sender and the container say to each other."""

    def __init__(self, listener, client):
        self.listener, self.client, self.last = listener, client, time.monotonic()
        self.socket = listener.relay.outwards(_socket.SOCK_DGRAM, listener.port)

    def send(self, data):
        self.last = time.monotonic()
        try:
            self.socket.send(data)
        except OSError:  # nobody listens there (ICMP has told)
            pass

    def ready(self, events):
        self.last = time.monotonic()
        self.listener.socket.sendto(self.socket.recv(65536), self.client)

    def idle(self):
        return time.monotonic() - self.last > SILENCE

    def drop(self):
        pass

    def end(self):
        self.listener.talks.pop(self.client, None)
