"""Our netlink: bytes as the kernel's headers have them, and its errors in words."""
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from crabcan_steps.net import links, netlink  # noqa: E402
from world import FIRST, as_before, inside, world  # noqa: E402, F401


def test_attributes_are_padded_and_nested():
    assert netlink.attribute(3, "eth0") == bytes.fromhex("0900 0300 65746830 00 000000")
    assert netlink.attribute(4, 1500) == bytes.fromhex("0800 0400 dc050000")
    assert netlink.attribute(18, {1: "veth"}) == bytes.fromhex("1000 1280 0900 0100 76657468 00 000000")
    wanted = {3: b"x", 4: b"12345", 28: struct.pack("=I", 7)}
    assert netlink.parsed(netlink.attributes({**wanted, 5: None})) == wanted


@pytest.mark.parametrize("data", [b"", b"\0", b"\0\0\0\0", b"\3\0\1\0", b"\xff\xff\1\0x", os.urandom(400)])
def test_what_is_no_attribute_ends_it(data):
    netlink.parsed(data)


SCRIPT = """
import os
from crabcan_steps.net import links
from crabcan_steps.net.netlink import Netlink
n = Netlink()
for call in (lambda: links.add_bridge(n, "x" * 16, "02:00:00:00:00:01", 1500), lambda: links.add_address(n, "nothere", "10.0.0.1", 24),
             lambda: links.add_default_route(n, "203.0.113.77"), lambda: links.add_bridge(n, "lo", "02:00:00:00:00:01", 1500)):
    try: call()
    except OSError as error: print(error.call, error.errno, error.filename)
links.add_bridge(n, "b0", "02:00:00:00:00:01", 1400)
links.add_address(n, "b0", "10.9.9.1", 24)
print(links.exists(n, "b0"), ("10.9.9.1", 24) in list(links.addresses(n)), links.delete(n, "b0"), links.delete(n, "b0"), links.exists(n, "b0"))
"""


def test_the_kernel_s_words_come_with_its_errors(world, as_before):
    lines = world.root.script(SCRIPT).stdout.splitlines()
    assert lines[0].startswith("netlink 34 ip link add name x") and lines[0].endswith("policy validation)")
    assert lines[1] == "netlink 19 ip link show nothere"
    assert lines[2].startswith("netlink 101 ip route add default via 203.0.113.77 (") and "gateway" in lines[2]
    assert lines[3].startswith("netlink 17 ip link add name lo")
    assert lines[4] == "True True True False False"


def test_debug_tells_the_commands_that_say_the_same(world, as_before):
    said = world.crabcan("--debug", "true").stderr
    commands = [line.split("), ")[-1] for line in said.splitlines() if "RTM_NEW" in line]
    for words in ("ip link add name crabcan0", f"ip address add {FIRST}.1/24 dev crabcan0", "type veth peer name eth0", "ip link set eth0 up",
                  f"ip route add default via {FIRST}.1"):
        assert any(words in command for command in commands), (words, said)
    assert "masquerade" in said and "setns" in said


def test_and_ip_understands_them(world, tmp_path):
    """Each command of the trace, said to ip(8) in a namespace of its own, does the same."""
    trace = tmp_path / "trace"
    world.crabcan("--trace", str(trace), "true")
    import json
    events = [json.loads(line) for line in trace.read_text().splitlines()]
    said = [event["args"][1] for event in events if event["call"] == "netlink" and event["args"][0].startswith("RTM_NEW")]
    inside_from = next(n for n, command in enumerate(said) if "dev eth0" in command)
    holder = subprocess.Popen(["unshare", "--net", "sleep", "60"])
    try:
        script = "\n".join(["exec 9</proc/$1/ns/net"] + [
            command.split("/proc/self/fd/")[0] + "$1" if "/proc/self/fd/" in command else
            f"nsenter --net=/proc/$1/ns/net {command}" if n >= inside_from else command for n, command in enumerate(said)]
            + ["nsenter --net=/proc/$1/ns/net ip -o -4 addr show eth0"])
        result = subprocess.run(["unshare", "--net", "sh", "-ex", "-c", script, "sh", str(holder.pid)], text=True, capture_output=True)
        assert f"{FIRST}.2/24" in result.stdout, result.stderr
    finally:
        holder.kill()
        holder.wait()
    assert all(bytes.fromhex(event["args"][3])[4:6] for event in events if event["call"] == "netlink")
