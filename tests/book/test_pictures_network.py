"""The pictures of chapter 11: a packet's way, its hooks, a request in bytes. Drawn of a run, held to one."""
import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from conftest import CHECKOUT
from test_pictures import drawing

WORLD = CHECKOUT / "tools/weaving/world.py"


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    if os.geteuid() != 0:
        pytest.skip("a bridge is root's")
    if not shutil.which("nft"):
        pytest.skip("no nftables")
    words = [sys.executable, "-I", WORLD, sys.executable, CHECKOUT / "tests/book/recorder.py",
             sys.executable, "-P", "-m", "crabcan_steps"]
    result = subprocess.run(words, cwd=tmp_path_factory.mktemp("recorded"), text=True, capture_output=True, timeout=60,
                            env=os.environ | {"PYTHONPATH": str(CHECKOUT)})
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_the_addresses_at_each_hop_are_those_of_a_packet(recording):
    """The first out and the first back, in the container, on the host's side of the cable, and beyond the host."""
    text, packets = drawing("packet"), recording["packets"]
    shown = re.findall(r"(?:│|▲) (\d\S+) +(?:│|▲) (\d\S+)\n +│ to (\S+) +│ to (\S+)\n +▼ ttl (\d+) +│ ttl (\d+)", text)
    assert len(shown) == 2
    for (start, back, end, home, out, returned), places in zip(
            shown, (("container", "crabcan2", "crabcan0"), ("host", "internet"))):
        for place in places:
            firsts = {tuple(packet[2:]): packet for packet in reversed(packets[place])}
            assert (start, end, int(out)) in firsts and (back, home, int(returned)) in firsts, place
            assert packets[place][0][2] == start and packets[place][1][2] == back
    assert recording["said"][0] in text.split("you are ")[1]


def test_the_cards_on_the_way_are_those_that_the_packets_name(recording):
    text = drawing("packet")
    cards = dict(re.findall(r"(eth0|crabcan0) +[\d.]+ +(02:\S+)", text.split("╭─ host")[1]))
    inside, = re.findall(r"eth0 +[\d.]+ +(02:\S+)", text.split("╭─ host")[0])
    first = recording["packets"]["crabcan2"][0]
    assert first[:2] == [inside, cards["crabcan0"]]
    assert recording["packets"]["host"][0][0] == cards["eth0"]
    for name, address in re.findall(r"(eth0|crabcan0) +([\d.]+) +02:", text):
        assert any(packet[2].startswith(f"{address}:") for place in recording["packets"].values() for packet in place) \
            or any(f"{address}/24 dev {name}" in said for _, said, *_ in recording["netlink"]), address


def test_the_hooks_are_those_that_packets_go_through(recording):
    """nftables' own trace: to the world, to the host, to a neighbour."""
    ways = recording["ways"]
    assert ways == {"203.0.113.80": ["bridge prerouting", "inet forward", "inet postrouting"],
                    "10.211.0.1": ["bridge prerouting", "inet input"], "10.211.0.3": ["bridge prerouting"]}
    drawn = {word for way in ways.values() for place in way for word in place.split()}
    assert drawn <= set(re.findall(r"\w+", drawing("hooks")))
    assert recording["said"][1:] == ["[Errno 113] No route to host", "[Errno 111] Connection refused"]


def test_the_request_in_bytes_is_that_of_a_run(recording):
    said, text = drawing("netlink").split("\n", 1)
    kind, request = next((kind, sent) for kind, asked, _, sent, *_ in recording["netlink"] if asked == said)
    shown = re.findall(r"[│┃] +((?:[0-9a-f]{2} )+) ", text)
    assert "".join(shown).replace(" ", "") == request.replace(" ", "")
    assert f"{len(request.replace(' ', '')) // 2} bytes" in text and kind in text
