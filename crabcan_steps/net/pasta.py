"""A way out for an ordinary user, for chapter 11: pasta(1), or slirp4netns(1) where there is none.

A user may plug nothing into the host's network. But pasta may open sockets there as any program, and make
a card (tun) in the namespace of a container that is the user's own. Between the two it makes of packets
connections, and of answers packets. To the host, what the container says is said by a program of the user's.
"""
import os
import time

from .. import linux
from ..layer import Layer, LayerError, Stage, warn
from . import later, names
from .beside import apart
from .netlink import Netlink
from .ports import bound
from .rules import CLOUDS4, CLOUDS6

INSIDE, PATIENCE = "eth0", 10  # seconds
PASTA, SLIRP = "/usr/bin/pasta", "/usr/bin/slirp4netns"
# No map of the router's address to the host's 127.0.0.1; no port that nobody has asked for, either way.
CLOSED = ["--no-map-gw", "-T", "none", "-U", "none"]
NOWHERE = [where + ("" if "/" in where else "/128" if ":" in where else "/32") for where in CLOUDS4 + CLOUDS6]


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
        self.shut = [*NOWHERE, *later.of_the_host(netlink)]
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
        there = [linux.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC) for kind in ("user", "net")]
        beside = apart(lambda: stay(self.program, words, said, ours, (*there, self.shut)), [said, ours, *there])
        for fd in ours, *there:
            linux.close(fd)
        undo.callback(collect, beside, theirs)
        end = time.monotonic() + PATIENCE
        while not has_way_out(pid):
            if os.waitpid(beside, os.WNOHANG)[0] or time.monotonic() > end:
                os.lseek(said, 0, os.SEEK_SET)
                lines = os.read(said, 4096).decode(errors="replace").strip().split("\n")
                text = next((line for line in reversed(lines) if line and "syslog" not in line), "said nothing")
                raise LayerError(self.name, words[0], 0, text + lacking())
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
            later.shut(netlink, where)
        netlink.close()


def stay(program, words, said, ours, watched):
    """Runs the program until it ends, or we do: then it, too. Meanwhile the host may get addresses."""
    import select  # loaded already: chapter 2's
    child = os.pidfd_open(linux.posix_spawn(program, words, {}, setsigdef=[linux.SIGPIPE], setsigmask=(),
                                            file_actions=[(os.POSIX_SPAWN_DUP2, said, 2)]))
    try:
        watch = later.Watch(*watched)
        poll = select.poll()
        for end in child, ours, watch:
            poll.register(end, select.POLLIN)
        while not {child, ours} & {fd for fd, _ in poll.poll()}:
            watch.ready()
    except OSError as error:
        os.write(said, f"its routes cannot be watched: {error}".encode())
    finally:
        linux.pidfd_send_signal(child, linux.SIGKILL)


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


def lacking():
    """What the host lacks for it, and the cure: asked of the kernel, as the programs say it in other words each year."""
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return ": /dev/net/tun must be there for everybody: `chmod 666 /dev/net/tun`, as root"
    return "" if has_way_out("self") else ": the host has no way out itself (`ip route`)"


def has_way_out(pid):
    """Tells whether the container has a default route (proc(5), /proc/PID/net/route)."""
    for line in linux.read(f"/proc/{pid}/net/route").splitlines()[1:]:
        if line.split()[1] == "00000000":
            return True
    return any(line.split()[:2] == ["0" * 32, "00"] and line.split()[9] != "lo"
               for line in linux.read(f"/proc/{pid}/net/ipv6_route").splitlines()) \
        if os.path.exists(f"/proc/{pid}/net/ipv6_route") else False
