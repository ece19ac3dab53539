"""Nobody comes in or out who should not: tried by packets, from inside and outside, and each guard once without."""
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from conftest import CHECKOUT, Who  # noqa: E402
from world import CLOUD, CLOUDS, FIRST, HOST, OTHER, WEB, WEB6, as_before, fresh, inside, settled, world  # noqa: E402, F401

# What one container sends to its neighbour, whose address is .3; whoever gets it prints the mark in it.
FORGE = r"""
import struct
own, victim, router = (bytes.fromhex("02cc0ad300" + last) for last in ("02", "03", "01"))
stranger = bytes.fromhex("02cc0ad30063")
ip = lambda text: socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)
me, other, gate, him = (ip(f"10.211.0.{n}") for n in (2, 99, 1, 3))
me6, him6 = ip(sys.argv[1]), ip(sys.argv[2])
other6, gate6, link6 = ip(sys.argv[1][:-1] + "63"), ip(sys.argv[1][:-1] + "1"), ip("fe80::cc:aff:fed3:2")
def checksum(data):
    total = sum(struct.unpack(f"!{len(data + bytes(len(data) % 2)) // 2}H", data + bytes(len(data) % 2)))
    while total >> 16: total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff
def udp(mark, source=1000, to=2000):
    return struct.pack("!4H", source, to, 8 + len(mark), 0) + mark
def four(src, payload, protocol=17):
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 1, 0, 64, protocol, 0, src, him)
    return b"\x08\x00" + head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload
def six(src, payload, protocol=17, to=him6):
    return b"\x86\xdd" + struct.pack("!IHBB", 6 << 28, len(payload), protocol, 255) + src + to + payload
def icmp(src, kind, rest, to=him6):
    body = struct.pack("!BBH", kind, 0, 0) + rest
    body = body[:2] + struct.pack("!H", checksum(src + to + struct.pack("!II", len(body), 58) + body)) + body[4:]
    return six(src, body, 58, to)
def behind(kind, head, packet):  # an IPv6 packet with one more header before what it carries
    return six(packet[10:26], packet[8:9] + head + packet[42:], kind, packet[26:42])
def piece(first, place, rest):  # a fragment: of what it begins with, where it stands; 1: it is the first, and more come
    return struct.pack("!BBHI", first, 0, place, first) + rest
HOP, OPTIONS, FRAGMENT, EMPTY = 0, 60, 44, bytes([0, 1, 4, 0, 0, 0, 0])
hidden = b"\x3a\x9a\x1e\x0c<early>....." + (b"\x1e\xf3" + bytes(243)) * 4 + b"\x1e\xf2" + bytes(242)
def advert(mark):
    return icmp(link6, 134, bytes(12) + mark)
def arp(mac, src):
    return b"\x08\x06" + struct.pack("!HHBBH6s4s6s4s", 1, 0x800, 6, 4, 2, mac, src, victim, him)
FRAMES = {
    "honest": (own, four(me, udp(b"<honest>"))), "honest6": (own, six(me6, udp(b"<honest6>"))),
    "honest-arp": (own, arp(own, me) + b"<honest-arp>"),
    "honest-link": (own, six(link6, udp(b"<honest-link>"))),
    "mac": (stranger, four(me, udp(b"<mac>"))), "address": (own, four(other, udp(b"<address>"))),
    "gateway": (own, four(gate, udp(b"<gateway>"))), "address6": (own, six(other6, udp(b"<address6>"))),
    "arp-address": (own, arp(own, gate) + b"<arp-address>"), "arp-mac": (own, arp(router, me) + b"<arp-mac>"),
    "dhcp": (own, four(me, udp(b"<dhcp>", 67, 68))), "dhcp6": (own, six(me6, udp(b"<dhcp6>", 547, 546))),
    "router": (own, advert(b"<router>")), "redirect": (own, icmp(link6, 137, bytes(36) + b"<redirect>")),
    "answer": (own, icmp(me6, 136, b"\x60\0\0\0" + gate6 + b"<answer>")),
    "honest-answer": (own, icmp(me6, 136, b"\x60\0\0\0" + me6 + b"<honest-answer>")),
    "other": (own, b"\x88\xb5<other>"), "tagged": (own, b"\x81\x00\0\5" + four(other, udp(b"<tagged>"))),
    "priority": (own, b"\x81\x00\0\0" + four(me, udp(b"<priority>"))), "stacked": (own, b"\x88\xa8\0\5" + four(me, udp(b"<stacked>"))),
    "snap": (own, b"\0\x24\xaa\xaa\3\0\0\0" + four(me, udp(b"<snap>"))),
    "hop": (own, behind(HOP, EMPTY, advert(b"<hop>"))), "options": (own, behind(OPTIONS, EMPTY, advert(b"<options>"))),
    "atomic": (own, behind(FRAGMENT, struct.pack("!BHI", 0, 0, 7), advert(b"<atomic>"))),
    "early": (own, six(link6, piece(OPTIONS, 1, hidden), FRAGMENT)),  # a router's word, of which the second piece tells
    "honest-piece": (own, six(me6, piece(17, 1, udp(b"<honest-piece>".ljust(1232))), FRAGMENT)),
    "honest-rest": (own, six(me6, piece(17, 1240, b"<honest-rest>"), FRAGMENT)),
    "dhcp6-hop": (own, behind(HOP, EMPTY, six(me6, udp(b"<dhcp6-hop>", 547, 546)))),
    "query": (own, icmp(link6, 130, bytes(20) + b"<query>")),
    "dad": (own, icmp(bytes(16), 135, bytes(4) + him6 + b"<dad>")), "honest-dad": (own, icmp(bytes(16), 135, bytes(4) + link6 + b"<honest-dad>")),
}
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
wire.bind(("eth0", 0))
for source, rest in FRAMES.values():
    wire.send((victim + source + rest).ljust(60, b"\0"))
wire.send(victim + own + six(link6, piece(OPTIONS, len(hidden), advert(b"")[42:]), FRAGMENT))
wire.send((victim + own + four(me, udp(b"<end>"))).ljust(60, b"\0"))
print(*FRAMES)
"""
LISTEN = r"""
import re
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
wire.bind(("eth0", 3))
wire.settimeout(10)
print("ready")
seen = set()
while "end" not in seen:
    data = wire.recv(9999)
    seen |= {mark.decode() for mark in re.findall(rb"<([a-z0-9-]+)>", data)}
print(*seen)
"""
HONEST = {"honest", "honest6", "honest-arp", "honest-link", "honest-answer", "honest-piece", "honest-rest", "honest-dad"}
GUARDS = {  # what is taken out of the rules, or put in its place: what then arrives
    ("    iifname . ether saddr != @macs drop\n", ""): {"mac"},
    ("    ether type arp iifname . arp saddr ether != @macs drop\n", ""): {"arp-mac"},
    ("ether type arp iifname . arp saddr ip @addresses4 accept", "ether type arp accept"): {"arp-address"},
    ("    udp dport 68 drop\n", ""): {"dhcp"}, ("udp dport != 546 accept", "meta l4proto udp accept"): {"dhcp6", "dhcp6-hop"},
    ("ether type ip iifname . ip saddr @addresses4 accept", "ether type ip accept"): {"address", "gateway"},
    ("icmpv6 type != { nd-router-advert, nd-redirect, nd-neighbor-advert, mld-listener-query }", "icmpv6 type != nd-neighbor-advert"):
        {"router", "redirect", "query", "hop", "options", "atomic"},
    ("nd-neighbor-advert iifname . @th,64,128 @answers6", "nd-neighbor-advert"): {"answer"},
    ("    meta l4proto != { icmpv6, udp } accept\n    drop\n", ""):
        {"router", "redirect", "query", "hop", "options", "atomic", "answer", "dhcp6", "dhcp6-hop", "early"},
    ("ether type ip6 iifname . ip6 saddr @addresses6 goto", "ether type ip6 goto"): {"address6", "dad"},
    ("nd-neighbor-solicit iifname . @th,64,128 @answers6 accept", "nd-neighbor-solicit accept"): {"dad"},
    ("mld2-listener-report accept\n    drop\n", "mld2-listener-report accept\n"):
        {"other", "tagged", "address", "gateway", "address6", "arp-address", "priority", "stacked", "snap", "dad"},
}


