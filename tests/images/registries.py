"""Registries for the tests, on loopback: Debian's docker-registry, and one of ours that misbehaves."""
import contextlib
import http.server
import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
import urllib.parse

import pytest

CONFIG = """version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {path}}}}}
http: {{addr: "127.0.0.1:{port}"}}
{auth}"""
HTPASSWD = "ann:$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW\n"  # secret


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def need(*programs):
    """Skips where a helper is missing; CI installs them all."""
    for program in programs:
        if not shutil.which(program):
            pytest.skip(f"no {program}: apt-get install {program}")


@contextlib.contextmanager
def registry(path, password=False):
    """A docker-registry; yields HOST:PORT."""
    need("docker-registry")
    port = free_port()
    (path / "users").write_text(HTPASSWD)
    auth = f"auth: {{htpasswd: {{realm: here, path: {path}/users}}}}" if password else ""
    (path / "config.yml").write_text(CONFIG.format(path=path / "data", port=port, auth=auth))
    process = subprocess.Popen(["docker-registry", "serve", path / "config.yml"], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 20
        while socket.socket().connect_ex(("127.0.0.1", port)) and time.monotonic() < end:
            time.sleep(0.05)
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves a layout by the distribution specification, as badly as the server is told to."""
    protocol_version = "HTTP/1.1"

    def log_message(self, *words):
        pass

    def answer(self, status, data=b"", **headers):
        self.send_response(status)
        for key, value in {"Content-Length": len(data), **headers}.items():
            self.send_header(key.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(data)

    def do_PUT(self):
        self.server.seen.append((self.path, dict(self.headers)))
        self.answer(201)

    def do_HEAD(self):
        self.answer(404)

    def do_POST(self):
        self.server.came = b""
        self.answer(202, Location="/v2/uploads/1")

    def do_PATCH(self):
        """Takes an upload, or breaks off in its middle."""
        server, length = self.server, int(self.headers["Content-Length"])
        server.seen.append((self.path, dict(self.headers)))
        assert len(server.came) == int((self.headers.get("Content-Range") or "0").partition("-")[0])
        cut = server.cuts and length > 100_000
        server.came += self.rfile.read(length // 3 if cut else length)
        if cut:
            server.cuts -= 1
            self.connection.shutdown(socket.SHUT_RDWR)
        else:
            self.answer(202, Location="/v2/uploads/1")

    def do_GET(self):
        server = self.server
        server.seen.append((self.path, dict(self.headers)))
        url = urllib.parse.urlsplit(self.path)
        if url.path == "/v2/uploads/1":
            return self.answer(204, Range=f"0-{max(0, len(server.came) - 1)}") if server.ranges else self.answer(404)
        if url.path == "/token":
            return self.answer(200, json.dumps({"token": "t0ken"}).encode())
        if server.wants and "elsewhere" in self.path:
            return self.answer(401, WWW_Authenticate=f'{server.wants} realm="http://{server.host}/token"')
        if server.token and self.headers.get("Authorization") != "Bearer t0ken":
            return self.answer(401, WWW_Authenticate=f'Bearer realm="{server.realm}",service="here"')
        if server.busy:
            server.busy -= 1
            return self.answer(503)
        kind, which = url.path.split("/")[-2:]
        layout = server.layout
        if kind == "manifests":
            found = which if ":" in which else layout.manifests[0]["digest"]
            data = (layout.path / "blobs/sha256" / found[7:]).read_bytes()
            return self.answer(200, data, Content_Type=json.loads(data).get("mediaType"))
        if server.drops:
            server.drops -= 1
            return self.connection.shutdown(socket.SHUT_RDWR)
        path = layout.path / "blobs/sha256" / which[7:]
        if server.elsewhere and "elsewhere" not in self.path:
            return self.answer(307, Location=f"http://{server.elsewhere}/elsewhere{url.path}")
        data, begin = path.read_bytes(), 0
        if server.damage and len(data) > 1000:
            server.damage -= 1
            data = data[:-20] + b"x" * 20
        wanted = self.headers.get("Range")
        if wanted and server.ranges:
            begin = int(wanted.removeprefix("bytes=").rstrip("-"))
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(data) - begin))
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        data = data[begin:]
        if server.cuts and len(data) > 100_000:
            server.cuts -= 1
            self.wfile.write(data[:len(data) // 3])
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            return None
        for at in range(0, len(data), 1 << 16):
            self.wfile.write(data[at:at + (1 << 16)])
            time.sleep(server.slow)
        return None


class Faulty(http.server.ThreadingHTTPServer):
    """What it does wrong: cut connections, drop them without an answer, ignore ranges, be busy, be slow, send other bytes, send
    elsewhere, want our account although we were sent from elsewhere. tls: (certificate, key)."""
    daemon_threads = True
    token, busy, cuts, slow, ranges, damage, elsewhere, wants, tls, realm, drops = False, 0, 0, 0, True, 0, None, None, None, None, 0

    def __init__(self, layout, **wrong):
        super().__init__(("127.0.0.1", 0), Handler)
        self.layout, self.seen = layout, []
        self.host = f"127.0.0.1:{self.server_address[1]}"
        for key, value in wrong.items():
            setattr(self, key, value)
        self.realm = self.realm or f"http{'s' if self.tls else ''}://{self.host}/token"
        if self.tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self.tls)
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def handle_error(self, request, address):
        """Who was cut off is no news."""

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error):
        self.shutdown()
        self.server_close()
