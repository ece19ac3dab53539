"""A way out for an ordinary user, for chapter 11: pasta(1), or slirp4netns(1) where there is none.

A user may plug nothing into the host's network. But pasta may open sockets there as any program, and make
a card (tun) in the namespace of a container that is the user's own. Between the two it makes of packets
connections, and of answers packets. To the host, what the container says is said by a program of the user's.
"""
import os
import time

from .. import linux
from ..layer import Layer, LayerError, Stage, warn
from . import links, names
from .beside import apart
from .netlink import Netlink
from .ports import bound
from .rules import CLOUDS4, CLOUDS6

INSIDE, PATIENCE = "eth0", 10  # seconds
PASTA, SLIRP = "/usr/bin/pasta", "/usr/bin/slirp4netns"
# No map of the router's address to the host's 127.0.0.1; no port that nobody has asked for, either way.
CLOSED = ["--no-map-gw", "-T", "none", "-U", "none"]
NOWHERE = [where + ("" if "/" in where else "/128" if ":" in where else "/32") for where in CLOUDS4 + CLOUDS6]
CURES = {"tun": ": /dev/net/tun must be there for everybody: `chmod 666 /dev/net/tun`, as root",
         **dict.fromkeys(("routable", "not usable"), ": the host has no way out itself (`ip route`)")}


class Alone(Layer):
    """The names that a container without neighbours knows."""
    chapter, name = 11, "network"

    def prepare(self, spec, undo):
        spec.files = names.static(spec)


class Pasta(Layer):
    """The program in between, as long as the container lives."""
    chapter, name, stage = 11, "network", Stage.NAMESPACES

    def prepare(self, spec, undo):
        self.program = next(filter(os.path.exists, (PASTA, SLIRP)), None)
        if self.program is None:
            raise LayerError(self.name, "--net pasta", 0, "there is no pasta: `apt-get install passt`")
        if self.program == SLIRP and (spec.publish or spec.mac):
            raise LayerError(self.name, "-p" if spec.publish else "--mac", 0,
                             "slirp4netns cannot: `apt-get install passt`")
        for port in spec.publish:
            bound(port[0] or "127.0.0.1", port).close()  # it could be had: pasta takes it, and would tell nobody
        netlink = Netlink()
        self.shut = [*NOWHERE, *(f"{address}/{128 if ':' in address else 32}"
                                 for address, _ in links.addresses(netlink)
                                 if not address.startswith(("127.", "fe80:")) and address != "::1")]
        netlink.close()
        self.words = self.command(spec)
        if given := {"NET_ADMIN", "NET_RAW"} & {*spec.cap_add}:
            warn(f"with {', '.join(sorted(given))} a container gets past its routes: and so, with --net pasta, "
                 "to all that you can reach yourself")

    def command(self, spec):
        """pasta's words, but for the process."""
        if self.program == SLIRP:
            return ["slirp4netns", "--configure", "--mtu=65520", "--disable-host-loopback"]
        ports = {"tcp": [], "udp": []}
        for where, port, inside, protocol in spec.publish:
            ports[protocol] += [f"{where or '127.0.0.1'}/{port}:{inside}"]
        return ["pasta", "--foreground", "--quiet", "--config-net", "--ns-ifname", INSIDE, *CLOSED,
                *(["--ns-mac-addr", spec.mac] if spec.mac else []),
                *(word for option, kind in (("-t", "tcp"), ("-u", "udp"))
                  for one in ports[kind] or ["none"] for word in (option, one))]

    def parent(self, pid, undo):
        """Starts it beside us, and waits until the container has a way out."""
        said = linux.memfd_create("pasta")
        undo.callback(linux.close, said)
        words = [*self.words, str(pid), *([INSIDE] if self.program == SLIRP else [])]
        ours, theirs = linux.pipe2(os.O_CLOEXEC)
        beside = apart(lambda: stay(self.program, words, said, ours), [said, ours])
        linux.close(ours)
        undo.callback(collect, beside, theirs)
        end = time.monotonic() + PATIENCE
        while not has_way_out(pid):
            if os.waitpid(beside, os.WNOHANG)[0] or time.monotonic() > end:
                os.lseek(said, 0, os.SEEK_SET)
                lines = os.read(said, 4096).decode(errors="replace").strip().split("\n")
                text = next((line for line in reversed(lines) if line and "syslog" not in line), "said nothing")
                cure = next((cure for sign, cure in CURES.items() if sign in text), "")
                raise LayerError(self.name, words[0], 0, text + cure)
            time.sleep(0.002)
        children = f"/proc/{beside}/task/{beside}/children"  # not with every kernel (CONFIG_PROC_CHILDREN)
        programs = linux.read(children).split() if os.path.exists(children) else []
        if linux.observer:
            from .filled import note
            note(words, pid, programs)
        for program in programs:
            undo.callback(finish, linux.pidfd_open(int(program)))  # should the one beside us be killed

    def child(self):
        """No way to the host's own addresses: pasta would go there as the user, whom they know."""
        netlink = Netlink()
        for where in self.shut:
            try:
                links.add_unreachable(netlink, where)
            except OSError:
                if ":" not in where:  # a host without IPv6
                    raise
        netlink.close()


def stay(program, words, said, ours):
    """Runs the program until it ends, or we do: then it, too."""
    import select  # loaded already: chapter 2's
    child = linux.posix_spawn(program, words, {}, setsigdef=[linux.SIGPIPE], setsigmask=(),
                              file_actions=[(os.POSIX_SPAWN_DUP2, said, 2)])
    watched = os.pidfd_open(child)
    poll = select.poll()
    for fd in watched, ours:
        poll.register(fd, select.POLLIN)
    poll.poll()
    linux.pidfd_send_signal(watched, linux.SIGKILL)


def finish(program):
    """Ends the program, if it is still there."""
    try:
        linux.pidfd_send_signal(program, linux.SIGKILL)
    except ProcessLookupError:
        pass
    linux.close(program)


def collect(beside, theirs):
    """Tells the one beside us to end."""
    linux.close(theirs)
    try:
        os.waitpid(beside, 0)
    except ChildProcessError:  # has ended before, and was collected
        pass


def has_way_out(pid):
    """Tells whether the container has a default route (proc(5), /proc/PID/net/route)."""
    for line in linux.read(f"/proc/{pid}/net/route").splitlines()[1:]:
        if line.split()[1] == "00000000":
            return True
    return any(line.split()[:2] == ["0" * 32, "00"] and line.split()[9] == INSIDE
               for line in linux.read(f"/proc/{pid}/net/ipv6_route").splitlines()) \
        if os.path.exists(f"/proc/{pid}/net/ipv6_route") else False
