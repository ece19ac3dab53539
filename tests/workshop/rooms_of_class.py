"""A class of two in network namespaces of its own: run in fresh mount and network namespaces.

Prints {question: whether it could be done}; the first argument is replaced in the rules by the second.
"""
import json
import os
import subprocess
import sys
import time

from crabcan_workshop.classroom import choices, net, settings

CHOSEN = {"learners": [{"name": "ana", "title": "Ana", "number": 1}, {"name": "ben", "title": "Ben", "number": 2}]}
PROXY, STRANGER = 33, 65534
SERVE = "import socket, sys; s = socket.create_server((sys.argv[1], int(sys.argv[2]))); print(flush=True)\n" \
    "while 1: s.accept()"
ABSTRACT = "import socket; s = socket.socket(socket.AF_UNIX); s.bind('\\0secret'); s.listen(); print(flush=True)\n" \
    "while 1: s.accept()"
KNOCK = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 0.6)"
FIND = "import socket; socket.socket(socket.AF_UNIX).connect('\\0secret')"
running = []


def inside(where):
    return ["ip", "netns", "exec", f"class-{where}"] if where else []


def background(where, script, *words):
    process = subprocess.Popen([*inside(where), sys.executable, "-I", "-c", script, *words], stdout=subprocess.PIPE)
    process.stdout.readline()
    running.append(process)


def can(where, script, *words, uid=0):
    """Whether a script ends well in a namespace, as somebody."""
    return subprocess.run([*inside(where), "setpriv", "--reuid", str(uid), "--clear-groups", sys.executable, "-I", "-c",
                           script, *words], stderr=subprocess.DEVNULL).returncode == 0


def seen():
    """Links, addresses, routes, namespaces and rules."""
    return [subprocess.run(words.split(), capture_output=True, text=True).stdout for words in (
        "ip -br link", "ip -br addr show scope global", "ip route", "ip netns", "nft list ruleset")]


def main(old, new):
    net.RULES = net.RULES.replace(old, new)
    before, found = seen(), {}
    net.up(CHOSEN)
    first = os.stat("/run/netns/class-ana").st_ino
    for where, address, port in (("ana", "0.0.0.0", 8888), ("ana", "127.0.0.1", 9000),
                                 ("", settings.GATE, 8081), ("", "0.0.0.0", 22)):
        background(where, SERVE, address, str(port))
    background("ana", ABSTRACT)
    net.up(CHOSEN)
    found["a second time nothing is made anew"] = os.stat("/run/netns/class-ana").st_ino == first
    for line in ("link add lan type veth peer name far", "addr add 192.0.2.9/24 dev lan", "link set lan up", "link set far up"):
        net.ip(line)
    found["for a certificate the machine has its own address, not the class's"] = choices.addresses() == ["192.0.2.9"]
    net.ip("link del lan")
    ana = settings.address(CHOSEN["learners"][0])
    for what, where, script, words, uid in (
            ("the Hub reaches a server", "", KNOCK, (ana, "8888"), 0),
            ("the proxy reaches a server", "", KNOCK, (ana, "8888"), PROXY),
            ("a stranger on the machine reaches a server", "", KNOCK, (ana, "8888"), STRANGER),
            ("a learner reaches her own loopback", "ana", KNOCK, ("127.0.0.1", "9000"), STRANGER),
            ("another reaches her loopback", "ben", KNOCK, ("127.0.0.1", "9000"), STRANGER),
            ("another reaches her server", "ben", KNOCK, (ana, "8888"), STRANGER),
            ("she finds her abstract socket", "ana", FIND, (), STRANGER),
            ("another finds her abstract socket", "ben", FIND, (), STRANGER),
            ("a learner reaches the gate", "ben", KNOCK, (settings.GATE, "8081"), STRANGER),
            ("a learner reaches the machine's ssh", "ben", KNOCK, (settings.GATE, "22"), STRANGER)):
        found[what] = can(where, script, *words, uid=uid)
    for process in running:
        process.kill()
        process.wait()
    net.down(CHOSEN)
    time.sleep(0.1)
    found["all is as before"] = seen() == before
    print(json.dumps(found))


if __name__ == "__main__":
    main(*(sys.argv[1:] or ("", "")))
