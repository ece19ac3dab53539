"""Registries that would hold us for ever, and those that lead us where they have no business."""
import json
import shutil
import socketserver
import subprocess
import threading
import time
from pathlib import Path

import pytest

from making import Layout, images, member, tar  # noqa: F401
from registries import Faulty, need
from test_images_registry import big, partial  # noqa: F401
from crabcan_steps.images import registry as registry_, wire
from crabcan_steps.images.errors import ImageError
from crabcan_steps.images.reference import Reference
from crabcan_steps.images.registry import Registry
from crabcan_steps.images.store import Store
from crabcan_steps.images.web import origin

ENDLESS = 100_000  # what the slow one says that it will bring; it has patience for a part of it only
EMPTY = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % ENDLESS
ASKS = b'HTTP/1.1 401 No\r\nWWW-Authenticate: Bearer realm="http://%s/token"\r\nContent-Length: 0\r\n\r\n'


@pytest.fixture
def who(user):
    """What goes over the wire is the same for everybody."""
    return user


class Slow(socketserver.StreamRequestHandler):
    """Says something at once, and the rest a byte at a time: never silent, and never done."""

    def handle(self):
        line = self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        self.server.seen.append(line)
        begin, rest = self.server.says(line)
        try:
            self.wfile.write(begin)
            for n in range(min(ENDLESS, len(rest) if self.server.all else 1 << 30)):
                self.wfile.write(rest[n:n + 1] or b"x")
                if self.server.gone.wait(0 if self.server.all else 0.05):
                    break
        except OSError:
            pass


@pytest.fixture
def slow(monkeypatch):
    """Such a server, and limits that suit a test."""
    monkeypatch.setattr(wire, "WINDOW", 0.5)
    monkeypatch.setattr(registry_, "PAUSES", ())
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Slow)
    server.daemon_threads, server.block_on_close = True, False
    server.seen, server.gone, server.all = [], threading.Event(), False
    server.host = f"127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.gone.set()
    server.shutdown()
    server.server_close()


def at(host, path="x"):
    place = Registry(Reference(f"{host}/{path}"), insecure=True)
    place.scheme = "http"
    return place


STEPS = {
    "headers": lambda host, line: (b"HTTP/1.1 200 OK\r\nX: ", b""),
    "a manifest": lambda host, line: (EMPTY, b""),
    "why not": lambda host, line: (EMPTY.replace(b"200", b"404"), b""),
    "a token": lambda host, line: (EMPTY, b"") if b"token" in line else (ASKS % host.encode(), b""),
}


@pytest.mark.parametrize("name", STEPS)
def test_a_byte_now_and_then_is_not_waited_for(name, slow):
    slow.says = lambda line: STEPS[name](slow.host, line)
    begin = time.monotonic()
    with pytest.raises(ImageError) as error:
        at(slow.host).first(Reference("x"))
    assert time.monotonic() - begin < 30 and "\n" not in str(error.value)
    assert "less than 1000 bytes a second" in str(error.value) or name == "why not" and "no such image" in str(error.value)


def test_a_blob_that_only_drips_is_told_and_goes_on_where_it_was(slow, big, tmp_path):  # noqa: F811
    """What came before stays, and the other registry is asked for the rest."""
    manifest = json.loads((big.path / "blobs/sha256" / big.manifests[0]["digest"][7:]).read_text())
    one, store = manifest["layers"][0], Store(str(tmp_path / "store"))
    blob = (big.path / "blobs/sha256" / one["digest"][7:]).read_bytes()
    slow.says = lambda line: (b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(blob) + blob[:300_000], blob[300_000:])
    with pytest.raises(ImageError, match="less than 1000 bytes a second: what came stays") as error:
        at(slow.host).into(store, one, lambda count: None)
    assert "\n" not in str(error.value) and store.has(one["digest"]) is None
    with Faulty(big) as server:
        at(server.host, "big").into(store, one, lambda count: None)
        begun = [int(headers["Range"][6:-1]) for _, headers in server.seen if "Range" in headers]
    assert store.intact(one["digest"]) and begun and begun[0] >= 1 << 18
    store.close()