def arrives(world, who=None):
    """What of the frames reaches the neighbour, and which there were."""
    with world.background("--cap-add", "NET_RAW", "--ip", f"{FIRST}.3", "--", *inside(LISTEN), who=who) as victim:
        victim.ready()
        prefix = world.do(victim.init, "ip -o -6 addr show eth0 scope global").split()[3].partition("/")[0]
        sent = (who or world.root).run("/usr/bin/python3", "-c", *inside(FORGE)[2:], prefix[:-1] + "2", prefix,
                                       options=["--net", "bridge", "--cap-add", "NET_RAW", "--ip", f"{FIRST}.2"])
        return set(victim.process.stdout.readline().split()) - {"end"}, set(sent.split())


def test_what_a_container_forges_reaches_nobody(world, as_before):
    seen, sent = arrives(world)
    assert seen == HONEST and sent > HONEST


def broken(folder, changes, module="rules"):
    """Somebody whose crabcan has other rules."""
    shutil.copytree(CHECKOUT / "crabcan_steps", folder / "crabcan_steps")
    path = folder / f"crabcan_steps/net/{module}.py"
    text = path.read_text()
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path.write_text(text)
    return folder


def without(world, tmp_path, changes, module="rules"):
    return Who("root", [sys.executable], broken(tmp_path, changes, module), world.enter(world.host))


