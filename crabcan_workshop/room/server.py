"""The server of the room's internet (internet.py): answers whoever comes, and remembers them."""
import json
import select
import socket
import struct

MUCH = 300_000  # bytes of a long answer: many full packets


def serve(internet, sockets, said):
    """Answers whoever comes, one after the other, and remembers them."""
    web, names, packets = sockets
    heard, sources = [], set()
    while True:
        for one in select.select([web, names, packets, said], [], [])[0]:
            try:
                if one is web:
                    connection, peer = web.accept()
                    with connection:
                        connection.settimeout(2)
                        word = connection.recv(100).decode(errors="replace")
                        heard.append(("web", peer[0].removeprefix("::ffff:"), word))
                        answer = f"{internet.word}\nyou are {heard[-1][1]}\n".encode()
                        connection.sendall(answer + b"." * (MUCH * word.startswith("much")))
                elif one is names:
                    asked, peer = names.recvfrom(600)
                    heard.append(("name", peer[0], asked_for(asked)))
                    names.sendto(told(asked, internet.server), peer)
                elif one is packets:
                    sources.add(socket.inet_ntoa(packets.recv(60)[26:30]))
                elif not said.recv(1):
                    return
                else:
                    said.send(json.dumps(heard[-200:] + [("packet", source, "") for source in sources]).encode())
                    heard, sources = [], set()
            except (OSError, IndexError):
                pass  # who gave up has not been heard


def asked_for(query):
    """The name in a question to a name server (RFC 1035)."""
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode(errors="replace"))
        at += 1 + query[at]
    return ".".join(labels)


def told(query, address):
    """The answer: each name has one address, and none of IPv6."""
    end = query.index(b"\0", 12) + 5
    four = query[end - 4:end - 2] == b"\0\1"
    answer = b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4" + socket.inet_aton(address) if four else b""
    return query[:2] + b"\x85\x80\0\1" + struct.pack(">H", four) + bytes(4) + query[12:end] + answer
