"""Chapter 11: the facts about a network: what the kernel has, and whom the server of an internet hears."""
import json
import os
import re

from crabcan_steps.net import bridge, links
from crabcan_steps.net.netlink import Netlink

from ..room import nets
from ..room.join import Place
from .facts import Absent, Wrong, came_up, collector, drawn, equal, must, number, refused

FACTS, fact = collector()
RANGE = bridge.RANGES[0]
GATEWAY = f"{RANGE}.1"
SIX = os.path.exists("/proc/sys/net/ipv6")
INSIDE = """
import json, socket, sys, threading
def said(address, port, word):
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as one:
        one.settimeout(1)
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
found = []
for what, *words in TRIES:
    try:
        found.append(globals()[what](*words))
    except OSError as error:
        found.append(f"{type(error).__name__}: {error}")
print(json.dumps({"found": found}), flush=True)
sys.stdin.read()
"""


class Seen:
    """A container with a network, as it is seen while it runs, from four sides."""

    def __init__(self, machine, tries, options, meanwhile):
        world = machine.internet
        if world.problem != b"ready":
            raise Absent(f"this kernel gives the room no network: {world.problem.decode(errors='replace')}")
        self.machine, self.room = machine, Place(machine.keeper, ("user", "net"))
        self.before, self.inside = self.look(self.room), None
        world.heard()
        tries = [["read", "/etc/resolv.conf"], *tries]
        try:
            self.answer = machine.crabcan("--net", "bridge", *options, watch=self.watch(meanwhile),
                                          python=INSIDE.replace("TRIES", json.dumps(tries)))
            self.heard = world.heard()
            self.after, self.rules_left = self.look(self.room), self.room.ask(nets.rules)
        finally:
            if self.inside:
                self.place.close()
        if self.answer.status:
            raise Wrong(self.answer.seen, reason(self.answer))
        must(self.inside, "the container was not found", "the runtime has no child that is the command")
        self.resolvers, *self.found = self.answer.json()["found"]

    def watch(self, meanwhile):
        def look(outside):
            self.place = Place(outside["pid"], ("user", "net"))  # held, so that the cable outlives its owner
            self.outside, self.inside, self.host = outside, self.look(self.place), self.look(self.room)
            self.rules = self.room.ask(nets.rules, 1 << 18).decode()
            self.forwards = self.switch("ipv4/ip_forward")
            self.met = meanwhile(self) if meanwhile else None
        return look

    def look(self, place):
        return json.loads(place.ask(nets.network, 1 << 18) or "null")

    def switch(self, name):
        return self.room.ask(lambda: open(f"/proc/sys/net/{name}", "rb").read()).decode().strip()

    def link(self, name, where="inside"):
        return next((link for link in getattr(self, where)["links"] if link["name"] == name), {})

    def port(self, lease):
        return self.link(f"{bridge.CABLE}{lease}", "host")


def reason(answer):
    """Why a container did not come up, as far as the kernel's answer tells."""
    failed = answer.failed or {}
    about, error = failed.get("about", ""), failed.get("errno")
    if failed.get("call") != "netlink":
        return ""
    if "type veth" in about and error == 17:
        return ("a link of that name is there already: the other end of the cable is to be born in the container's "
                "namespace: the descriptor of /proc/{pid}/ns/net")
    if "route add" in about and error in (100, 101, 113, 22):
        return ("a route leads to a neighbour: first the addresses, then the link up, then the route to the bridge's "
                "address")
    if "address add" in about and error == 17:
        return "this address is there already"
    return ""


def seen(machine, *tries, options=(), meanwhile=None):
    return Seen(machine, tries, options, meanwhile)


def usual(machine):
    """One container for many facts: with an address and a MAC address drawn for this check."""
    key = ("network", machine.alone)
    if key not in machine.kept:
        world, lease, word, name = machine.internet, number(9, 250), drawn(), drawn()
        mac = f"02:{number(16, 99)}:{number(16, 99)}:{number(16, 99)}:{number(16, 99)}:{number(16, 99)}"
        found = seen(machine, ["said", world.server, world.port, word], ["said", world.server6, world.port, word],
                     ["listens", 70, word], ["said", "127.0.0.1", 70, ""], ["name", f"{word}.example"],
                     ["name", name], ["said", world.server, world.port, "much"],
                     options=["--ip", f"{RANGE}.{lease}", "--mac", mac, "--hostname", name])
        found.lease, found.mac, found.word, found.name = lease, mac, word, name
        machine.kept[key] = found
    return machine.kept[key]


