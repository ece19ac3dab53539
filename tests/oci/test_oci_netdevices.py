"""linux.netDevices: a link of the machine's moves in, and keeps what it is known by."""
import contextlib
import json
import os
import subprocess

import pytest
from cells import boxes, refused  # noqa: F401



def ip(*words):
    said = subprocess.run(["ip", "-json", *words], capture_output=True, text=True, check=True).stdout
    return json.loads(said or "[]")


def known_by(link):
    """Its MAC, MTU, state and addresses, less what the kernel gives by itself."""
    addresses = {(found["local"], found["prefixlen"]) for found in link["addr_info"] if found["scope"] == "global"}
    return link["address"], link["mtu"], "UP" in link["flags"], addresses


@pytest.fixture
def link():
    """Of the tests' own network, which the container's goes away with, or not."""
    name = f"d{os.getpid()}"
    subprocess.run(["ip", "link", "add", name, "mtu", "1400", "type", "veth", "peer", "name", f"{name}p"], check=True)
    for address in "192.0.2.7/24", "2001:db8::7/64":
        subprocess.run(["ip", "address", "add", address, "dev", name], check=True)
    subprocess.run(["ip", "link", "set", name, "up"], check=True)
    yield name
    subprocess.run(["ip", "link", "del", f"{name}p"], stderr=subprocess.DEVNULL)


def there(name):
    with contextlib.suppress(subprocess.CalledProcessError):
        return known_by(ip("address", "show", name)[0])


@pytest.mark.parametrize("mapped", [False, True], ids=["", "in a user namespace"])
@pytest.mark.parametrize("name", ["inside0", None])
def test_it_moves_in_with_its_addresses(boxes, link, name, mapped):  # noqa: F811
    before = there(link)
    box = boxes.box(lambda config: config["linux"].update(netDevices={link: {"name": name} if name else {}}))
    if mapped:
        box.map()
    box.up()
    assert there(link) is None
    seen = {one["ifname"]: known_by(one) for one in json.loads(box.must("exec", "ip", "-json", "address"))}
    assert seen[name or link] == before and seen.keys() == {"lo", name or link}
    box.must("delete", options=["--force"])
    assert not box.left()


def test_it_goes_where_the_container_joins(boxes, link):  # noqa: F811
    before = there(link)
    first = boxes.box().up()
    second = boxes.box(lambda config: config["linux"].update(netDevices={link: {"name": "net7"}}))
    spaces = second.config["linux"]["namespaces"]
    spaces[:] = [space for space in spaces if space["type"] != "network"]
    spaces.append({"type": "network", "path": f"/proc/{first.pid}/ns/net"})
    second.write()
    second.up()
    for box in first, second:
        links = json.loads(box.must("exec", "ip", "-json", "address"))
        assert [known_by(one) for one in links if one["ifname"] == "net7"] == [before]


def test_after_a_create_that_fails_it_is_where_it_was(boxes, link):  # noqa: F811
    before = there(link)

    def change(config):
        config["linux"]["netDevices"] = {link: {"name": "inside0"}}
        config["process"]["args"] = ["/nowhere"]
    refused(boxes.box(change), "/nowhere")
    assert there(link) == before


@pytest.mark.parametrize("devices, words", [
    (lambda link: {"nothere7": {}}, ["nothere7", "no such device", "ip link"]),
    (lambda link: {link: {"name": "lo"}}, ["file exists", "one of that name"])])
def test_what_cannot_move_is_told(boxes, link, devices, words):  # noqa: F811
    before = there(link)
    refused(boxes.box(lambda config: config["linux"].update(netDevices=devices(link))), "chapter 11 (network)", *words)
    assert there(link) == before
