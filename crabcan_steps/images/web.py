"""How we speak HTTP: with TLS that is checked, and without taking our rights to other hosts."""
import http.client
import json
import socket
import ssl
import urllib.error
import urllib.parse
import urllib.request

from .. import __version__
from ..layer import printable
from .errors import ImageError
from .store import PIECE
from .wire import Plainly, Reached, Securely, near

BUSY = (408, 425, 429, 500, 502, 503, 504)
BROKEN = (ConnectionError, TimeoutError, http.client.HTTPException)
CODES = {401: "not allowed: `docker login` there, or put the account into ~/.docker/config.json",
         403: "not allowed for this account", 404: "no such image there, or none that we may see",
         429: "too many requests: later, or with an account"}


class Redirects(urllib.request.HTTPRedirectHandler):
    """Follows, but never from TLS to none. Our rights go along only where it is the same server that asks for them."""
    max_redirections = 5

    def __init__(self, insecure):
        self.insecure = insecure

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        led(req.host, req.full_url, newurl, self.insecure)
        asked = super().redirect_request(req, fp, code, msg, headers, newurl)
        if asked and origin(newurl) == origin(req.full_url) and (header := req.get_header("Authorization")):
            asked.add_unredirected_header("Authorization", header)
        return asked


def led(who, home, url, insecure):
    """Refuses where a registry leads us to: from TLS to none, and from elsewhere to this machine. Raises ImageError."""
    if home.startswith("https:") and not url.startswith("https:") and not insecure:
        raise ImageError(f"{who}: leads us to {url:.80}, without TLS: not followed (--insecure would)")
    if not url.startswith(("https://", "http://")) or inner(url) and not inner(home):
        raise ImageError(f"{who}: leads us to {url:.80}: not followed")


def origin(url):
    """The host and port of a URL."""
    parts = urllib.parse.urlsplit(url)
    return parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)


def inner(url):
    """Tells whether a name leads to this machine, or its link, as far as one can ask beforehand."""
    try:
        host = urllib.parse.urlsplit(url).hostname or ""
        return any(near(entry[4][0]) for entry in socket.getaddrinfo(host, None))
    except (OSError, UnicodeError, ValueError):
        return False  # then nobody gets there either


def opener(insecure):
    """What makes requests. insecure: certificates are not looked at."""
    if insecure:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # which reads no certificates: that takes 20 ms
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    else:
        context = ssl.create_default_context()
    reached = Reached()
    made = urllib.request.build_opener(Plainly(reached), Securely(reached, context), Redirects(insecure))
    made.addheaders = [("User-Agent", f"crabcan/{__version__}")]
    return made


def reason(error):
    """What went wrong, in a line, with a cure where one is known."""
    if isinstance(error, urllib.error.HTTPError):
        text = CODES.get(error.code, f"status {error.code}")
        try:
            said = json.loads(error.read(10_000))["errors"][0]
            return f"{text} ({said.get('code')}: {said.get('message')})"[:300]
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError, OSError, http.client.HTTPException):
            return text
    inner = getattr(error, "reason", error)
    if isinstance(inner, ssl.SSLCertVerificationError):
        return f"its certificate is not one that we trust ({inner.verify_message}): --insecure, if you do"
    if isinstance(inner, ssl.SSLError):
        return f"speaks no TLS ({inner.reason}): --insecure, if it is meant to"
    if isinstance(inner, ConnectionRefusedError):
        return "nobody answers there: is the name, and the port, right?"
    if type(inner) is http.client.BadStatusLine:
        return f"speaks no HTTP: it says {str(inner)!r:.60}"
    return printable(f"{inner}"[:200]) or type(inner).__name__


def pieces(response):
    """What an answer brings, as it comes."""
    with response:
        while piece := response.read(PIECE):
            yield piece


def small(response, most):
    """All of an answer, as far as it is not larger than it may be. Raises ConnectionError."""
    with response:
        data = response.read(most + 1)
        if response.length and len(data) <= most:
            raise ConnectionError(f"ended after {len(data)} of {len(data) + response.length} bytes")
        return data


def wait(error, pause):
    """Seconds to wait, as the other side says, but not for ever."""
    said = (error.headers.get("Retry-After") or "")[:9]
    return min(30, int(said)) if said.isdecimal() else pause


def passing(error):
    """Tells whether it may be better in a moment."""
    inner = getattr(error, "reason", error)
    return isinstance(inner, BROKEN) and not isinstance(inner, ConnectionRefusedError)