def whom(found, kind="web"):
    """From whom the server of the internet has heard this check's word."""
    return {source for what, source, word in found.heard if what == kind and word.startswith(found.word)}


# ---------------------------------------------------------------- 1: the cable

@fact(1, "a cable: eth0 in the container, its other end in the bridge", "crabcan step 11 --net bridge -- ip link")
def cable(machine):
    found = usual(machine)
    inside = [link["name"] for link in found.inside["links"]]
    must("eth0" in inside, " ".join(inside), "the cable's end is not in the container: add_veth() takes the descriptor "
         "of its namespace, /proc/{pid}/ns/net, and the name INSIDE")
    port, master = found.port(found.lease), found.link(bridge.BRIDGE, "host")
    must(port, " ".join(link["name"] for link in found.host["links"]), "the host's end has the name in "
         "lease[\"port\"]: whoever ends looks for it by that")
    return must(port["master"] == master.get("index"), "it hangs in the air", "the host's end is a port of the "
                "bridge") and "so"


@fact(1, "the address is its lease's, and the mask the whole range's", "crabcan step 11 --net bridge -- ip address")
def address(machine):
    found = usual(machine)
    have = [f"{address}/{prefix}" for address, prefix in found.inside["addresses"] if address.startswith(RANGE)]
    must(have, "none", "an address for INSIDE: self.lease[\"ip\"]")
    must(not any(one.startswith(f"{GATEWAY}/") for one in have), " ".join(have), "that is the bridge's own address: two "
         "that have one address answer in each other's place")
    must(have[0].split("/")[0] == f"{RANGE}.{found.lease}", " ".join(have), "another address than its lease's: it may "
         "be somebody's")
    return equal(" ".join(have), f"{RANGE}.{found.lease}/24", "the mask says who is reached without a router: the whole "
                 "range, which is what the bridge has")


@fact(1, "its MAC address is its lease's", "crabcan step 11 --net bridge --mac 02:00:00:00:00:07 -- ip link")
def mac(machine):
    found = usual(machine)
    return equal(found.link("eth0").get("mac"), found.mac, "the rules let pass only what comes from the MAC address in "
                 "the lease")


@fact(1, "it is up, and takes packets as large as the way out does", "crabcan step 11 --net bridge -- ip link")
def size(machine):
    found = usual(machine)
    must(found.link("eth0").get("up"), "down", "a link carries nothing until it is up")
    must(found.port(found.lease).get("up"), "the host's end is down", "a link carries nothing until it is up: both ends")
    for link in found.link("eth0"), found.port(found.lease):
        must(link["mtu"] == machine.internet.mtu, f"mtu {link['mtu']}", f"the way out takes {machine.internet.mtu} bytes "
             "(self.network[\"mtu\"]): what is larger is lost on the way, or cut")
    return f"mtu {machine.internet.mtu}"


@fact(1, "all else goes to the bridge", "crabcan step 11 --net bridge -- ip route")
def route(machine):
    found = usual(machine)
    have = [gateway for where, _, gateway in found.inside["routes"] if where == "default"]
    must(GATEWAY in have, " ".join(have) or "no such route", f"for the whole world but its own range: a default route "
         f"to the bridge, {GATEWAY}")
    return GATEWAY


@fact(1, "it is heard on the internet", "crabcan step 11 --net bridge -- cat /proc/net/route")
def heard(machine):
    found = usual(machine)
    if not whom(found):
        known = f'"{bridge.CABLE}{found.lease}" . {found.mac}' in found.rules
        must(False, found.found[0], "" if known else "the rules drop what comes out of a cable that they do not know: "
             "rules.elements(\"add\", self.lease), by rules.Nft")
    return must(found.found[0][0] == machine.internet.word, found.found[0], "no answer came back") and "so"


