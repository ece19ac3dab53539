"""What an option may say about the network, for chapter 1."""
from .values import check, hostname

MODES = ("none", "bridge", "pasta", "host")
MOST = 4096  # published ports


def mode(text):
    known = text in MODES or text.startswith("container:") and len(text) > len("container:")
    return check(known, text, "must be none, bridge, pasta, container:NAME (or its PID), or host")


def address(text, families=(4, 6)):
    """An address as the kernel writes it."""
    import _socket  # what `socket` is made of; that takes 2 ms
    for family, number in (_socket.AF_INET, 4), (_socket.AF_INET6, 6):
        try:
            raw = _socket.inet_pton(family, text)
        except (OSError, ValueError):
            continue
        check(number in families, text, f"must be an address of IPv{families[0]}")
        return _socket.inet_ntop(family, raw)
    return check(False, text, "must be an address, such as " + ("10.211.0.7" if 4 in families else "fd00::7"))


def mac(text):
    """A MAC address, as the kernel writes it; not a group's, whose first byte is odd."""
    parts = text.replace("-", ":").lower().split(":")
    good = len(parts) == 6 and all(len(part) == 2 and not part.strip("0123456789abcdef") for part in parts)
    check(good, text, "must be a MAC address, such as 02:cc:00:00:00:07")
    check(any(part != "00" for part in parts), text, "is nobody's")
    check(int(parts[0], 16) % 2 == 0, text,
          "is a group's address: the second digit must be even, such as in 02:...")
    return ":".join(parts)


def name(text):
    """What the neighbours call it: goes into their /etc/hosts."""
    check(text != "localhost", text, "is everybody's own name")
    check(text.strip("0123456789.") or not text, text, "reads like an address, or a PID: a name has letters")
    return hostname(text.replace("_", "-")) and text  # Docker's names may have them


def host(text):
    """NAME:ADDRESS of --add-host, or with = as an IPv6 address has colons itself."""
    known, _, where = text.partition("=" if "=" in text else ":")
    check(where, text, "must be NAME:ADDRESS")
    return hostname(known), address(where.strip("[]"))


def ports(text):
    """[ADDRESS:]HOST:CONTAINER[/udp], each a port or a range: (address or None, port, port inside,
    protocol) for each port."""
    words, slash, protocol = text.partition("/")
    check(not slash or protocol in ("tcp", "udp"), text, "must end in /tcp or /udp, if in any")
    where, outside, inside = apart(words, text)
    first, last = span(outside, text)
    begin, end = span(inside, text)
    check(last - first == end - begin, text, f"{outside} are {last - first + 1} ports, {inside} are {end - begin + 1}")
    check(last - first < MOST, text, f"more than {MOST} ports")
    return [(where, first + more, begin + more, protocol or "tcp") for more in range(last - first + 1)]


def apart(words, text):
    """The address (None: not given), and the two sides."""
    where = None
    if words.startswith("["):
        where, _, words = words[1:].partition("]:")
    elif words.count(":") == 2:
        where, _, words = words.partition(":")
    outside, colon, inside = words.partition(":")
    check(colon and ":" not in inside, text, "must be [ADDRESS:]HOST:CONTAINER, such as 8080:80"
          + (f": say 8080:{text} or {text}:{text}" if text.isdigit() else ""))
    return address(where) if where is not None else None, outside, inside


def span(words, text):
    """The first and last port of 80 or 8000-8010."""
    first, dash, last = words.partition("-")
    for word in first, last if dash else first:
        check(word.isascii() and word.isdigit() and len(word) < 6 and 1 <= int(word) <= 65535, text,
              f"'{word}' is no port: 1 to 65535")
    check(not dash or int(first) <= int(last), text, f"{words} ends before it begins")
    return int(first), int(last if dash else first)


OF_PASTA = ("publish", "dns", "add_host", "mac")  # what there is without a bridge


def conflict(spec, options, root):
    """Says what in these options cannot be together, or nothing."""
    kind = spec.net.partition(":")[0]
    useless = [option for field, option in options.items() if vars(spec).get(field) and field != "net"]
    if kind in ("none", "host") and useless:
        return f"{useless[0]} has no effect without a network: --net bridge, or pasta for a user"
    if kind == "container" and useless:
        return f"{useless[0]} has no effect with --net {spec.net}: that one has it all already"
    if kind == "bridge" and not root:
        return f"--net {spec.net} is for root, who may change the host's network: as a user, --net pasta"
    if kind == "container" and not root:
        return (f"--net {spec.net} is for root: each container of a user has a user namespace of its own, "
                "and with it power over no other's network")
    if spec.internal and spec.publish:
        return "-p leads in from outside, and --internal is for neighbours only: without it, or without -p"
    if kind == "pasta" and root:
        return "--net pasta is for an ordinary user: as root, --net bridge"
    others = [option for field, option in options.items() if vars(spec).get(field) and field not in OF_PASTA
              and field != "net"]
    if kind == "pasta" and others:
        return f"{others[0]} has no effect with --net pasta: it has neither bridge nor neighbours"
    return None
