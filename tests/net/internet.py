"""What stands for the internet in the tests of the network: run in a network namespace of its own.

    internet.py      web servers that say who has called, and a server for names; "ready" when they listen
"""
import http.server
import socket
import threading

WEB, WEB6, NAMES, CLOUD = "203.0.113.5", "2001:db8:5::5", "203.0.113.53", "169.254.169.254"
CLOUDS = {"alibaba": "100.100.100.200", "azure": "168.63.129.16", "amazon6": "fd00:ec2::254", "google6": "fd20:ce::254",
          "oracle6": "fd00:c1::a9fe:a9fe"}


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        size = int(self.path[1:]) if self.path[1:].isdigit() else 0
        text = b"x" * size or self.client_address[0].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_POST(self):
        left = int(self.headers["Content-Length"])
        while left:
            left -= len(self.rfile.read(min(left, 1 << 16)))
        self.do_GET()

    def log_message(self, *_):
        pass


class Six(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6


def names():
    """Every name is the web server's: an answer to each question, of type A or AAAA."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((NAMES, 53))
    while True:
        data, client = server.recvfrom(512)
        end = data.index(b"\0", 12) + 5
        kind = data[end - 4:end - 2]
        raw = socket.inet_pton(socket.AF_INET, WEB) if kind == b"\0\1" else b""
        answer = b"\xc0\x0c\0\1\0\1\0\0\0\5\0\4" + raw if raw else b""
        server.sendto(data[:2] + b"\x81\x80\0\1" + bytes([0, bool(raw)]) + bytes(4) + data[12:end] + answer, client)


if __name__ == "__main__":
    for address in WEB, CLOUD, WEB6, *CLOUDS.values():
        kind = Six if ":" in address else http.server.ThreadingHTTPServer
        threading.Thread(target=kind((address, 80), Answer).serve_forever).start()
    threading.Thread(target=names).start()
    print("ready", flush=True)