@fact(1, "and over IPv6", "crabcan step 11 --net bridge -- ip -6 route", spare=True)
def six(machine):
    found = usual(machine)
    own = [address for address, _ in found.inside["addresses"] if address.startswith("fd")]
    if not SIX or not any(address.startswith("fd") for address, _ in found.host["addresses"]):
        raise Absent("this machine has no IPv6")
    must(own, "no such address", "the first of self.lease[\"ip6\"] is for INSIDE, too, with 64 bits of prefix")
    must([address for address, prefix in found.inside["addresses"] if address in own and prefix == 64], " ".join(own),
         "a network of IPv6 has a prefix of 64 bits")
    have = [gateway for where, _, gateway in found.inside["routes"] if where == "default" and ":" in gateway]
    must(have, "no default route", "IPv6 has routes of its own: self.network[\"prefix\"] and ::1 is the bridge")
    must(len(whom(found)) == 2, plain_found(found.found[1]), "the server has not heard of it over IPv6")
    return "so"


def plain_found(found):
    return found if isinstance(found, str) else found[0]


@fact(1, "its own loopback works", "crabcan step 11 --net bridge -- ip address show lo")
def loopback(machine):
    found = usual(machine)
    must(found.link("lo").get("up"), "lo is down", "chapter 5 has set lo up, and programs talk to themselves over it: "
         "leave it up")
    return equal(plain_found(found.found[3]), found.word) and "so"


@fact(1, "the runtime keeps no way into it", "ls -l /proc/PID/fd")
def ways(machine):
    kept = []

    def look(found):
        runtime = found.outside["runtime"]["pid"]
        text = machine.sight.user.ask(lambda: "\n".join(
            os.readlink(f"/proc/{runtime}/fd/{fd}") for fd in os.listdir(f"/proc/{runtime}/fd")).encode(), 1 << 16)
        kept.extend(line for line in text.decode().split("\n") if line.startswith("net:"))
    seen(machine, meanwhile=look)
    return must(not kept, " ".join(kept), "the descriptor of its namespace is done with: close it") or "so"


@fact(1, "a cable that cannot be had is one line", "")
def taken(machine):
    if machine.internet.problem != b"ready":
        raise Absent("this kernel gives the room no network")
    lease = number(9, 250)
    name, room = f"{bridge.CABLE}{lease}", Place(machine.keeper, ("user", "net"))
    room.ask(lambda: links_pair(name) or b"")
    try:
        answer = machine.words("step", "11", "--net", "bridge", "--ip", f"{RANGE}.{lease}", "--", "true")
        must(answer.status == 125, f"status {answer.status}", "what the kernel says was passed over: there is no cable")
        return refused(answer, 125, name) and "so"
    finally:
        room.ask(lambda: links.delete(Netlink(), name) and b"")
        room.close()


def links_pair(name):
    """Asked in the room: a link that is in the way."""
    from crabcan_steps.net.netlink import attributes
    peer = links.link_head() + attributes({links.IFLA_IFNAME: "elsewhere"})
    Netlink().ask("ip link add", "RTM_NEWLINK", links.link_head() + attributes({
        links.IFLA_IFNAME: name,
        links.IFLA_LINKINFO: {links.IFLA_INFO_KIND: "veth", links.IFLA_INFO_DATA: {links.VETH_INFO_PEER: peer}}}),
        links.NEW)


# ---------------------------------------------------------------- 2: what all share

@fact(2, "a bridge with the first address, up", "crabcan step 11 --net bridge -- true; ip address")
def has_bridge(machine):
    found = usual(machine)
    link = found.link(bridge.BRIDGE, "host")
    must(link, " ".join(one["name"] for one in found.host["links"]), "links.add_bridge() makes it")
    must(link["up"], "down", "a bridge that is down carries nothing")
    must([GATEWAY, 24] in found.host["addresses"], " ".join(f"{a}/{n}" for a, n in found.host["addresses"]),
         f"the host is one of those on the bridge: {GATEWAY}/24 is its address there, and everybody's router")
    equal(link["mac"], bridge.mac_of(RANGE, 1), "a MAC address of its own, or it would change with whatever is plugged in")
    equal(link["mtu"], machine.internet.mtu, "what the bridge takes is what the way out takes")
    if SIX and found.switch("ipv6/conf/all/disable_ipv6") == "0":
        must([address for address, n in found.host["addresses"] if address.startswith("fd") and n == 64], "no address of "
             "IPv6", "over IPv6 the host is their router, too: prefix and ::1")
    return "so"


