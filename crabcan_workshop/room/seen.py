"""A container with a network, as it is seen while it runs: from inside, outside, the host and the internet."""
import json

from ..exercises.facts import Wrong, must
from ..measure.observe import stat_of
from .nets import Net

INSIDE = """
import json, socket, sys, threading, time
def said(address, port, word):
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as one:
        one.settimeout(PATIENCE)
        one.connect((address, port))
        one.sendall(word.encode() + b"\\n")
        found = b""
        while part := one.recv(1 << 16):
            found += part
        return [found.split(b"\\n")[0].decode(), len(found)]
def listens(port, word):
    server = socket.create_server(("", port))
    def serve():
        while True:
            with server.accept()[0] as one:
                one.recv(100)
                one.sendall(word.encode())
    threading.Thread(target=serve, daemon=True).start()
def name(word):
    return socket.getaddrinfo(word, 80, socket.AF_INET)[0][4][0]
def read(path):
    with open(path) as file:
        return file.read()
def attempt(place, what, words):
    try:
        found[place] = globals()[what](*words)
    except OSError as error:
        found[place] = f"{type(error).__name__}: {error}"
found, at_work = ["no answer came"] * len(TRIES), []
for place, (what, *words) in enumerate(TRIES):
    at_work.append(threading.Thread(target=attempt, args=(place, what, words), daemon=True))
    at_work[-1].start()
    if what == "listens":
        at_work[-1].join()
end = time.monotonic() + PATIENCE
for one in at_work:
    one.join(max(0, end - time.monotonic()))
print(json.dumps({"found": found}), flush=True)
sys.stdin.read()
"""


def program(machine, *tries):
    """What runs in the container: tries all of these at once, tells, and waits."""
    return INSIDE.replace("TRIES", json.dumps(tries)).replace("PATIENCE", f"{machine.seconds / 3:.1f}")


class Seen:
    """`found` has an answer for each of the tries; `met` what `meanwhile` returned."""

    def __init__(self, machine, *tries, options=(), meanwhile=None, why=None):
        world, self.inside, self.before = machine.internet, None, machine.net.state()
        world.need()
        world.heard()
        self.machine = machine
        try:
            self.answer = machine.crabcan(
                "--net", "bridge", *options, watch=lambda outside: self.look(outside, meanwhile),
                python=program(machine, ["read", "/etc/resolv.conf"], *tries))
            self.heard = world.heard()
            self.after, self.rules_left = machine.net.state(), machine.net.rules()
            self.forwards_after = machine.net.switch("ipv4/ip_forward")
        finally:
            if self.inside:
                self.net.close()
        if self.answer.status:
            raise Wrong(self.answer.seen, why(machine, self.answer, *options) if why else "")
        must(self.inside, "the container was not found", "the runtime has no child that is the command")
        self.resolvers, *self.found = self.answer.json()["found"]

    def look(self, outside, meanwhile):
        self.net = Net(outside["pid"])  # held, so that the cable outlives its owner
        self.outside, self.inside, self.host = outside, self.net.state(), self.machine.net.state()
        self.rules = self.machine.net.rules()
        self.unwaited = [pid for pid in self.machine.beside(outside["runtime"]["pid"]) if stat_of(pid)[0] == "Z"]
        self.forwards = self.machine.net.switch("ipv4/ip_forward")
        self.met = meanwhile(self) if meanwhile else None

    def link(self, name, where="inside"):
        """A link by its name; {} if there is none."""
        return next((link for link in getattr(self, where)["links"] if link["name"] == name), {})

    def text(self, place):
        """What came of a try, in a word or two."""
        found = self.found[place]
        return found[0] if isinstance(found, list) else str(found)


