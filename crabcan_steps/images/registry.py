"""A registry, over HTTP: the distribution specification's pull and push.

    GET /v2/NAME/manifests/TAG or DIGEST      an index or a manifest
    GET /v2/NAME/blobs/DIGEST                 a configuration or a layer; in parts, with Range
    POST, PUT /v2/NAME/blobs/uploads/         a blob of ours
"""
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
from .web import BROKEN, BUSY, led, opener, origin, passing, pieces, reason, small, wait

ACCEPT = ", ".join((*INDEXES, *MANIFESTS))
PAUSES = (0.3, 1, 3, 8)  # seconds before a request is tried again
TIMEOUT = 30             # seconds without a byte


class Registry:
    """One repository at one registry."""

    def __init__(self, reference, insecure=False, rights="pull"):
        host = reference.host or os.environ.get("CRABCAN_REGISTRY")
        if not host:
            raise ImageError(f"{reference.text}: of which registry? HOST/{reference.text}, or CRABCAN_REGISTRY=HOST")
        self.host, self.name, self.insecure = host, reference.name, insecure
        self.text = reference.text
        self.opener, self.scheme, self.settled = opener(insecure), "https", not insecure
        self.access = Access(host, self.opener, f"repository:{self.name}:{rights}", insecure)

    def request(self, method, path, headers=None, body=None, good=(200,), pauses=None, use=lambda response: response):
        """One request, with the rights for it, tried again when the other side is busy. What use() makes of the response."""
        for pause in (*(PAUSES if pauses is None else pauses), None):
            try:
                response = self.once(method, self.place(path), headers or {}, body or (lambda: None))
                self.settled = True
                if response.status in good:
                    return use(response)
                response.close()
                raise ImageError(f"{self.text}: {method} {path:.100}: status {response.status}")
            except urllib.error.HTTPError as error:
                self.settled = True
                if error.code in BUSY and pause is not None:
                    time.sleep(wait(error, pause))
                    continue
                if error.code in good:
                    return error
                raise (Interrupted if error.code in BUSY else ImageError)(f"{self.text}: {reason(error)}") from None
            except (urllib.error.URLError, *BROKEN) as error:
                if not self.settled and self.scheme == "https":
                    self.scheme = "http"
                    continue
                if pause is None or not passing(error):
                    raise (Interrupted if passing(error) else ImageError)(f"{self.host}: {reason(error)}") from None
                time.sleep(pause)
            except ValueError as error:  # of a URL
                raise ImageError(f"{self.host}: leads us nowhere: {error}") from None
        raise ImageError(f"{self.host}: no answer")

    def place(self, path):
        """The URL of what is asked for; a registry may lead us elsewhere. Raises ImageError, ValueError."""
        url = urllib.parse.urljoin(f"{self.scheme}://{self.host}/v2/", path)
        if not self.ours(url) or not self.insecure:
            led(self.host, f"https://{self.host}/", url, self.insecure)
        return url

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
        return origin(url) == origin(f"{url.partition(':')[0]}://{self.host}/")

    # Pull.

    def first(self, reference):
        """(bytes, media type) of what a name or a digest means here."""
        return self.manifest(reference.digest or reference.tag or "latest")

    def document(self, one):
        return self.manifest(one["digest"])

    def manifest(self, which):
        def use(response):
            return small(response, LARGEST), response.headers.get_content_type()
        data, kind = self.request("GET", f"{self.name}/manifests/{which}", {"Accept": ACCEPT}, use=use)
        if len(data) > LARGEST:
            raise ImageError(f"{self.text}: its manifest is larger than {LARGEST >> 20} MiB")
        return data, kind

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
                    raise ImageError(f"{self.host}: {one['digest'][:19]}: {reason(error)}: what came stays, and the "
                                     "next pull goes on behind it") from None
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