@fact(2, "the internet hears the host, not the container", "crabcan step 11 --net bridge -- ip route; nft list ruleset")
def nat(machine):
    found = usual(machine)
    world = machine.internet
    own = f"{RANGE}.{found.lease}"
    if world.host not in whom(found):
        sources = {source for what, source, _ in found.heard if what == "packet"}
        must(found.forwards == "1", "nothing has come through", "the host passes on no packet that is not its own until "
             "ip_forward is 1: bridge.forward()")
        must(own not in sources, f"packets from {own}", f"nobody out there knows the way back to {own}: the host puts its "
             "own address there (NAT), and that is in rules.tables()")
        must(False, plain_found(found.found[0]), "")
    equal(plain_found(found.found[0]), world.word)
    if "masquerade" not in found.rules:
        must(False, "no rule", "the rules are gone again")
    return world.host


@fact(2, "also a long answer comes whole", "")
def whole(machine):
    found = usual(machine)
    from ..room.server import MUCH
    return must(found.found[6][1:] == [len(machine.internet.word) + 1 + MUCH], str(found.found[6])) and f"{MUCH} bytes"


@fact(2, "this machine is a router for its containers only", "sysctl net.ipv4.ip_forward; nft list ruleset")
def router(machine):
    found = usual(machine)
    must("table inet crabcan" in found.rules, "no rules", "rules.tables() go to rules.Nft")
    text = re.sub(r'"', "", found.rules)
    return must(f"iifname != {bridge.BRIDGE} oifname != {bridge.BRIDGE} drop" in text.replace("meta nfproto ipv4 ", ""),
                "it passes on everybody's packets", "whoever makes a router of a machine answers for it: what "
                "bridge.forward() returns is for rules.tables()") and "so"


@fact(2, "the kernel's doors are closed", "sysctl net.ipv6.conf.crabcan0.accept_ra", spare=True)
def doors(machine):
    if not SIX:
        raise Absent("this machine has no IPv6")
    kept = []
    seen(machine, meanwhile=lambda found: kept.append(found.switch(f"ipv6/conf/{bridge.BRIDGE}/accept_ra")))
    return equal(" ".join(kept), "0", "a container could play the router for the host: bridge.close_doors()")


@fact(2, "names are asked of a server that it can reach", "crabcan step 11 --net bridge -- cat /etc/resolv.conf")
def resolver(machine):
    found = usual(machine)
    must("127.0.0.53" not in found.resolvers, found.resolvers.strip(), "127.0.0.53 is the host's own loopback, where "
         "nobody in there listens: names.resolvers() knows who is asked behind it")
    must(whom(found, "name"), found.resolvers.strip() or "an empty file", "the name server has heard nothing: the text "
         "of /etc/resolv.conf is what names.resolvers() says")
    return equal(plain_found(found.found[4]), machine.internet.server)


@fact(2, "it knows its own name", "crabcan step 11 --net bridge -- cat /etc/hosts")
def own_name(machine):
    found = usual(machine)
    return equal(plain_found(found.found[5]), f"{RANGE}.{found.lease}", "its /etc/hosts is the file beside its lease, "
                 "which leases.introduce() writes: mounted over the root's own")


@fact(2, "--dns is asked instead, and with --internal nobody", "crabcan step 11 --net bridge --dns 9.9.9.9 -- cat /etc/resolv.conf")
def told_resolver(machine):
    other = f"192.0.2.{number(1, 250)}"
    for options, expected in (["--dns", other], f"nameserver {other}"), (["--internal"], ""):
        found = seen(machine, options=options)
        equal(found.resolvers.strip(), expected, f"{options[0]}: spec.dns goes to names.resolvers(); spec.internal "
              "has none to ask")
    return "so"


