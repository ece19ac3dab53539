"""Plays in a world (tools/weaving/world.py) and writes down what was seen, as JSON: for pictures of chapter 11.

  world.py recorder.py CRABCAN [WORD ...]     what runs crabcan
"""
import ctypes
import json
import os
import re
import socket
import struct
import subprocess
import sys
import time

WEB, GATEWAY, PORT = "203.0.113.80", "10.211.0.1", 40000
CONNECT = ("import socket, sys; sys.stdin.readline()\n"
           "def visit(where, source):\n"
           "    try:\n"
           "        s = socket.create_connection((where, 80), 3, ('', source)); s.send(b'GET / HTTP/1.0\\r\\n\\r\\n')\n"
           "        return s.recv(4096).decode() + s.recv(4096).decode()\n"
           "    except OSError as error:\n"
           "        return str(error)\n"
           f"print(visit('{WEB}', {PORT}).split()[-1]); print(visit('{GATEWAY}', 0)); print(visit('10.211.0.3', 0))")
WATCH = """
table bridge watch {
  chain prerouting {
    type filter hook prerouting priority -400;
    iifname "crabcan2" ether type ip meta nftrace set 1
  }
}
"""


def children():
    return [int(pid) for pid in subprocess.run(["pgrep", "-P", str(os.getpid())], text=True,
                                               capture_output=True).stdout.split()]


def listener(pid, link):
    """A socket that sees all packets of a link, in the network of a process."""
    libc = ctypes.CDLL(None, use_errno=True)
    ours, theirs = (os.open(f"/proc/{which}/ns/net", os.O_RDONLY) for which in ("self", pid))
    assert libc.setns(theirs, 0x40000000) == 0
    heard = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    heard.bind((link, 3))
    heard.setblocking(False)
    assert libc.setns(ours, 0x40000000) == 0
    return heard


def packets(heard):
    """(from MAC, to MAC, from, to, ttl) of each TCP packet to or from port 80."""
    while True:
        try:
            data = heard.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:  # the link has gone; what it had brought is still there
            continue
        if data[12:14] == b"\x08\x00" and data[23] == 6:
            ports = struct.unpack_from(">HH", data, 14 + 4 * (data[14] & 15))
            if 80 in ports:
                yield [data[6:12].hex(":"), data[:6].hex(":"), f"{socket.inet_ntoa(data[26:30])}:{ports[0]}",
                       f"{socket.inet_ntoa(data[30:34])}:{ports[1]}", data[22]]


def main(crabcan):
    internet, = children()
    box = subprocess.Popen([*crabcan, "run", "--net", "bridge", "--trace", "trace", "--", "python3", "-c", CONNECT],
                           stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    while not (found := subprocess.run(["pgrep", "-P", str(box.pid), "-x", "python3"], text=True,
                                       capture_output=True).stdout.split()):
        time.sleep(0.05)
        assert box.poll() is None
    neighbour = subprocess.Popen([*crabcan, "run", "--net", "bridge", "--ip", "10.211.0.3", "--", "sleep", "60"])
    while not os.path.exists("/sys/class/net/crabcan3"):
        time.sleep(0.05)
        assert neighbour.poll() is None
    places = {"container": (int(found[0]), "eth0"), "crabcan2": (os.getpid(), "crabcan2"),
              "crabcan0": (os.getpid(), "crabcan0"), "host": (os.getpid(), "eth0"), "internet": (internet, "eth0")}
    heard = {place: listener(*where) for place, where in places.items()}
    subprocess.run(["nft", "-f", "-"], input=WATCH, text=True, check=True)
    monitor = subprocess.Popen(["stdbuf", "-oL", "nft", "monitor", "trace"], text=True, stdout=subprocess.PIPE)
    time.sleep(0.5)
    said, _ = box.communicate("go\n", 30)
    neighbour.terminate()
    time.sleep(0.3)
    monitor.terminate()
    ways = {}
    for table, chain, to in re.findall(r"^trace id \w+ (\w+) crabcan (\w+) packet: .* ip daddr (\S+)",
                                       monitor.stdout.read(), re.M):
        ways.setdefault(to, {})[f"{table} {chain}"] = True
    with open("trace") as trace:
        asked = [event["args"] for event in map(json.loads, trace) if event["call"] == "netlink"]
    json.dump({"said": said.splitlines(), "packets": {place: list(packets(one)) for place, one in heard.items()},
               "ways": {to: list(way) for to, way in ways.items()}, "netlink": asked}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1:])