def test_a_slow_but_honest_one_is_waited_for(slow, monkeypatch):
    """More than the least, for many windows; and a disk of ours that is slow is not the other's fault."""
    monkeypatch.setattr(wire, "WINDOW", 0.1)
    monkeypatch.setattr(wire, "SLOWEST", 1)
    slow.says = lambda line: (b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n", b"")
    assert at(slow.host).first(Reference("x"))[0] == b"x" * 20


def test_interim_answers_without_an_end(slow):
    slow.says, slow.all = lambda line: (b"HTTP/1.1 100 Continue\r\n\r\n" * 100_000, b""), True
    with pytest.raises(ImageError, match="without an end"):
        at(slow.host).first(Reference("x"))


@pytest.mark.parametrize("answer", [
    b"HTTP/1.1 503 Busy\r\nRetry-After: \xb2\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 503 Busy\r\nRetry-After: " + b"9" * 5000 + b"\r\n\r\n",
    b"HTTP/1.1 307 There\r\nLocation: http://[::bad/x\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 307 There\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 400 No\r\nContent-Length: 9000\r\n\r\n" + b"[" * 9000, b"HTTP/1.1 400 No\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{}", b"HTTP/1.1 401 No\r\nWWW-Authenticate: Bearer\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 99 \r\n\r\n", b"SSH-2.0-OpenSSH\r\n", b""])
def test_what_a_server_says_that_speaks_no_http_or_badly(answer, slow, monkeypatch):
    monkeypatch.setattr(registry_.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(registry_, "PAUSES", (0,))
    slow.says, slow.all = lambda line: (answer, b""), True
    with pytest.raises(ImageError) as error:
        at(slow.host).first(Reference("x"))
    assert "\n" not in str(error.value) and str(error.value)


def test_a_token_s_answer_that_is_deep(slow):
    slow.all, deep = True, b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"[" * 100_000
    slow.says = lambda line: (deep, b"") if b"token" in line else (ASKS % slow.host.encode(), b"")
    with pytest.raises(ImageError) as error:
        at(slow.host).first(Reference("x"))
    assert "\n" not in str(error.value)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """(certificate, key) of 127.0.0.1, which nobody trusts who is not told to."""
    need("openssl")
    path = tmp_path_factory.mktemp("tls")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=here",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-addext", "keyUsage=digitalSignature,keyCertSign",
                    "-keyout", path / "key", "-out", path / "cert"], check=True, capture_output=True)
    return path / "cert", path / "key"


def trusting(images, certificate):
    """Our user trusts the certificate from now on."""
    shutil.copy(certificate[0], images.path / "cert")
    (images.path / "cert").chmod(0o644)
    images.environment["SSL_CERT_FILE"] = str(images.path / "cert")


def test_with_tls_a_certificate_has_to_be_trusted(images, big, certificate):  # noqa: F811
    with Faulty(big, tls=certificate, token=True) as server:
        refused = images("pull", f"{server.host}/big")
        assert refused.returncode == 1 and "not one that we trust" in refused.stderr and "--insecure" in refused.stderr
        assert refused.stderr.count("\n") == 1 and not server.seen
        trusting(images, certificate)
        images.good("pull", "--quiet", f"{server.host}/big")
        assert any(headers.get("Authorization") == "Bearer t0ken" for _, headers in server.seen)


def test_one_that_has_spoken_tls_is_never_asked_without(images, big, certificate):  # noqa: F811
    """With --insecure, and connections that break: it is the same server, and goes on with TLS."""
    with Faulty(big, tls=certificate, cuts=1, drops=2) as server:
        images.good("pull", "--quiet", "--insecure", f"{server.host}/big")
        assert server.cuts == server.drops == 0 and partial(images) == []


def test_from_tls_nobody_leads_us_to_none(images, big, certificate):  # noqa: F811
    """Neither to another place for a blob, nor with our account to one for a token."""
    trusting(images, certificate)
    config = images.path / "config"
    config.mkdir()
    images.environment["DOCKER_CONFIG"] = str(config)
    with Faulty(big, token=True) as other, Faulty(big, tls=certificate, elsewhere=other.host) as server, \
            Faulty(big, tls=certificate, token=True, realm=f"http://{other.host}/token") as asking:
        (config / "config.json").write_text(json.dumps({"auths": {asking.host: {"auth": "YW5uOnNlY3JldA=="}}}))
        for host in server.host, asking.host:
            refused = images("pull", f"{host}/big")
            assert refused.returncode == 1 and "without TLS" in refused.stderr and refused.stderr.splitlines()[-1:] == refused.stderr.splitlines()
        assert other.seen == []