@fact(2, "a port without an address is for this machine only", "crabcan step 11 --net bridge -p 8080:80 -- true")
def published(machine):
    if not machine.many_ids:
        raise Absent("the relay runs as nobody, and this room's user has one id")
    world, word, port, other = machine.internet, drawn(), number(10000, 19999), number(20000, 29999)

    def meanwhile(found):
        return {(where, number): place.ask(lambda: nets.connects(address, number))
                for where, place, address in (("here", found.room, "127.0.0.1"), ("there", world, world.host))
                for number in (port, other)}
    found = seen(machine, ["listens", 80, word], options=["-p", f"{port}:80", "-p", f"{world.host}:{other}:80"],
                 meanwhile=meanwhile)
    met = {key: text.decode(errors="replace") for key, text in found.met.items()}
    equal(met["here", port], word, "nobody listens there: ports.bound() for each address of ports.LOOPBACK, and what "
          "it returns is kept in self.listeners with the port inside")
    must(met["there", port] != word, "the whole world reaches it", "without an address a port is for this machine: "
         "ports.LOOPBACK, and no other (Docker's best known trap)")
    return equal(met["there", other], word, "with an address it listens on that, and on that only") and "so"


@fact(2, "a port that is taken is one line", "crabcan step 11 --net bridge -p 8080:80 -p 8080:81 -- true")
def port_taken(machine):
    port = number(10000, 19999)
    answer = machine.words("step", "11", "--net", "bridge", "-p", f"{port}:80", "-p", f"{port}:81", "--", "true")
    must(answer.status != 0, "it starts all the same", "what ports.bound() raises comes home")
    return refused(answer, 125, f"-p {port}:81") and "so"


@fact(2, "a firewall that drops what is forwarded is told", "nft list ruleset")
def firewall(machine):
    wall = "table inet wall { chain f { type filter hook forward priority 0; policy drop; }; }"
    room = Place(machine.keeper, ("user", "net"))
    room.ask(lambda: nets.load(wall))
    try:
        answer = machine.words("step", "11", "--net", "bridge", "--", "true")
        came_up(answer)
        return must(any("drops what this host forwards" in line for line in answer.lines), answer.error or "silence",
                    "who wonders why nothing gets out wants to be told: firewall.look() before, warn() for each of "
                    "firewall.obstacles()") and "so"
    finally:
        room.ask(lambda: nets.load("delete table inet wall"))
        room.close()


@fact(2, "nothing is left when the last has ended", "crabcan step 11 --net bridge -- true; ip link; nft list ruleset")
def left(machine):
    found = usual(machine)
    return nothing(machine, found.after, found.before, found.rules_left, found.switch("ipv4/ip_forward"))


def nothing(machine, after, before, rules, forwards):
    names = [[link["name"] for link in state["links"]] for state in (after, before)]
    more = set(names[0]) - set(names[1])
    must(not any(name.startswith(bridge.CABLE) and name != bridge.BRIDGE for name in more), " ".join(more), "a cable goes "
         "with its namespace, but somebody may hold that: links.delete() for each that has ended")
    must(not more, " ".join(more), "the last one takes the bridge away: bridge.take_down()")
    must(not rules, "rules", "the last one takes the rules away: bridge.take_down()")
    must(forwards == "0", f"ip_forward is {forwards}", "what was changed is put back: bridge.take_down()")
    folder = machine.place.ask(lambda: " ".join(os.listdir("/run/crabcan")).encode()).decode()
    must(not folder, f"/run/crabcan/{folder}", "leases are forgotten with their containers: release(), give_back()")
    return "nothing"


@fact(2, "after kill -9 the next one sweeps, and has the address", "")
def killed(machine):
    lease = f"{RANGE}.{number(9, 250)}"
    room = Place(machine.keeper, ("user", "net"))
    before = json.loads(room.ask(nets.network, 1 << 18) or "null")
    machine.crabcan("--net", "bridge", "--ip", lease, python=INSIDE.replace("TRIES", "[]"), kill=9)
    answer = machine.words("step", "11", "--net", "bridge", "--ip", lease, "--", "cat", "/proc/net/fib_trie")
    must("another container's" not in answer.error, answer.error, "a lease that nobody holds is nobody's: release("
         "leases, leases.dead()) comes first")
    if answer.status:
        must(False, answer.seen, reason(answer) or "what a killed one has left is in the way: release(leases, leases."
             "dead()) forgets it, and the bridge with the last")
    must(lease in answer.out, answer.seen, "")
    after = json.loads(room.ask(nets.network, 1 << 18) or "null")
    rules = room.ask(nets.rules)
    forwards = room.ask(lambda: open("/proc/sys/net/ipv4/ip_forward", "rb").read()).decode().strip()
    room.close()
    return nothing(machine, after, before, rules, forwards)


