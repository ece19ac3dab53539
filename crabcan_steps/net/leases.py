"""Who has which address, for chapter 11: a file a container, in one directory, behind one lock.

    /run/crabcan/net-4026531840/     the number of our network namespace: each has a bridge of its own
        lock                         held (flock(2)) by whoever changes anything here
        network                      what the first has set up, for the last to take away
        7                            a lease; its crabcan holds its lock as long as it lives
        7.hosts                      what that container sees as /etc/hosts
        7.init                       its first process
        7.joined                     others have joined its network

The kernel drops a lock with its holder, also after kill -9. So a lease that can be locked is nobody's,
and whoever starts or ends next sweeps it. What we start (nft) has the lock as well, and can be waited for.
"""
import errno
import fcntl
import os

from .. import linux
from ..layer import exists, locked, named
from ..oci.quickjson import dumps, loads
from .names import hosts

RUN = "/run/crabcan"


class Leases:
    """The directory while it is locked: `with Leases() as leases`."""

    def __init__(self):
        self.path = f"{RUN}/net-{linux.stat('/proc/self/ns/net').st_ino}"

    def __enter__(self):
        while True:
            named(self.path, os.makedirs, self.path, 0o700, True)
            try:
                self.lock = named(self.path, linux.open, f"{self.path}/lock",
                                  os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except FileNotFoundError:  # the last one has just taken the directory away
                continue
            fcntl.flock(self.lock, fcntl.LOCK_EX)
            os.set_inheritable(self.lock, True)  # an nft that we have started changes something, too
            if exists(f"{self.path}/lock") and os.path.samestat(os.stat(f"{self.path}/lock"),
                                                                os.fstat(self.lock)):
                return self
            linux.close(self.lock)

    def __exit__(self, *error):
        if os.listdir(self.path) == ["lock"]:  # the last lease has gone, and with it the network
            self.clear("lock")  # who waits for it sees that, and makes a new one
            for folder in self.path, RUN:
                try:
                    os.rmdir(folder)
                except OSError as refused:
                    if refused.errno not in (errno.ENOTEMPTY, errno.EBUSY):  # the next one's; or a mount
                        raise
        linux.close(self.lock)

    def numbers(self):
        """The numbers of all leases."""
        return sorted(int(name) for name in os.listdir(self.path) if name.isdigit())

    def living(self):
        """{number: lease} of those whose crabcan lives."""
        return {number: self.read(str(number)) for number in self.numbers() if self.held(number)}

    def dead(self):
        """{number: lease} of those that a killed one has left; {} for a lease half written."""
        return {number: self.read(str(number)) for number in self.numbers() if not self.held(number)}

    def held(self, number):
        """Tells whether somebody holds a lease's lock."""
        try:
            return locked(linux.open(f"{self.path}/{number}", os.O_RDONLY | os.O_CLOEXEC))
        except FileNotFoundError:
            return False

    def take(self, number, lease):
        """Writes a lease and holds it; returns the descriptor that does."""
        fd = linux.open(f"{self.path}/{number}", os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        fcntl.flock(fd, fcntl.LOCK_EX)
        os.set_inheritable(fd, True)
        self.write(str(number), dumps(lease))
        return fd

    def remove(self, number):
        for kind in ".hosts", ".init", ".joined", "":
            self.clear(f"{number}{kind}")

    def in_use(self, number):
        """Tells whether a container's network may still be somebody's, after its crabcan has ended."""
        init = self.text(f"{number}.init")
        return exists(f"{self.path}/{number}.joined") or bool(init) and exists(f"/proc/{init}")

    def read(self, name):
        """What one of the files says: a dict, {} if there is none or half of one."""
        try:
            return loads(self.text(name))
        except ValueError:
            return {}

    def text(self, name):
        """The text of a file, "" if there is none."""
        return linux.read(f"{self.path}/{name}") if exists(f"{self.path}/{name}") else ""

    def write(self, name, text):
        """Writes a file in place: one that a container has mounted is still the same one."""
        data = text.encode()
        fd = os.open(f"{self.path}/{name}", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            os.pwrite(fd, data, 0)
            os.ftruncate(fd, len(data))
        finally:
            os.close(fd)

    def clear(self, name):
        try:
            os.unlink(f"{self.path}/{name}")
        except FileNotFoundError:
            pass

    def introduce(self):
        """Tells each container who its neighbours are, now that one has come or gone."""
        living = {number: self.read(str(number)) for number in self.numbers()}
        for number, own in living.items():
            text = hosts(own["add_host"], own, [other for other in living.values() if other is not own])
            if text != self.text(f"{number}.hosts"):
                self.write(f"{number}.hosts", text)


def note(number, pid):
    """Writes down the first process of a container that has a lease: ours, so nobody else writes it."""
    linux.write(f"{Leases().path}/{number}.init", str(pid), os.O_WRONLY | os.O_CREAT)


def join(name):
    """The lease of a container by its --name, or of the process with this number: somebody joins its network."""
    with Leases() as leases:
        for number, lease in leases.living().items():
            lease["init"] = leases.text(f"{number}.init")
            if name in (lease["name"], str(lease["pid"]), lease["init"]) and lease["init"]:
                leases.write(f"{number}.joined", "")
                return number, lease
    return None, None