def test_the_same_server_sees_our_rights_again_where_it_leads_us(images, big):  # noqa: F811
    with Faulty(big, token=True) as server:
        server.elsewhere = server.host
        images.good("pull", "--quiet", "--insecure", f"{server.host}/big")
    assert origin("https://A.example/x") == origin("https://a.example:443/y") != origin("https://a.example:5000/")


LED = """
import socket, sys, threading
sys.path[:0] = sys.argv[1:]
import http.server
from crabcan_steps.images import registry
from crabcan_steps.images.errors import ImageError
from crabcan_steps.images.reference import Reference
registry.PAUSES = ()
seen, says = {}, {}
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        seen.setdefault(self.server.server_address[0], []).append(self.path)
        status, headers = says.get(self.path, (200, {}))
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()
    def log_message(self, *words):
        pass
for address in "192.0.2.1", "127.0.0.1", "169.254.169.254":
    server = http.server.ThreadingHTTPServer((address, 5000), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
real, asked = socket.getaddrinfo, []
def resolve(host, port, *words, **options):
    '''A name whose owner answers each time another address.'''
    if host == "changing.example":
        asked.append(host)
        host = "192.0.2.1" if len(asked) == 1 else "127.0.0.1"
    return real(host, port, *words, **options)
socket.getaddrinfo = resolve
for name, path, answer in (
        ("metadata", "/v2/a/manifests/latest", (307, {"Location": "http://169.254.169.254:5000/latest/meta-data"})),
        ("loopback", "/v2/b/manifests/latest", (302, {"Location": "http://127.0.0.1:5000/admin"})),
        ("mapped", "/v2/c/manifests/latest", (302, {"Location": "http://[::ffff:127.0.0.1]:5000/admin"})),
        ("token", "/v2/d/manifests/latest", (401, {"WWW-Authenticate": 'Bearer realm="http://127.0.0.1:5000/token"'})),
        ("changing", "/v2/e/manifests/latest", (307, {"Location": "http://changing.example:5000/admin"}))):
    says[path] = answer
    place = registry.Registry(Reference(f"192.0.2.1:5000/{path[4]}"), insecure=True)
    place.scheme = "http"
    try:
        place.first(Reference("x"))
        print(name, "came")
    except ImageError as error:
        print(name, "not followed" in str(error) and ("leads us to http" in str(error)) == (name != "changing"), str(error).count(chr(10)))
place = registry.Registry(Reference("192.0.2.1:5000/f"), insecure=True)
place.scheme = "http"
try:
    place.place("http://127.0.0.1:5000/uploads/1")
    print("upload came")
except ImageError as error:
    print("upload", "not followed" in str(error), 0)
print(sorted(seen), len(asked))
"""


def test_a_registry_elsewhere_leads_us_to_nothing_of_this_machine_s(root):
    """In a network of its own, with an address that is nobody's: redirects, tokens, uploads, and a name that changes its meaning."""
    script = "ip link set lo up; ip address add 192.0.2.1/32 dev lo; ip address add 169.254.169.254/32 dev lo; exec \"$@\""
    result = subprocess.run(["unshare", "-n", "sh", "-c", script, "sh", "python3", "-c", LED, Path(__file__).parents[2]], env=root.environment,
                            capture_output=True, text=True, timeout=60)
    assert result.stdout.splitlines() == [f"{name} True 0" for name in ("metadata", "loopback", "mapped", "token", "changing", "upload")] + [
        "['192.0.2.1'] 2"], result


def test_bombs_of_both_kinds_are_stopped_while_they_grow(images, tmp_path):
    """A few kilobytes that would be 300 MB; and nothing of them stays."""
    layout = Layout(tmp_path / "bomb")
    zeros = tar(member("zeros", bytes(30 << 20)))
    for kind in ("gzip", *(["zstd"] if shutil.which("zstd") else [])):
        layout.manifests = []
        layout.image(zeros, compress=kind)
        with Faulty(layout) as server:
            refused = images("pull", "--quiet", "--insecure", "--max-size", "1M", f"{server.host}/bomb")
            assert refused.returncode == 1 and "a bomb?" in refused.stderr and refused.stderr.count("\n") == 1
    assert list((images.path / "store/layers").iterdir()) == []
