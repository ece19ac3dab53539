"""Chapter 11: the facts about a network: what the kernel has, and whom the server of an internet hears."""
import os
import re
import signal
import time

from crabcan_steps.net import addresses, beside, bridge

from .facts import Absent, Wrong, came_up, collector, drawn, equal, must, number, refused

FACTS, fact = collector()
RANGE = bridge.RANGES[0]
GATEWAY = f"{RANGE}.1"
WAITS = ["/usr/bin/python3", "-I", "-c", "import sys; print(1, flush=True); sys.stdin.read()"]
OWN = "that is the bridge's own address: two that have one address answer in each other's place"
ROUTER = f"the host is one of those on the bridge: {GATEWAY}/24 is its address there, and everybody's router"
INTRODUCED = ("its /etc/hosts is the file beside its lease, which leases.introduce() writes, mounted over the root's "
              "own")
MASK = "the mask says who is reached without a router: /24, the whole range, as the bridge has it"
SIX, MUCH = os.path.exists("/proc/sys/net/ipv6"), 300_000  # bytes of the server's long answer


def reason(machine, answer, *options):
    """Why a container did not come up, as far as the kernel's answer and the calls that were made tell."""
    failed = answer.failed or {}
    about, error = failed.get("about", ""), failed.get("errno")
    if failed.get("call") == "open" and about.endswith(".hosts"):
        return INTRODUCED
    if failed.get("call") != "netlink":
        return ""
    if "type veth" in about and error == 17:
        return ("a link of that name is there already: the other end of the cable is to be born in the container's "
                "namespace: the descriptor of /proc/{pid}/ns/net")
    if "route add" not in about or error not in (100, 101, 113, 22):
        return ""
    made = " ".join(rest for _, call, rest in machine.calls("--net", "bridge", *options)[1] if call == "netlink")
    if f"address add {GATEWAY}/" in made.replace(f"{GATEWAY}/24 dev {bridge.BRIDGE}", ""):
        return OWN
    if re.search(rf"address add {RANGE}[.0-9]+/(?!24 )", made):
        return MASK
    return ("a route leads to a neighbour: first the addresses, then the link up, then the route to the bridge's "
            "address")


def usual(machine):
    """One container for many facts: with an address and a MAC address drawn for this check."""
    key = ("network", machine.alone)
    if key not in machine.kept:
        world, lease, word, name = machine.internet, number(9, 250), drawn(), drawn()
        mac = ":".join(["02", *(f"{number(16, 99)}" for _ in range(5))])
        found = machine.network(
            ["listens", 70, word], ["said", world.server, world.port, word], ["said", world.server6, world.port, word],
            ["said", "127.0.0.1", 70, ""], ["name", f"{word}.example"], ["name", name],
            ["said", world.server, world.port, "much"], why=reason,
            options=["--ip", f"{RANGE}.{lease}", "--mac", mac, "--hostname", name])
        found.lease, found.mac, found.word, found.name = lease, mac, word, name
        machine.kept[key] = found
    return machine.kept[key]


WEB, WEB6, LO, NAME, OWN_NAME, LONG = range(1, 7)  # where the answers to these tries are


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
    port, master = found.link(f"{bridge.CABLE}{found.lease}", "host"), found.link(bridge.BRIDGE, "host")
    must(port, " ".join(link["name"] for link in found.host["links"]), "the host's end has the name in "
         "lease[\"port\"]: whoever ends looks for it by that")
    return must(port["master"] == master.get("index"), "it hangs in the air", "the host's end is a port of the "
                "bridge") and "so"


@fact(1, "the address is its lease's, and the mask the whole range's", "crabcan step 11 --net bridge -- ip address")
def address(machine):
    found = usual(machine)
    have = [f"{address}/{prefix}" for address, prefix in found.inside["addresses"] if address.startswith(RANGE)]
    must(have, "none", "an address for INSIDE: self.lease[\"ip\"]")
    must(not any(one.startswith(f"{GATEWAY}/") for one in have), " ".join(have), OWN)
    must(have[0].split("/")[0] == f"{RANGE}.{found.lease}", " ".join(have), "another address than its lease's: it may "
         "be somebody's")
    return equal(" ".join(have), f"{RANGE}.{found.lease}/24", MASK)


@fact(1, "its MAC address is its lease's", "crabcan step 11 --net bridge --mac 02:00:00:00:00:07 -- ip link")
def mac(machine):
    found = usual(machine)
    return equal(found.link("eth0").get("mac"), found.mac, "the rules let pass only what comes from the MAC address in "
                 "the lease")


