"""A registry, over HTTP: the distribution specification's pull and push.

    GET /v2/NAME/manifests/TAG or DIGEST      an index or a manifest
    GET /v2/NAME/blobs/DIGEST                 a configuration or a layer; in parts, with Range
    POST, PUT /v2/NAME/blobs/uploads/         a blob of ours
"""
import http.client
import os
import time
import urllib.error
import urllib.parse
import urllib.request

from .auth import Access
from ..ch12_images import LARGEST
from .errors import ImageError, Interrupted
from .image import INDEXES, MANIFESTS
from .store import PIECE
from .transfer import take
from .web import opener, reason

ACCEPT = ", ".join((*INDEXES, *MANIFESTS))
PAUSES = (0.3, 1, 3, 8)  # seconds before a request is tried again
TIMEOUT = 30             # seconds without a byte
BUSY = (408, 425, 429, 500, 502, 503, 504)
BROKEN = (ConnectionError, TimeoutError, http.client.HTTPException)


class Registry:
    """One repository at one registry."""

    def __init__(self, reference, insecure=False, rights="pull"):
        host = reference.host or os.environ.get("CRABCAN_REGISTRY")
        if not host:
            raise ImageError(f"{reference.text}: of which registry? HOST/{reference.text}, or CRABCAN_REGISTRY=HOST")
        self.host, self.name, self.insecure = host, reference.name, insecure
        self.text = reference.text
        self.opener, self.scheme = opener(insecure), "https"
        self.access = Access(host, self.opener, f"repository:{self.name}:{rights}", insecure)

    def request(self, method, path, headers=None, body=None, good=(200,), pauses=None):
        """One request, with the rights for it, tried again when the other side is busy. A response."""
        for pause in (*(PAUSES if pauses is None else pauses), None):
            url = urllib.parse.urljoin(f"{self.scheme}://{self.host}/v2/", path)
            if not url.startswith(("https://", "http://") if self.insecure else "https://"):
                raise ImageError(f"{self.host}: sends us to {url:.80}, without TLS: not followed (--insecure would)")
            try:
                response = self.once(method, url, headers or {}, body or (lambda: None))
                if response.status in good:
                    return response
                response.close()
                raise ImageError(f"{self.text}: {method} {path:.100}: status {response.status}")
            except urllib.error.HTTPError as error:
                if error.code in BUSY and pause is not None:
                    time.sleep(wait(error, pause))
                    continue
                if error.code in good:
                    return error
                raise (Interrupted if error.code in BUSY else ImageError)(f"{self.text}: {reason(error)}") from None
            except (urllib.error.URLError, *BROKEN) as error:
                if self.insecure and self.scheme == "https":
                    self.scheme = self.access.scheme = "http"
                    continue
                if pause is None or not passing(error):
                    raise (Interrupted if passing(error) else ImageError)(f"{self.host}: {reason(error)}") from None
                time.sleep(pause)
        raise ImageError(f"{self.host}: no answer")

    def once(self, method, url, headers, body):
        """The request; the first that is refused brings the rights, if we can have them."""
        for again in True, False:
            asked = urllib.request.Request(url, body(), {**headers, "Accept-Encoding": "identity"}, method=method)
            mine = self.ours(url)
            if mine and (header := self.access.header()):
                asked.add_unredirected_header("Authorization", header)
            try:
                return self.opener.open(asked, timeout=TIMEOUT)
            except urllib.error.HTTPError as error:
                if error.code != 401 or not again or not mine or not self.ours(error.geturl()):
                    raise  # also if it is not the registry that asks, but whom it has sent us to
                self.access.gain(error.headers.get_all("WWW-Authenticate") or [])
        return None

    def ours(self, url):
        """Tells whether an address is this registry's: only it sees our account."""
        return urllib.parse.urlsplit(url).netloc == self.host

    # Pull.

    def first(self, reference):
        """(bytes, media type) of what a name or a digest means here."""
        return self.manifest(reference.digest or reference.tag or "latest")

    def document(self, one):
        return self.manifest(one["digest"])

    def manifest(self, which):
        with self.request("GET", f"{self.name}/manifests/{which}", {"Accept": ACCEPT}) as response:
            data = response.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise ImageError(f"{self.text}: its manifest is larger than {LARGEST >> 20} MiB")
        return data, response.headers.get_content_type()

    def into(self, store, one, told):
        """Brings a blob into the store; goes on where a connection broke off."""
        tries, furthest = list(PAUSES), 0
        came = [0]

        def count(bytes_):
            came[0] += bytes_
            told(bytes_)
        while True:
            try:
                return take(store, one["digest"], one["size"], lambda at: self.blob(one["digest"], at), count)
            except BROKEN as error:
                if came[0] > furthest + PIECE:  # it goes on, if slowly
                    tries, furthest = list(PAUSES), came[0]
                if not tries:
                    raise ImageError(f"{self.host}: {one['digest'][:19]}: {reason(error)}") from None
                told(-came[0])
                came[0] = 0
                time.sleep(tries.pop(0))

    def blob(self, digest, at):
        """(from which byte, pieces) of a blob."""
        headers = {"Range": f"bytes={at}-"} if at else {}
        response = self.request("GET", f"{self.name}/blobs/{digest}", headers, good=(200, 206, 416) if at else (200,))
        if response.status == 206:
            begin = (response.headers.get("Content-Range") or "").removeprefix("bytes ").partition("-")[0]
            if begin != str(at):
                response.close()
                return self.blob(digest, 0)
            return at, pieces(response)
        if response.status == 416:  # there is no more; whether it is right, its sum will say
            response.close()
            return at, iter(())
        return 0, pieces(response)

    def close(self):
        """Each connection ends with its request."""


def pieces(response):
    with response:
        while piece := response.read(PIECE):
            yield piece


def wait(error, pause):
    """Seconds to wait, as the other side says, but not for ever."""
    said = error.headers.get("Retry-After") or ""
    return min(30, int(said)) if said.isdigit() else pause


def passing(error):
    """Tells whether it may be better in a moment."""
    inner = getattr(error, "reason", error)
    return isinstance(inner, BROKEN) and not isinstance(inner, ConnectionRefusedError)
