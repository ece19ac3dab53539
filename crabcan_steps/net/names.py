"""Names, for chapter 11: what a container sees as /etc/hosts and /etc/resolv.conf.

The names of neighbours stand in /etc/hosts, one file a container, which is the host's and is mounted
over the container's. Whoever comes or goes has all of them written anew, in place. No server for names
has to run, and none can die: every program reads the file again whenever it looks up a name.
"""
import os

from .. import linux
from ..layer import LayerError, warn
from ..mounts.parts import READ_ONLY, Bind
from ..mounts.root import IN_ROOT, NEW_FILE, NO_LINKS, Root

STUB = "/etc/resolv.conf"
REAL = "/run/systemd/resolve/resolv.conf"  # systemd-resolved's: where its stub on 127.0.0.53 asks
LOCAL = "127.0.0.1 localhost\n::1 localhost ip6-localhost\n"


class Over(Bind):
    """A file of the host's over one of the root's own; where the root has no such place, nothing."""

    def make(self, root):
        try:
            super().make(root)
        except (OSError, LayerError) as error:
            forgive(error)


class Text:
    """A small file over one of the root's own. It is born in /dev, a file system of ours, and leaves it."""

    def __init__(self, target, text):
        self.target, self.text = target, text

    def make(self, root):
        root = Root.of(root)
        dev, name = root.find("/dev", NO_LINKS), ".crabcan"
        linux.write(name, self.text, NEW_FILE, dir_fd=dev)
        try:
            there = root.place(self.target, False)
            born = linux.openat2(dev, name, os.O_PATH, NO_LINKS)
            mount = linux.open_tree("", linux.OPEN_TREE_CLONE | linux.AT_EMPTY_PATH, dir_fd=born)
            linux.move_mount(mount, there)
            for fd in mount, born, there:
                linux.close(fd)
        except (OSError, LayerError) as error:
            forgive(error)
        finally:
            os.unlink(name, dir_fd=dev)
            linux.close(dev)


def lacking(spec):
    """Tells of each file that a root of the user's has no place for: none is made in it."""
    try:
        root = os.open(spec.mount, os.O_PATH | os.O_DIRECTORY)
    except (OSError, TypeError):  # None was given; or chapter 4 will say what is wrong
        return
    for name in "etc/hosts", "etc/resolv.conf":
        try:
            linux.close(linux.openat2(root, name, os.O_PATH, IN_ROOT))
        except OSError:
            warn(f"--mount {spec.mount}: has no /{name} that ours could be mounted over, so it goes without")
    linux.close(root)


def forgive(error):
    """Passes over a root without such a file: lacking() has told of it. Anything else is an error."""
    if error.errno not in (2, 20):  # ENOENT, ENOTDIR
        raise error


def static(spec):
    """What chapter 4 is to mount over the root's own files, for a container without neighbours."""
    return [Text("/etc/hosts", f"127.0.0.1 {spec.hostname}\n" * bool(spec.hostname) + hosts(spec.add_host)),
            Text("/etc/resolv.conf", resolvers(spec.dns, ()))]


def shared(folder, number, lease):
    """The same for one in another's network: its names, too."""
    ours = [Over(f"{folder}/{number}.hosts", "/etc/hosts", READ_ONLY)] if lease else []
    return [*ours, Text("/etc/resolv.conf", "" if lease and lease["internal"] else resolvers((), ()))]


def hosts(spec_hosts, own=None, others=()):
    """The text of /etc/hosts: ourselves, --add-host, and the neighbours that have a --name."""
    lines = [LOCAL]
    for lease in (own, *others) if own else ():
        words = [lease["host"]] * (lease is own) + [lease["name"]] * bool(lease["name"])
        for address in (lease["ip"], *lease["ip6"][:1]) if words else ():
            lines.append(f"{address} {' '.join(dict.fromkeys(words))}\n")
    return "".join(lines + [f"{address} {name}\n" for name, address in spec_hosts])


def resolvers(asked, foreign):
    """The text of /etc/resolv.conf. `foreign`: addresses that cannot be reached from inside."""
    lines = read(STUB)
    servers = [words[1] for words in lines if words[0] == "nameserver" and words[1:]]
    if servers and not any(useful(server, foreign) for server in servers):
        real = read(REAL)
        lines, servers = real or lines, [words[1] for words in real if words[0] == "nameserver" and words[1:]]
    servers = asked or [server for server in servers if useful(server, foreign)]
    if not servers:
        warn("the host's own resolver cannot be reached from inside, so names of the world are unknown "
             "there: name another with --dns ADDRESS")
    kept = [" ".join(words) for words in lines if words[0] in ("search", "options")]
    return "".join(f"{line}\n" for line in [*(f"nameserver {server}" for server in servers), *kept])


def useful(server, foreign):
    """Tells whether a server can be reached from another network namespace."""
    return not server.startswith(("127.", "::1", "fe80:", "0.")) and "%" not in server and server not in foreign


def read(path):
    """The lines of a file of the host's as words; none if there is no such file."""
    try:
        return [words for line in linux.read(path).splitlines() if (words := line.split())]
    except OSError:
        return []