NEIGHBOURS = """
import os, select, subprocess, time
from crabcan_steps import cli
def begin(*words):
    (r, w), (kept, hold) = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(kept, 0); os.dup2(w, 1); os.dup2(w, 2)
        os.closerange(3, 100)  # of the others, too
        os._exit(cli.main(["step", "11", "--net", "bridge", *words]))
    os.close(w); os.close(kept)
    return pid, r, hold
def heard(r, until=None):
    text = b""
    while (until is None or until not in text) and select.select([r], [], [], 2)[0] and (part := os.read(r, 4096)):
        text += part
    return text.decode()
def end(pid, r, hold):
    os.close(hold)
    text = heard(r)
    lines = [line for line in text.split("\\n") if line and line[0] != "\\x1e"]  # that is for whoever checks
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), "\\n".join(lines)
one = begin("--name", NAME, "--ip", FIRST, "--", "sh", "-c", "echo up; read x")
heard(one[1], b"up")
again = end(*begin("--name", NAME, "--", "true"))
say("again", again[0], again[1].count("\\n") + 1, NAME in again[1])
same = end(*begin("--ip", FIRST, "--", "true"))
say("same", same[0], FIRST in same[1])
two = begin("--ip", SECOND, "--", "sh", "-c", "echo up; read x; grep -w " + NAME + " /etc/hosts || echo none")
heard(two[1], b"up")
other = begin("--", "sh", "-c", "getent ahostsv4 " + NAME)
say("knows", *end(*other)[1].split()[:1])
end(*one)
rules = subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True).stdout
say("rules", FIRST in rules, SECOND in rules)
os.write(two[2], b"\\n")
say("after", *heard(two[1], b"\\n").split())
say("ended", *end(*two))
subprocess.run(["nft", "flush", "ruleset"])
three = begin("--", "sh", "-c", "echo up; read x")
heard(three[1], b"up")
subprocess.run(["nft", "delete", "table", "bridge", "crabcan"])
unruly = end(*begin("--", "true"))
say("unruly", unruly[0], unruly[1].count("\\n") + 1, "nft" in unruly[1])
end(*three)
"""


def neighbours(machine):
    """What several containers say of each other: a script of the room's, each a process of its own."""
    key = ("neighbours", machine.alone)
    if key not in machine.kept:
        name, first, second = drawn(), f"{RANGE}.{number(9, 99)}", f"{RANGE}.{number(100, 250)}"
        text = f"NAME, FIRST, SECOND = {name!r}, {first!r}, {second!r}\n{NEIGHBOURS}"
        answer = came_up(machine.script(text))
        lines = {line.split()[0]: line.split()[1:] for line in answer.out.splitlines() if line.split()}
        machine.kept[key] = name, first, second, lines
    return machine.kept[key]


@fact(2, "neighbours know each other by name, as long as they live", "crabcan step 11 --net bridge --name db -- cat /etc/hosts")
def known(machine):
    name, first, second, lines = neighbours(machine)
    must(lines.get("again") == ["125", "1", "True"], " ".join(lines.get("again", ["?"])), "a name is one container's: who "
         "lives is leases.living(), and bridge.describe() compares")
    must(lines.get("same") == ["125", "True"], " ".join(lines.get("same", ["?"])), "an address is one container's")
    must(lines.get("knows") == [first], " ".join(lines.get("knows", ["?"])), "who comes is introduced to the others: "
         "leases.introduce()")
    must(lines.get("rules") == ["False", "True"], " ".join(lines.get("rules", ["?"])), "who has gone is forgotten by the "
         "rules, and nobody else: rules.elements(\"delete\", one)")
    must(lines.get("after") == ["none"], " ".join(lines.get("after", ["?"])), "who has gone has no name any more: the "
         "others' files are written anew, leases.introduce()")
    return "so"


@fact(1, "rules that cannot be had are one line", "")
def unruly(machine):
    lines = neighbours(machine)[3]
    return must(lines.get("unruly") == ["125", "1", "True"], " ".join(lines.get("unruly", ["?"])), "without rules nobody "
                "guards the cable: Nft.wait() before the container goes on, and its error comes home") and "so"