@fact(1, "it is up, and takes packets as large as the way out does", "crabcan step 11 --net bridge -- ip link")
def size(machine):
    found = usual(machine)
    must(found.link("eth0").get("up"), "down", "a link carries nothing until it is up")
    must(found.link(f"{bridge.CABLE}{found.lease}", "host").get("up"), "the host's end is down", "a link carries nothing until it is up: both ends")
    for link in found.link("eth0"), found.link(f"{bridge.CABLE}{found.lease}", "host"):
        must(link["mtu"] == machine.internet.mtu, f"mtu {link['mtu']}", f"the way out takes {machine.internet.mtu} bytes "
             "(self.network[\"mtu\"]): what is larger is lost on the way, or cut")
    return f"mtu {machine.internet.mtu}"


@fact(1, "all else goes to the bridge", "crabcan step 11 --net bridge -- ip route")
def route(machine):
    found = usual(machine)
    have = [gateway for where, gateway in found.inside["routes"] if where == "default"]
    must(GATEWAY in have, " ".join(have) or "no such route", f"for the whole world but its own range: a default route "
         f"to the bridge, {GATEWAY}")
    return GATEWAY


def unheard(machine, found):
    """Why the server of the internet has not heard of a container, as far as packets and the kernel tell."""
    own = f"{RANGE}.{found.lease}"
    if f'"{bridge.CABLE}{found.lease}" . {found.mac}' not in found.rules:
        return found.text(WEB), ("the rules drop what comes out of a cable that they do not know: rules.elements(\"add\", "
                                 "self.lease), by rules.Nft")
    if [GATEWAY, 24] not in found.host["addresses"]:
        return " ".join(f"{a}/{n}" for a, n in found.host["addresses"]), ROUTER
    if found.forwards != "1":
        return "nothing has come through", ("the host passes on no packet that is not its own until ip_forward is 1: "
                                            "bridge.forward()")
    if own in {source for what, source, _ in found.heard if what == "packet"}:
        return f"packets from {own}", (f"nobody out there knows the way back to {own}: the host puts its own address "
                                       "there (NAT), and that is in rules.tables()")
    return found.text(WEB), ""


@fact(1, "it is heard on the internet", "crabcan step 11 --net bridge -- cat /proc/net/route")
def heard(machine):
    found = usual(machine)
    if not whom(found):
        must(False, *unheard(machine, found))
    return must(found.text(WEB) == machine.internet.word, found.text(WEB), "no answer came back") and "so"


@fact(1, "and over IPv6", "crabcan step 11 --net bridge -- ip -6 route", spare=True)
def six(machine):
    found = usual(machine)
    own = [address for address, _ in found.inside["addresses"] if address.startswith("fd")]
    if not SIX or not any(address.startswith("fd") for address, _ in found.host["addresses"]):
        raise Absent("this machine has no IPv6")
    must(own, "no such address", "the first of self.lease[\"ip6\"] is for INSIDE, too, with 64 bits of prefix")
    must([address for address, prefix in found.inside["addresses"] if address in own and prefix == 64], " ".join(own),
         "a network of IPv6 has a prefix of 64 bits")
    have = [gateway for where, gateway in found.inside["routes"] if where == "default" and ":" in gateway]
    must(have, "no default route", "IPv6 has routes of its own: self.network[\"prefix\"] and ::1 is the bridge")
    must(len(whom(found)) == 2, found.text(WEB6), "the server has not heard of it over IPv6")
    return "so"


@fact(1, "its own loopback works", "crabcan step 11 --net bridge -- ip address show lo")
def loopback(machine):
    found = usual(machine)
    must(found.link("lo").get("up"), "lo is down", "chapter 5 has set lo up, and programs talk to themselves over it: "
         "leave it up")
    return equal(found.text(LO), found.word) and "so"


@fact(1, "the runtime keeps no way into it", "ls -l /proc/PID/fd")
def ways(machine):
    kept = []

    def look(found):
        runtime = found.outside["runtime"]["pid"]
        text = machine.sight.user.ask(lambda: "\n".join(
            os.readlink(f"/proc/{runtime}/fd/{fd}") for fd in os.listdir(f"/proc/{runtime}/fd")).encode(), 1 << 16)
        kept.extend(line for line in text.decode().split("\n") if line.startswith("net:"))
    machine.network(why=reason, meanwhile=look)
    return must(not kept, " ".join(kept), "the descriptor of its namespace is done with: close it") or "so"


@fact(1, "a cable that cannot be had is one line", "")
def taken(machine):
    machine.internet.need()
    lease = number(9, 250)
    name = f"{bridge.CABLE}{lease}"
    machine.net.plug(name)
    try:
        answer = machine.words("step", "11", "--net", "bridge", "--ip", f"{RANGE}.{lease}", "--", "true")
        must(answer.status == 125, f"status {answer.status}", "what the kernel says was passed over: there is no cable")
        return refused(answer, 125, name) and "so"
    finally:
        machine.net.unplug(name)


