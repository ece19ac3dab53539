"""How we speak HTTP: with TLS that is checked, and without taking our rights to other hosts."""
import json
import socket
import ssl
import urllib.error
import urllib.parse
import urllib.request

from .. import __version__
from .errors import ImageError

CODES = {401: "not allowed: `docker login` there, or put the account into ~/.docker/config.json",
         403: "not allowed for this account", 404: "no such image there, or none that we may see",
         429: "too many requests: later, or with an account"}


class Redirects(urllib.request.HTTPRedirectHandler):
    """Follows, but never from TLS to none. (Authorization is added unredirected, so it stays here.)"""
    max_redirections = 5

    def __init__(self, insecure):
        self.insecure = insecure

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        if req.full_url.startswith("https:") and not newurl.startswith("https:") and not self.insecure:
            raise ImageError(f"{req.host}: sends us to {newurl:.80}, without TLS: not followed (--insecure would)")
        if not newurl.startswith(("https://", "http://")) or inner(newurl) and not inner(req.full_url):
            raise ImageError(f"{req.host}: sends us to {newurl:.80}: not followed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def inner(url):
    """Tells whether an address is this machine's own, or only its link's: where services listen that trust it."""
    import ipaddress  # only now: 5 ms, and most are sent nowhere
    host = urllib.parse.urlsplit(url).hostname or ""
    try:
        found = {entry[4][0].partition("%")[0] for entry in socket.getaddrinfo(host, None)}
    except (OSError, UnicodeError):
        return False  # then nobody gets there either
    numbers = [getattr(one, "ipv4_mapped", None) or one for one in map(ipaddress.ip_address, found)]
    return any(one.is_loopback or one.is_link_local or one.is_unspecified for one in numbers)


def opener(insecure):
    """What makes requests. insecure: certificates are not looked at."""
    context = ssl.create_default_context()
    if insecure:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    made = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context), Redirects(insecure))
    made.addheaders = [("User-Agent", f"crabcan/{__version__}")]
    return made


def reason(error):
    """What went wrong, in a line, with a cure where one is known."""
    if isinstance(error, urllib.error.HTTPError):
        text = CODES.get(error.code, f"status {error.code}")
        try:
            said = json.loads(error.read(10_000))["errors"][0]
            return f"{text} ({said.get('code')}: {said.get('message')})"[:300]
        except (ValueError, LookupError, TypeError, AttributeError, OSError):
            return text
    inner = getattr(error, "reason", error)
    if isinstance(inner, ssl.SSLCertVerificationError):
        return f"its certificate is not one that we trust ({inner.verify_message}): --insecure, if you do"
    if isinstance(inner, ssl.SSLError):
        return f"speaks no TLS ({inner.reason}): --insecure, if it is meant to"
    if isinstance(inner, ConnectionRefusedError):
        return "nobody answers there: is the name, and the port, right?"
    return f"{inner}"[:200] or type(inner).__name__
