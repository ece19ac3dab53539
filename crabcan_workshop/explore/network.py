"""What the calls about networks make of the state (netdevice(7), rtnetlink(7))."""
from base64 import b64decode

from .data import Unknown, arg, put, text

SIOCSIFFLAGS, IFF_UP = 0x8914, 1
LOOPBACK = {"up": True, "addresses": ["127.0.0.1/8", "::1/128"], "peer": None}


def ioctl(state, event, process):
    """A network link that goes up or down: that much the older interface can say (netdevice(7))."""
    if arg(event, 1) != SIOCSIFFLAGS or "data" not in event:
        return state
    data = b64decode(event["data"])
    name, flags = data[:16].rstrip(b"\0").decode(), int.from_bytes(data[16:18], "little")
    return set_link(state, process, name, bool(flags & IFF_UP))


def link(state, event, process):
    """The same by netlink, as a reader of strace's lines tells it: a name, and whether it is up."""
    return set_link(state, process, text(arg(event, 0)), bool(arg(event, 1)))


def set_link(state, process, name, up):
    net = process["namespaces"]["net"]["id"]
    found = LOOPBACK if up and name == "lo" else {"up": up, "addresses": [], "peer": None}
    return put(state, "namespaces", net, "links", name, found)


def netlink(state, event, process):
    """A request of chapter 11's, by the words of ip(8) that say the same."""
    words = [word for word in text(arg(event, 1)).split(" ") if word not in ("", "ip", "-4", "-6")]
    deed = DEEDS.get(" ".join(words[:2]))
    return deed(state, process, words[2:]) if deed else state


def pasta(state, event, process):
    """What a program beside us has made of the child's network, a command of ip(8) a line."""
    for line in text(arg(event, 0)).split("\n"):
        state = netlink(state, {**event, "args": ["", line]}, state["processes"][state["subject"]])
    return state


def after(words, key):
    """The word behind another one, or None."""
    at = words.index(key) + 1 if key in words else len(words)
    return words[at] if at < len(words) else None


def spaces(state, process):
    """The network namespaces that a process has to do with: its own, and that of who is made."""
    child = state["processes"].get(state["subject"], process)
    return process["namespaces"]["net"]["id"], child["namespaces"]["net"]["id"]


def home(state, process, name):
    """The namespace in which a link is known; else the process's own."""
    own, other = spaces(state, process)
    known = name not in state["namespaces"][own]["links"] and name in state["namespaces"][other]["links"]
    return other if known else own


def added(state, process, words):
    """A link; of a pair the second is the child's."""
    mine, theirs = (words[:words.index("peer")], words[words.index("peer"):]) if "peer" in words else (words, [])
    name, peer = after(mine, "name"), after(theirs, "name")
    if name is None:
        raise Unknown("a link without a name")
    own, other = spaces(state, process)
    state = put(state, "namespaces", own, "links", name, {"up": "up" in mine, "addresses": [], "peer": peer})
    if peer is None:
        return state
    place = other if "netns" in theirs else own
    return put(state, "namespaces", place, "links", peer, {"up": False, "addresses": [], "peer": name})


def changed(state, process, words):
    """Up or down."""
    name = words[0]
    found = state["namespaces"][home(state, process, name)]["links"].get(name, {"addresses": [], "peer": None})
    return put(state, "namespaces", home(state, process, name), "links", name, {**found, "up": "up" in words})


def addressed(state, process, words):
    address, name = words[0], after(words, "dev")
    if name is None:
        raise Unknown("an address without a link")
    place = home(state, process, name)
    found = state["namespaces"][place]["links"].get(name, {"up": False, "addresses": [], "peer": None})
    link_ = {**found, "addresses": [*found["addresses"], address]}
    return put(state, "namespaces", place, "links", name, link_)


def routed(state, process, words):
    """A route goes where the last link was made: once the child has one, that is its own namespace."""
    own, other = spaces(state, process)
    place = other if len(state["namespaces"][other]["links"]) > 1 else own
    return put(state, "namespaces", place, "routes", [*state["namespaces"][place]["routes"], " ".join(words)])


DEEDS = {"link add": added, "tuntap add": added, "link set": changed, "address add": addressed, "route add": routed}