def test_without_the_guards_all_of_it_would(world, as_before, tmp_path):
    seen, sent = arrives(world, without(world, tmp_path, GUARDS))
    assert seen == sent


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: "-".join(sorted(GUARDS[guard])))
def test_each_guard_has_work_of_its_own(world, as_before, tmp_path, guard, request):
    if not request.config.getoption("long"):
        pytest.skip("--long: all of them at once are tried anyway")
    seen, _ = arrives(world, without(world, tmp_path, [guard]))
    assert seen == HONEST | GUARDS[guard]


# ---------------------------------------------------------------- the host, the clouds, the way in

SERVE = "import socket, sys\nsockets = [socket.create_server((a, int(p))) for a, p in (w.split(',') for w in sys.argv[1:])]\n" \
        "print('ready', flush=True)\nwhile True: sockets[0].accept()"
TRY = f"""
world6 = sys.argv[1]
print(*[name for name, (address, port) in dict(
    own_loopback=("127.0.0.1", 7001), gateway=("{FIRST}.1", 7002), gateway_lo=("{FIRST}.1", 7001), host=("{HOST}", 7002),
    host6=("2001:db8:1::2", 7002), gateway6=(world6, 7002), mapped=("::ffff:{FIRST}.1", 7002), cloud=("{CLOUD}", 80),
    **{{name: (address, 80) for name, address in {CLOUDS}.items()}}, web=("{WEB}", 80), web6=("{WEB6}", 80)).items()
    if reach(address, port)])
"""
OPEN = {  # as above, for the other table
    "    reject with icmpx admin-prohibited\n  }\n  chain forward": "  }\n  chain forward",
    '    iifname "BRIDGE" ip daddr { CLOUDS4 } reject with icmpx admin-prohibited\n': "",
    '    iifname "BRIDGE" ip6 daddr { CLOUDS6 } reject with icmpx admin-prohibited\n': "",
    '    iifname "BRIDGE" ip daddr 168.63.129.16 tcp dport { 80, 32526 } reject with icmpx admin-prohibited\n': "",
    '    oifname "BRIDGE" drop\n': "",
}


@pytest.fixture
def services(world):
    """Of the host's: on its loopback, and on all its addresses."""
    server = world.start(world.host, sys.executable, "-c", SERVE, "127.0.0.1,7001", "0.0.0.0,7002", stdout=-1)
    six = world.start(world.host, sys.executable, "-c", SERVE.replace("create_server((a, int(p))",
                      "create_server((a, int(p)), family=socket.AF_INET6"), "::,7002", stdout=-1)
    assert server.stdout.readline() and six.stdout.readline()
    yield
    for process in server, six:
        process.kill()
        process.wait()


def reached(world, who=None, *options):
    """Which of all these a container gets to."""
    with world.background("--", "sh", "-c", "echo ready; read x", who=who) as running:
        running.ready()
        gateway = world.do(running.init, "ip -6 route show default").split()[2]
        return set((who or world.root).run(*inside(TRY), gateway, options=["--net", "bridge", *options]).split())


def test_the_host_s_services_and_the_cloud_s_secrets_are_out_of_reach(world, services):
    assert reached(world) == {"web", "web6"}


def test_without_the_rules_they_would_not_be(world, services, tmp_path):
    found = reached(world, without(world, tmp_path, OPEN.items()))
    assert found == {"gateway", "host", "host6", "gateway6", "mapped", "cloud", *CLOUDS, "web", "web6"}


def test_internal_is_neighbours_only(world, as_before):
    assert reached(world, None, "--internal") == set()
    with world.background("--name", "in", "--", *inside("s = socket.create_server(('', 80)); print('ready'); s.accept()")) as running:
        running.ready()
        assert world.root.run(*inside("print(reach('in', 80))"), options=["--net", "bridge", "--internal"]) == "True\n"


