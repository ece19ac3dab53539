"""Frames to the addresses by which switches talk to each other (IEEE 802.1D): a bridge passes none of them on.

The host's kernel takes them as come in by the cable itself, and looks neither at the rules for bridges nor at
those for what comes in by crabcan0.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from test_walls import FORGE, without  # noqa: E402
from world import FIRST, HOST, OTHER, ROUTER, World, inside, made  # noqa: E402, F401

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
