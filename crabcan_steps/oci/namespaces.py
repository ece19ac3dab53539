"""Which namespaces are new, which are joined, and which stay our caller's (namespaces(7), setns(2))."""
import errno
import os

from .. import linux
from ..ch03_hostname import Hostname
from ..ch05_namespaces import NEWIDMAP, Users
from ..ch10_bundle import FILES, KINDS, Join, become_root
from ..layer import Layer, LayerError, Stage, exists, named
from . import procfs
from .sysctl import path_of

LATE = ("cgroup", "time")  # made by the child itself: the one in its cgroup, the other with its clocks
SIOCSIFFLAGS, IFF_UP = 0x8914, 1


class Spaces(Join):
    """New namespaces by clone's flags; others are joined."""

    def prepare(self, spec, undo):
        self.proc = spec.proc = procfs.hold(undo)
        new = [kind for kind, path in spec.spaces.items() if not path]
        self.flags = sum(KINDS[kind] for kind in new if kind not in LATE)
        self.late = [kind for kind in new if kind in LATE]
        if "time" in new and not exists("/proc/self/ns/time"):
            raise LayerError(self.name, "linux.namespaces: time", errno.ENOSYS)
        self.offsets = spec.linux.get("timeOffsets") or {}
        self.hold(spec, undo)
        self.before = [] if "user" in spec.spaces and spec.spaces["user"] else [
            (kind, fd) for kind, fd in self.joins if kind not in ("pid", "mount", "cgroup")
            and "user" in new]  # those of the outer user namespace: from inside they could not be
        self.joins = [join for join in self.joins if join not in self.before]
        for kind, fd in self.before:
            come_back(kind, undo)
            named(spec.spaces[kind], linux.setns, fd, KINDS[kind])
        self.join_pid(undo)

    def child(self):
        super().child()
        if "time" in self.late:
            self.own_time()

    def own_time(self):
        """A time namespace is made for one's children, gets its offsets, and only then is entered."""
        linux.unshare(linux.CLONE_NEWTIME)
        for clock, offset in self.offsets.items():
            procfs.write(self.proc, "self/timens_offsets",
                         f"{clock} {offset.get('secs') or 0} {offset.get('nanosecs') or 0}")
        fd = procfs.namespace(self.proc, "time_for_children")
        linux.setns(fd, linux.CLONE_NEWTIME)
        linux.close(fd)


def come_back(kind, undo):
    """Sees to it that we ourselves are where we were, if no container comes of it."""
    fd = linux.open(f"/proc/self/ns/{FILES[kind]}", os.O_RDONLY)
    undo.callback(linux.close, fd)
    undo.callback(linux.setns, fd, KINDS[kind])


class Maps(Users):
    """The user namespace of chapter 5, with the maps of the bundle."""
    chapter, name, flags = 10, "namespaces", 0

    def prepare(self, spec, undo):
        self.joined = bool(spec.spaces["user"])
        self.root, self.binds = os.geteuid() == 0, []
        self.maps = {kind: lines(spec.linux.get(f"{kind}Mappings")) for kind in ("uid", "gid")}
        own = {"uid": os.getuid(), "gid": os.getgid()}
        alone = all(len(maps) == 1 and maps[0][1:] == (own[kind], 1) for kind, maps in self.maps.items())
        self.helped = not self.root and not alone
        if self.helped and not self.joined:
            for kind, program in NEWIDMAP.items():
                if not exists(program):
                    raise LayerError(self.name, f"linux.{kind}Mappings", errno.EPERM,
                                     f"more ids than one's own take {program} (package uidmap)")

    def parent(self, pid, undo):
        if not self.joined:
            super().parent(pid, undo)

    def child(self):
        if not self.joined:
            become_root()


def lines(mappings):
    """Mappings of the specification as lines of uid_map(5)."""
    return [(m["containerID"], m["hostID"], m["size"]) for m in mappings or ()]


def outside(maps, number):
    """Whose id on the machine a container's is; None if it is in no map."""
    return next((host + number - first for first, host, count in maps if first <= number < first + count), None)


class UtsName(Hostname):
    """The names of chapter 3: given, or left as they are."""
    flags = 0  # Spaces knows which namespaces are new

    def prepare(self, spec, undo):
        self.hostname, self.domainname = spec.hostname, spec.config.get("domainname")

    def child(self):
        if self.hostname:
            linux.sethostname(self.hostname)
        if self.domainname:
            linux.setdomainname(self.domainname)


class Network(Layer):
    """What only the namespaces' own /proc/sys can be told, and the loopback of a new network."""
    chapter, name, stage = 10, "namespaces", Stage.HOSTNAME  # while /proc is the machine's
    cures = {("write", errno.ENOENT): "this kernel has no such setting"}

    def prepare(self, spec, undo):
        self.loopback = "network" in spec.spaces and not spec.spaces["network"]
        self.spec = spec
        self.settings = [(f"sys/{path_of(name)}", value)
                         for name, value in (spec.linux.get("sysctl") or {}).items()]
        self.own_cgroup = "cgroup" in spec.spaces and not spec.spaces["cgroup"]

    def child(self):
        if self.own_cgroup:
            linux.unshare(linux.CLONE_NEWCGROUP)  # we are in our cgroup by now
        if self.loopback:
            socket = linux.socket(linux.AF_INET, linux.SOCK_DGRAM)
            linux.ioctl(socket, SIOCSIFFLAGS, b"lo" + bytes(14) + IFF_UP.to_bytes(2, "little") + bytes(22))
            linux.close(socket)
        for path, value in self.settings:
            procfs.write(self.spec.proc, path, value)