def comes_in(world, who):
    """Whether somebody on the host's wire reaches a container by a route of his own."""
    with world.background("--", *inside("s = socket.create_server(('', 80)); print('ready'); s.accept()"), who=who) as running:
        running.ready()
        world.do(world.other, f"ip route replace {FIRST}.0/24 via {HOST}")
        return world.do(world.other, f"/usr/bin/python3 -c \"import socket; socket.create_connection(('{FIRST}.2', 80), 2)\""
                                     " 2>/dev/null && echo in || echo no").strip()


def test_a_way_in_takes_a_rule_to_be_closed(world, tmp_path):
    assert comes_in(world, world.root) == "no"
    assert comes_in(world, without(world, tmp_path, OPEN.items())) == "in"


FTP = """
import socket
server = socket.create_server(("{0}", 21)); print("ready", flush=True)
control = server.accept()[0]; control.sendall(b"220 here\\r\\n")
control.recv(99); control.sendall(b"331 go on\\r\\n")
words = control.recv(99).decode().split()[1].split(","); control.sendall(b"200 I come\\r\\n")
try: socket.create_connection((".".join(words[:4]), int(words[4]) * 256 + int(words[5])), 2, ("{0}", 0)); print("in")
except OSError: print("no")
control.sendall(b"226 done\\r\\n")
""".format(WEB)
ASK = inside(f"""
own = socket.create_server(('', 80)); control = socket.create_connection(('{WEB}', 21), 30)
control.recv(99); control.sendall(b"USER me\\r\\n"); control.recv(99); control.sendall(b"PORT {FIRST.replace('.', ',')},2,0,80\\r\\n"); control.recv(99); control.recv(99)
""")


def comes_by_ftp(world, who):
    """Whether a server of the world's comes in by a port that was told it in the words of a protocol of 1985."""
    server = world.start(world.internet, sys.executable, "-c", FTP, stdout=-1, text=True)
    assert server.stdout.readline() == "ready\n"
    who.run(*ASK, options=["--net", "bridge"])
    return server.stdout.readline().strip()


def test_a_helper_of_the_host_s_opens_no_way_in(fresh, tmp_path):
    """A host that reads FTP (a conntrack helper), as whoever makes a program inside say such a line would like it."""
    fresh.do(fresh.host, "nft -f - <<'END'\ntable inet own {\nct helper ftp {\ntype \"ftp\" protocol tcp;\n}\nchain c {\n"
                         "type filter hook prerouting priority 0;\ntcp dport 21 ct helper set \"ftp\"\n}\n}\nEND")
    assert comes_by_ftp(fresh, fresh.root) == "no"
    old = 'oifname "BRIDGE" ct state related meta l4proto { icmp, icmpv6 } accept'
    assert comes_by_ftp(fresh, without(fresh, tmp_path / "without", [(old, 'oifname "BRIDGE" ct state related accept')])) == "in"


def test_we_make_no_router_of_the_host_for_others(world, tmp_path):
    """It forwards while containers run: their packets only."""
    passes = {}
    for name, changes in ("ours", []), ("without", [('\nadd rule inet crabcan forward meta nfproto FAMILY iifname != "BRIDGE" oifname != "BRIDGE" drop\n', "")]):
        with world.background("--", "sh", "-c", "echo ready; read x", who=without(world, tmp_path / name, changes)) as running:
            running.ready()
            world.do(world.other, f"ip route replace {WEB}/32 via {HOST}")
            passes[name] = world.do(world.other, f"/usr/bin/python3 -c \"import socket; socket.create_connection(('{WEB}', 80), 2)\""
                                                 " 2>/dev/null && echo through || echo no").strip()
            world.do(world.other, f"ip route del {WEB}/32")
    assert passes == {"ours": "no", "without": "through"} and OTHER


def test_a_published_port_is_seen_by_the_host_s_firewall(fresh):
    """It is in the hook `input`, as any program's."""
    fresh.do(fresh.host, "nft add table inet own; nft 'add chain inet own in { type filter hook input priority 0; policy accept; }';"
                         "nft add rule inet own in tcp dport 8081 iifname up0 drop")
    with fresh.background("-p", f"{HOST}:8081:80", "--", *inside("s = socket.create_server(('', 80)); print('ready')\nwhile True: s.accept()")) as running:
        running.ready()
        call = f"/usr/bin/python3 -c \"import socket; socket.create_connection(('{HOST}', 8081), 2)\" 2>/dev/null && echo in || echo no"
        assert fresh.do(fresh.other, call).strip() == "no"
        fresh.do(fresh.host, "nft delete table inet own")
        assert fresh.do(fresh.other, call).strip() == "in"
        assert fresh.root.run(*inside(f"print(reach('{HOST}', 8081))"), options=["--net", "bridge"]) == "True\n"
