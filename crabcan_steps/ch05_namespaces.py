"""Chapter 5: users, IPC, network, cgroups and time of its own. From here on nobody needs sudo.

The user namespace is the strongest of them: whoever is root in it is, for all the rest of the
machine, an ordinary user whom nobody knows (user_namespaces(7)).
"""
import errno
import os
import struct

from . import linux
from .layer import Layer, LayerError, Stage, exists, named, powerless, warn
from .namespaces.ranges import NEWIDMAP, ROOT_RANGE, helper, subordinate

SIOCSIFFLAGS, IFF_UP = 0x8914, 1  # netdevice(7)
CAP_SETFCAP = 31  # <linux/capability.h>


class Users(Layer):
    """A user namespace, its ids mapped to ids that own nothing on the host."""
    chapter, name, flags, stage = 5, "namespaces", linux.CLONE_NEWUSER, Stage.USERS
    cures = {
        ("uid", errno.EINVAL): "above the map; more ids come from /etc/subuid (see subuid(5))",
        ("write", errno.EPERM): "the host lacks these ids: give root a range in /etc/subuid and subgid",
        ("newuidmap", 0): "compare /etc/subuid with uid_map(7); `workshop doctor` looks closer",
        ("newgidmap", 0): "compare /etc/subgid with gid_map(7); `workshop doctor` looks closer",
        ("setgroups", errno.EPERM): powerless,
    }

    def prepare(self, spec, undo):
        # In an ordinary user's container root cannot let go of groups, nor give ids: it is one, too.
        self.root = os.geteuid() == 0 and linux.read("/proc/self/setgroups").strip() == "allow"
        ranges = {kind: subordinate(kind) for kind in NEWIDMAP}
        if self.root:
            self.maps = {k: [(0, *(r or ROOT_RANGE))] for k, r in ranges.items()}
        else:
            own = {"uid": os.getuid(), "gid": os.getgid()}
            self.helped = os.geteuid() != 0 and all(ranges.values()) and all(map(exists, NEWIDMAP.values()))
            self.maps = {k: [(0, own[k], 1)] for k in own}
            if self.helped:
                for kind, (first, count) in ranges.items():
                    self.maps[kind].append((1, first, count))
        spec.ids = min(sum(count for _, _, count in lines) for lines in self.maps.values())
        self.binds = [bind for bind in getattr(spec, "binds", ()) if bind.shift]
        if self.root and self.binds:
            spec.withheld = {"SETFCAP"}
        for bind in getattr(spec, "binds", ()) if self.root else ():
            if bind.option in map("--device {0[0]}".format, spec.device) \
                    and linux.fstat(bind.tree).st_mode & 0o006 != 0o006:
                warn(f"{bind.option}: its mode keeps it from everybody in here (its owner is the "
                     "host's root): chmod it, or --layers all,-namespaces")

    def parent(self, pid, undo):
        """Writes the maps: only from outside may they name ids other than our own."""
        for kind, lines in self.maps.items():
            if self.root:
                linux.write(f"/proc/{pid}/{kind}_map", "".join("%d %d %d\n" % x for x in lines))
            elif self.helped:
                helper(NEWIDMAP[kind], pid, *(word for line in lines for word in line))
            else:
                if kind == "gid":  # or a group that takes rights away could be left
                    linux.write(f"/proc/{pid}/setgroups", "deny")
                linux.write(f"/proc/{pid}/{kind}_map", "%d %d %d\n" % lines[0])
        if self.root and self.binds:
            self.shift(pid)

    def shift(self, pid):
        """Makes files that the host's root owns the container root's, by idmapped mounts.

        See mount_setattr(2), MOUNT_ATTR_IDMAP. Not every file system can."""
        path = f"/proc/{pid}/ns/user"
        namespace, refused = named(path, linux.open, path, os.O_RDONLY), {}
        for bind in self.binds:
            try:
                linux.mount_setattr("", linux.AT_EMPTY_PATH | linux.AT_RECURSIVE,
                                    linux.MOUNT_ATTR_IDMAP, userns_fd=namespace, dir_fd=bind.tree)
            except OSError as error:
                refused.setdefault(error.strerror, []).append(bind.source)
        for reason, sources in refused.items():
            warn(f"{', '.join(sources)}: cannot shift ids ({reason}): files in there belong to "
                 "nobody, and may be unreadable")
        linux.close(namespace)

    def child(self):
        if self.root or self.helped:
            linux.setgroups(())
        linux.setresgid(0, 0, 0)
        linux.setresuid(0, 0, 0)
        if self.root and self.binds:
            # Whoever gives a shifted file capabilities gives them to the host's file, and the host
            # believes them: so this one, and only this one, is gone for good already here.
            linux.prctl(linux.PR_CAPBSET_DROP, CAP_SETFCAP)