# ---------------------------------------------------------------- 2: what all share

@fact(2, "a bridge with the first address, up", "crabcan step 11 --net bridge -- true; ip address")
def has_bridge(machine):
    found = usual(machine)
    link = found.link(bridge.BRIDGE, "host")
    must(link, " ".join(one["name"] for one in found.host["links"]), "links.add_bridge() makes it")
    must(link["up"], "down", "a bridge that is down carries nothing")
    must([GATEWAY, 24] in found.host["addresses"], " ".join(f"{a}/{n}" for a, n in found.host["addresses"]),
         ROUTER)
    equal(link["mac"], addresses.mac_of(RANGE, 1), "a MAC address of its own, or it would change with whatever is plugged in")
    equal(link["mtu"], machine.internet.mtu, "what the bridge takes is what the way out takes")
    if SIX and machine.net.switch("ipv6/conf/all/disable_ipv6") == "0":
        must([address for address, n in found.host["addresses"] if address.startswith("fd") and n == 64], "no address of "
             "IPv6", "over IPv6 the host is their router, too: prefix and ::1")
    return "so"


@fact(2, "the internet hears the host, not the container", "crabcan step 11 --net bridge -- ip route; nft list ruleset")
def nat(machine):
    found = usual(machine)
    if machine.internet.host not in whom(found):
        must(False, *unheard(machine, found))
    equal(found.text(WEB), machine.internet.word)
    return machine.internet.host


@fact(2, "also a long answer comes whole", "")
def whole(machine):
    found = usual(machine)
    return must(found.found[LONG][1:] > [MUCH], found.text(LONG)) and f"{MUCH} bytes"


@fact(2, "this machine is a router for its containers only", "sysctl net.ipv4.ip_forward; nft list ruleset")
def router(machine):
    found = usual(machine)
    must(not found.unwaited, "nft has ended, and nobody has asked how", "the rules stand before anybody runs: "
         "Nft.wait(), which raises what nft says")
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
    machine.network(why=reason, meanwhile=lambda found: kept.append(machine.net.switch(f"ipv6/conf/{bridge.BRIDGE}/accept_ra")))
    return equal(" ".join(kept), "0", "a container could play the router for the host: bridge.close_doors()")


@fact(2, "names are asked of a server that it can reach", "crabcan step 11 --net bridge -- cat /etc/resolv.conf")
def resolver(machine):
    found = usual(machine)
    must("127.0.0.53" not in found.resolvers, found.resolvers.strip(), "127.0.0.53 is the host's own loopback, where "
         "nobody in there listens: names.resolvers() knows who is asked behind it")
    must(whom(found, "name"), found.resolvers.strip() or "an empty file", "the name server has heard nothing: the text "
         "of /etc/resolv.conf is what names.resolvers() says")
    return equal(found.text(NAME), machine.internet.server)


@fact(2, "it knows its own name", "crabcan step 11 --net bridge -- cat /etc/hosts")
def own_name(machine):
    found = usual(machine)
    return equal(found.text(OWN_NAME), f"{RANGE}.{found.lease}", INTRODUCED)


@fact(2, "--dns is asked instead, and with --internal nobody", "crabcan step 11 --net bridge --dns 9.9.9.9 -- cat /etc/resolv.conf")
def told_resolver(machine):
    other = f"192.0.2.{number(1, 250)}"
    for options, expected in (["--dns", other], f"nameserver {other}"), (["--internal"], ""):
        found = machine.network(why=reason, options=options)
        equal(found.resolvers.strip(), expected, f"{options[0]}: spec.dns goes to names.resolvers(); spec.internal "
              "has none to ask")
    return "so"


@fact(2, "a port without an address is for this machine only", "crabcan step 11 --net bridge -p 8080:80 -- true",
      spare=True)
def published(machine):
    if not machine.many_ids:
        raise Absent("the relay runs as nobody, and this room's user has one id")
    if sum(count for *_, count in machine.sight.maps["uid"]) <= beside.NOBODY:
        raise Absent(f"the relay runs as nobody, and this room's user has no id {beside.NOBODY}")
    world, word, port, other = machine.internet, drawn(), number(10000, 19999), number(20000, 29999)

    def meanwhile(_):
        return {(where, one): place.connects(address, one) for one in (port, other)
                for where, place, address in (("here", machine.net, "127.0.0.1"), ("there", world, world.host))}
    met = machine.network(["listens", 80, word], options=["-p", f"{port}:80", "-p", f"{world.host}:{other}:80"],
                          meanwhile=meanwhile, why=reason).met
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
    machine.net.load(wall)
    try:
        answer = machine.words("step", "11", "--net", "bridge", "--", "true")
        came_up(answer)
        return must(any("drops what this host forwards" in line for line in answer.lines), answer.error or "silence",
                    "who wonders why nothing gets out wants to be told: firewall.look() before, warn() for each of "
                    "firewall.obstacles()") and "so"
    finally:
        machine.net.load("delete table inet wall")


