"""A connection as urllib makes it, and two things more: how fast it brings what it brings, and whom it has reached."""
import http.client
import io
import time
import urllib.request

from .errors import ImageError

SLOWEST, WINDOW = 1000, 60  # bytes a second, over so many seconds of waiting
HEAD = 1 << 20              # bytes in front of an answer's content, "100 Continue" without an end among them


class TooSlow(TimeoutError):
    """What would come, and would never end."""


class Paced(io.RawIOBase):
    """What comes through a socket. A time-out sees only silence: here one byte every 29 seconds is seen, too."""

    def __init__(self, raw):
        self.raw, self.came, self.waited, self.head = raw, 0, 0, HEAD

    def readable(self):
        return True

    def readinto(self, buffer):
        begin = time.monotonic()
        count = self.raw.readinto(buffer)
        self.waited += time.monotonic() - begin  # only where we wait: our own disk may be slow
        self.came += count
        if self.head is not None:
            self.head -= count
            if self.head < 0:
                raise http.client.HTTPException("headers without an end")
        if count and self.waited > WINDOW:
            if self.came < SLOWEST * self.waited:
                raise TooSlow(f"brings less than {SLOWEST} bytes a second")
            self.came = self.waited = 0
        return count

    def close(self):
        self.raw.close()
        super().close()


class Response(http.client.HTTPResponse):
    """An answer, all of which comes at a pace: its headers, too."""

    def __init__(self, sock, *words, **options):
        super().__init__(sock, *words, **options)
        self.paced = Paced(self.fp.detach())
        self.fp = io.BufferedReader(self.paced)

    def begin(self):
        super().begin()
        self.paced.head = None


class Reached:
    """Whose addresses one registry leads us to. A name is asked anew by each connection: so we look at the connection."""
    own = None  # whether the registry itself, the first whom we ask, is on this machine

    def look(self, sock):
        """Raises ImageError for a connection to this machine, or its link, unless our registry is here as well."""
        address = sock.getpeername()[0]
        if self.own is None:
            self.own = near(address)
        if not self.own and near(address):
            sock.close()
            raise ImageError(f"a registry elsewhere leads us to {address}, which only this machine may ask: not followed")


def near(address):
    """Tells whether an address is this machine's own, or only its link's: where services listen that trust it."""
    import ipaddress  # only now: 5 ms
    number = ipaddress.ip_address(address.partition("%")[0])
    number = getattr(number, "ipv4_mapped", None) or number
    return number.is_loopback or number.is_link_local or number.is_unspecified


class Plain(http.client.HTTPConnection):
    """HTTP."""
    response_class = Response

    def __init__(self, *words, reached, **options):
        super().__init__(*words, **options)
        self.reached = reached

    def connect(self):
        super().connect()
        if self.reached:
            self.reached.look(self.sock)


class Secure(Plain, http.client.HTTPSConnection):
    """HTTPS: what is looked at has shown its certificate already, and nothing of ours has been sent."""


class Plainly(urllib.request.HTTPHandler):
    """urllib's, with our connections."""

    def __init__(self, reached):
        super().__init__()
        self.reached = reached

    def http_open(self, req):
        return self.do_open(Plain, req, reached=None if req.has_proxy() else self.reached)


class Securely(urllib.request.HTTPSHandler):
    """The same with TLS. What a proxy reaches for us, we do not see."""

    def __init__(self, reached, context):
        super().__init__(context=context)
        self.reached, self.checked = reached, context

    def https_open(self, req):
        proxied = getattr(req, "_tunnel_host", None)
        return self.do_open(Secure, req, reached=None if proxied else self.reached, context=self.checked)