class Keyring(Layer):
    """A session keyring of its own: keys have no namespace, and the caller's would be inherited.

    session-keyring(7), keyctl(2)."""
    chapter, name, stage = 5, "namespaces", Stage.KEYRING
    cures = {("keyctl", errno.EDQUOT): "your quota of keys is used up: see /proc/key-users"}

    def prepare(self, spec, undo):
        self.kernel_has_keys = exists("/proc/keys")

    def child(self):
        if self.kernel_has_keys:
            linux.keyctl(linux.KEYCTL_JOIN_SESSION_KEYRING, 0)  # 0: a new one without a name


class Identity(Layer):
    """The user who was asked for, with group, groups and home as the container's own files say."""
    chapter, name, stage = 5, "namespaces", Stage.IDENTITY
    options = {"uid": "--uid", "user": "--user"}

    def prepare(self, spec, undo):
        self.uid, self.gid, self.groups = 0, 0, ()
        if spec.user:
            from .namespaces.accounts import account  # only now, as few ask for it
            self.uid, self.gid, self.groups, spec.home = account(spec)
        for number in self.uid, self.gid, *self.groups:
            if number >= spec.ids:
                raise LayerError(self.name, "uid", errno.EINVAL,
                                 f"--uid {number}: the map has {spec.ids}")
        spec.uid = self.uid

    def child(self):
        if self.uid or self.gid or self.groups:
            linux.prctl(linux.PR_SET_KEEPCAPS, 1)  # chapter 6 decides about them, not this change
            linux.setgroups(self.groups)
            linux.setresgid(self.gid, self.gid, self.gid)
            linux.setresuid(self.uid, self.uid, self.uid)


class Network(Layer):
    """Low ports and ping for everybody inside: what they guard on a shared machine is not shared.

    ip(7) and icmp(7); both are settings of a network namespace, and Docker sets them, too."""
    chapter, name, stage = 5, "namespaces", Stage.HOSTNAME  # our own /proc has /proc/sys read-only
    settings = {"ip_unprivileged_port_start": "0", "ping_group_range": "0 {last}"}

    def prepare(self, spec, undo):
        self.last = spec.ids - 1

    def child(self):
        for name, text in self.settings.items():
            try:
                linux.write(f"/proc/sys/net/ipv4/{name}", text.format(last=self.last))
            except OSError:
                pass  # the host's own is read-only, or older: then it takes a capability, as ever


class Namespaces(Layer):
    """IPC, network, cgroup and time namespaces."""
    chapter, name, stage = 5, "namespaces", Stage.NAMESPACES
    flags = linux.CLONE_NEWIPC | linux.CLONE_NEWNET
    if os.path.exists("/proc/self/ns/time"):  # since Linux 5.6, if configured
        flags |= linux.CLONE_NEWTIME

    def child(self):
        linux.unshare(linux.CLONE_NEWCGROUP)  # not earlier: its root is the cgroup that we are in
        if not self.flags & linux.CLONE_NEWNET:  # chapter 11: another's
            return
        lo = linux.socket(linux.AF_INET, linux.SOCK_DGRAM)
        linux.ioctl(lo, SIOCSIFFLAGS, struct.pack("16sH22x", b"lo", IFF_UP))
        linux.close(lo)