@fact(2, "nothing is left when the last has ended", "crabcan step 11 --net bridge -- true; ip link; nft list ruleset")
def left(machine):
    found = usual(machine)
    return nothing(machine, found.after, found.before, found.rules_left, found.forwards_after)


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


def killing(machine, lease, also=()):
    """Kills a runtime; with `also`, first who waits beside it."""
    def kill(outside):
        runtime = outside["runtime"]["pid"]
        for pid in [*(pid for pid in machine.beside(runtime) if also and pid != outside["pid"]), runtime]:
            os.kill(pid, signal.SIGKILL)
    answer = machine.crabcan("--net", "bridge", "--ip", lease, command=WAITS, watch=kill)
    if not answer.outside:
        must(False, answer.seen, reason(machine, answer))


@fact(1, "after kill -9 somebody beside it takes all away", "")
def cleaned(machine):
    before = machine.net.state()
    killing(machine, f"{RANGE}.{number(9, 250)}")
    end = time.monotonic() + machine.seconds / 2
    while time.monotonic() < end:
        try:
            return nothing(machine, machine.net.state(), before, machine.net.rules(), machine.net.switch("ipv4/ip_forward"))
        except Wrong:
            time.sleep(0.05)
    raise Wrong(" ".join(link["name"] for link in machine.net.state()["links"]), "nobody outlives kill -9, but for a "
                "process that waits for our end: beside.after_us(), which calls left()")


@fact(2, "and if that one is killed, too, the next start does", "")
def killed(machine):
    lease, before = f"{RANGE}.{number(9, 250)}", machine.net.state()
    killing(machine, lease, also=True)
    answer = machine.words("step", "11", "--net", "bridge", "--ip", lease, "--", "cat", "/proc/net/fib_trie")
    must("another container's" not in answer.error, answer.error, "a lease that nobody holds is nobody's")
    if answer.status:
        must(False, answer.seen, reason(machine, answer) or "what a killed one has left is in the way: release(leases, "
             "leases.dead()) forgets it, and the bridge with the last")
    must(lease in answer.out, answer.seen, "")
    return nothing(machine, machine.net.state(), before, machine.net.rules(), machine.net.switch("ipv4/ip_forward"))


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
one = begin("--name", NAME, "--ip", FIRST, "--internal", "--", "sh", "-c", "echo up; read x")
heard(one[1], b"up")
again = end(*begin("--name", NAME, "--", "true"))
say("again", again[0], again[1].count("\\n") + 1, NAME in again[1])
same = end(*begin("--ip", FIRST, "--", "true"))
say("same", same[0], FIRST in same[1])
two = begin("--ip", SECOND, "--internal", "--", "sh", "-c", "echo up; read x; grep -w " + NAME + " /etc/hosts || echo none")
heard(two[1], b"up")
other = begin("--", "sh", "-c", "getent ahostsv4 " + NAME)
say("knows", *end(*other)[1].split()[:1])
pod = end(*begin("--net", "container:" + NAME, "--", "cat", "/proc/net/fib_trie"))
say("pod", pod[0], FIRST in pod[1])
end(*one)
rules = subprocess.run(["nft", "list", "set", "inet", "crabcan", "internal4"], capture_output=True, text=True).stdout
say("rules", FIRST in rules, SECOND in rules)
try:
    os.write(two[2], b"\\n")
except OSError:
    pass  # it has ended before
say("after", *heard(two[1], b"\\n").split())
say("ended", *end(*two))
subprocess.run(["nft", "flush", "ruleset"])
three = begin("--", "sh", "-c", "echo up; read x")
heard(three[1], b"up")
subprocess.run(["nft", "delete", "table", "bridge", "crabcan"])
unruly = end(*begin("--", "echo", "it ran"))
say("unruly", unruly[0], unruly[1].count("\\n") + 1, "nft" in unruly[1], "it ran" in unruly[1])
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
         "lives is leases.living(), and addresses.describe() compares")
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
    return must(lines.get("unruly") == ["125", "1", "True", "False"], " ".join(lines.get("unruly", ["?"])), "without rules nobody "
                "guards the cable: Nft.wait() before the container goes on, and its error comes home") and "so"


@fact(1, "another can join its network", "crabcan step 11 --net bridge --name db -- cat /etc/hosts")
def pod(machine):
    lines = neighbours(machine)[3]
    return must(lines.get("pod") == ["0", "True"], " ".join(lines.get("pod", ["?"])), "--net container:NAME looks for the "
                "first process of the one with that name: note(self.lease[\"number\"], pid)") and "so"
