"""Frames to the addresses by which switches talk to each other (IEEE 802.1D): a bridge passes none of them on.

The host's kernel takes them as come in by the cable itself, and looks neither at the rules for bridges nor at
those for what comes in by crabcan0.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from test_walls import FORGE, without  # noqa: E402
from world import FIRST, HOST, HOST6, OTHER, ROUTER, World, as_before, inside, made, world  # noqa: E402, F401

SEND = FORGE.partition("me6, him6")[0] + """
link6 = him6 = ip("fe80::cc:aff:fed3:2")
""" + "def checksum" + FORGE.partition("FRAMES")[0].partition("def checksum")[2] + f"""
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
wire.bind(("eth0", 0))
him = ip("{HOST}")
prefix = bytes([3, 4, 64, 0xc0]) + struct.pack("!III", 9999, 9999, 0) + ip("2001:db8:bad::")
for last in range(16):
    to = bytes.fromhex(f"0180c20000{{last:02x}}") + own
    for mark, source in (b"<own>", me), (b"<forged>", ip("{OTHER}")):
        wire.send((to + four(source, udp(mark, to=7003))).ljust(60, b"\\0"))
    wire.send(to + icmp(link6, 134, struct.pack("!BBHII", 64, 0, 1800, 0, 0) + prefix, ip("ff02::1")))
ears = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x806))
ears.bind(("eth0", 0x806))
ears.settimeout(0.5)
for last in range(16):
    for source in me, ip("{ROUTER}"):  # who has the host's address? And: the router is me
        wire.send((bytes.fromhex(f"0180c20000{{last:02x}}") + own + bytes([8, 6])
                   + struct.pack("!HHBBH6s4s6s4s", 1, 0x800, 6, 4, 1, own, source, bytes(6), him)).ljust(60, bytes(1)))
try:
    print("sent", *["answer"] * (ears.recv(99)[20:22] == bytes([0, 2])))
except TimeoutError:
    print("sent")
sys.stdin.read()
"""
HEAR = "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ns.bind(('', 7003))\n" \
       "print('ready', flush=True)\nwhile True: print(s.recv(99).decode(), flush=True)"
GUARD = 'iifname != "CABLE*" accept\n    iifname != "BRIDGE" drop\n'


def heard(folder, changes=None, module="rules"):
    """What a host without a way out by IPv6, which so believes routers, hears of it all."""
    folder.mkdir()
    host = made(folder, six=False)
    try:
        ears = host.start(host.host, sys.executable, "-c", HEAR, stdout=-1)
        assert ears.stdout.readline()
        who = without(host, folder / "changed", changes, module) if changes else host.root
        with host.background("--cap-add", "NET_RAW", "--ip", f"{FIRST}.2", "--", *inside(SEND), who=who) as running:
            sent, *answer = running.ready().split()
            assert sent == "sent"
            neighbours = host.do(host.host, "ip neigh show dev crabcan2")
            addresses = host.do(host.host, "ip -6 address; ip -6 route")
        ears.kill()
        return set(ears.stdout.read().decode().split()) | ({"router"} if "2001:db8:bad:" in addresses else set()) \
            | ({"arp"} if answer or neighbours else set())
    finally:
        host.close()


def test_what_goes_past_the_bridge_gets_no_further(tmp_path):
    assert heard(tmp_path / "ours") == set()


def test_without_the_guard_it_gets_to_the_host(tmp_path):
    assert heard(tmp_path / "without", [(GUARD, 'iifname != "BRIDGE" accept\n')]) == {"<own>", "<forged>", "router"}


def test_a_cable_that_looks_at_arp_tells_the_host_s_address(tmp_path):
    """The rules for bridges and the host's own never see ARP that comes in by the cable itself."""
    assert heard(tmp_path / "without", [("IFF_UP | IFF_NOARP, change", "IFF_UP, change")], "links") == {"arp"}


# ---------------------------------------------------------------- to the host, by whatever address

ALL = """
lines = [line.split() for line in open("/proc/net/if_inet6")]
own6 = next(socket.inet_ntop(socket.AF_INET6, bytes.fromhex(words[0])) for words in lines if words[3] == "00" and words[5] == "eth0")
sys.argv[1:] = [own6, own6[:-1] + "3"]
""" + FORGE.partition("FRAMES")[0] + f"""
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
wire.bind(("eth0", 0))
ways = ["127.0.0.1", "127.1.2.3", "0.0.0.0", "255.255.255.255", "{FIRST}.255", "224.0.0.1", "239.1.2.3", "{HOST}", "{FIRST}.1",
        "::1", "ff02::1", "ff01::1", "::ffff:{FIRST}.1", "::ffff:127.0.0.1", "{HOST6}", own6[:-1] + "1", "fe80::cc:aff:fed3:1"]
for to in router, bytes([255] * 6), bytes.fromhex("01005e000001"), bytes.fromhex("333300000001"):
    for way in ways:
        him = to6 = ip(way)
        for source in (me6, link6, ip("::1"), ip("::ffff:{FIRST}.2")) if ":" in way else (me, ip("127.0.0.1"), ip("0.0.0.0")):
            body = struct.pack("!4H", 1000, 7003, 8 + len(way) + 1, 0) + way.encode() + b" "
            if ":" in way:  # of UDP over IPv6 the checksum must be right
                body = body[:6] + struct.pack("!H", checksum(source + to6 + struct.pack("!II", len(body), 17) + body)) + body[8:]
            frame = six(source, body, to=to6) if ":" in way else four(source, body)
            wire.send((to + own + frame).ljust(60, bytes(1)))
print("sent")
sys.stdin.read()
"""
EARS = "import socket\ns = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)\ns.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)\n" \
       "s.bind(('::', 7003))\nprint('ready', flush=True)\nwhile True: print(s.recv(99).decode(), flush=True)"


def heard_by(host, who=None):
    """By which of these addresses a container's words come to a service of the host's that listens on all."""
    ears = host.start(host.host, sys.executable, "-c", EARS, stdout=-1)
    assert ears.stdout.readline()
    with host.background("--cap-add", "NET_RAW", "--ip", f"{FIRST}.2", "--", *inside(ALL), who=who) as running:
        assert running.ready() == "sent"
    host.do(host.host, "/usr/bin/python3 -c \"import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'end', ('127.0.0.1', 7003))\"")
    said = set(iter(lambda: ears.stdout.readline().decode().strip(), "end"))
    ears.kill()
    return said


def test_by_no_address_is_a_service_of_the_host_s_reached(world, as_before, tmp_path):
    """Loopback, everybody's, its own: which of them the rules stop, and which the kernel does."""
    assert heard_by(world) == set()
    found = heard_by(world, without(world, tmp_path, [("    reject with icmpx admin-prohibited\n  }\n  chain forward", "  }\n  chain forward")]))
    assert found >= {f"{FIRST}.1", HOST, HOST6, "255.255.255.255", f"{FIRST}.255", "ff02::1", "fe80::cc:aff:fed3:1"}
    assert not found & {"127.0.0.1", "127.1.2.3", "0.0.0.0", "::1", f"::ffff:{FIRST}.1", "::ffff:127.0.0.1"}, found  # the kernel's own walls
