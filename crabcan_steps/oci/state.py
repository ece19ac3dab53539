"""What is known of a container between two commands: a directory each, below --root.

    ID/config.json    the bundle's, as `create` has read it
    ID/filter.bpf     its filter, compiled
    ID/state.json     its process, cgroups and so on; replaced as a whole, never half written. Until
                      there is "created" in it, whoever makes the container may have been killed
    ID/start          the socket at which the child waits for `start`; gone once it has started
    ID/starting       the same, while a `start` is at it

Whoever changes something holds a lock on the directory (flock(2)); the kernel drops it with them.
Others wait ten seconds, and then say who that is.
"""
import errno
import fcntl
import os
import time

import _socket

from .. import linux
from ..layer import locked
from . import quickjson as json
from .place import FOLDER, NotThere, Refused, default_root, every, hold, make, mine, valid  # noqa: F401

SOCKET, TAKEN, RECORD, CONFIG = "start", "starting", "state.json", "config.json"


class State:
    """One container's directory, open, and what stands in its record."""

    def __init__(self, root, name, folder, top):
        self.path, self.id, self.folder, self.top = f"{root}/{name}", name, folder, top
        self.record = {}

    @classmethod
    def create(cls, root, name):
        """A new directory, locked. Raises Refused if there is one of this id."""
        valid(name)
        make(root)
        top = mine(root)
        try:
            linux.mkdir(name, 0o700, dir_fd=top)
        except FileExistsError:
            raise Refused(f"container with id exists: {name}") from None
        folder = linux.open(name, FOLDER, dir_fd=top)
        fcntl.flock(folder, fcntl.LOCK_EX)
        return cls(root, name, folder, top)

    @classmethod
    def open(cls, root, name, lock=True):
        """A container's directory, with its record. Raises Refused if there is none."""
        try:
            top = mine(root)
            folder = linux.open(valid(name), FOLDER, dir_fd=top)
        except (FileNotFoundError, NotADirectoryError):
            raise NotThere(f"container does not exist: {name}") from None
        state = cls(root, name, folder, top)
        if lock:
            hold(folder, name)
        try:
            with state.file(RECORD) as file:
                state.record = json.load(file)
        except FileNotFoundError:  # while it is made; or whoever made it was killed; or just deleted
            if linux.fstat(folder).st_nlink == 0:
                raise NotThere(f"container does not exist: {name}") from None
        except ValueError as error:
            raise Refused(f"container {name}: its state cannot be read: {error}") from None
        return state

    def file(self, name):
        return open(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self.folder), "rb")

    def config(self):
        """The configuration that the container was made of."""
        try:
            with self.file(CONFIG) as file:
                return json.load(file)
        except FileNotFoundError:  # just deleted; or half, by a `delete` that was killed
            raise NotThere(f"container does not exist: {self.id}") from None

    def write(self, name, data):
        """Puts a file into the directory: whole or not at all."""
        new = f".{name}.{os.getpid()}"
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600,
                     dir_fd=self.folder)
        with open(fd, "wb") as file:
            file.write(data)
        os.rename(new, name, src_dir_fd=self.folder, dst_dir_fd=self.folder)

    def save(self, **more):
        """Writes the record, with these fields."""
        self.record.update(more)
        self.write(RECORD, json.dumps(self.record).encode())

    def remove(self):
        """Takes the directory away. Its files first; the record last, so that it can be done again."""
        names = sorted(linux.listdir(self.folder), key=lambda name: name == RECORD)
        for name in names:
            self.clear(name)
        linux.rmdir(self.id, dir_fd=self.top)

    def clear(self, name):
        """Removes a file, or a directory with files of ours in it."""
        try:
            os.unlink(name, dir_fd=self.folder)
        except IsADirectoryError:
            inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=self.folder)
            for file in linux.listdir(inner):
                os.unlink(file, dir_fd=inner)
            linux.close(inner)
            os.rmdir(name, dir_fd=self.folder)

    def process(self):
        """A pidfd of the container's first process, or None if that has ended."""
        pid = self.record.get("pid")
        if not pid:
            return None
        try:
            pidfd = linux.pidfd_open(pid)
        except ProcessLookupError:
            return None
        if born(pid) == self.record["born"]:  # else it is another, with the same number
            return pidfd
        linux.close(pidfd)
        return None

    def status(self):
        """creating, created, running, paused or stopped, as the specification has them."""
        if "created" not in self.record:
            return "creating" if self.busy() else "stopped"
        process = self.process()
        if process is None:
            return "stopped"
        linux.close(process)
        names = linux.listdir(self.folder)
        if SOCKET in names or TAKEN in names and self.waits():
            return "created"
        if self.groups():
            from .cgroups.record import frozen
            if frozen(self.groups()):
                return "paused"
        return "running"

    def waits(self):
        """Whether its process still listens. If a `start` was killed half-way, only that tells."""
        connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | linux.SOCK_NONBLOCK)
        try:
            connection.connect(f"/proc/self/fd/{self.folder}/{TAKEN}")
        except OSError as error:
            return error.errno == errno.EAGAIN  # others are before us
        finally:
            connection.close()
        return True

    def take(self):
        """For `start`: returns the socket's path, under its other name."""
        try:
            os.rename(SOCKET, TAKEN, src_dir_fd=self.folder, dst_dir_fd=self.folder)
        except FileNotFoundError:
            pass  # of a `start` before us, that was killed
        return f"/proc/self/fd/{self.folder}/{TAKEN}"

    def groups(self):
        """The container's cgroups, or None if its user could not make any."""
        groups = self.record.get("cgroups") or {}
        return groups if groups.get("paths") else None

    def busy(self):
        """Tells whether somebody is making it just now."""
        return locked(os.open(f"/proc/self/fd/{self.folder}", os.O_RDONLY | os.O_CLOEXEC))

    def told(self, status=None):
        """The state as `state` prints it, and as hooks read it."""
        status = status or self.status()
        return {"ociVersion": self.record.get("ociVersion", "1.2.0"), "id": self.id, "status": status,
                "pid": 0 if status == "stopped" else self.record.get("pid", 0),
                "bundle": self.record.get("bundle", ""),
                "annotations": self.record.get("annotations") or {}}


def born(pid):
    """When a process was started, in ticks since boot (proc(5), stat); None if it has ended."""
    try:
        words = linux.read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if words[0] in "ZX" else int(words[19])


def now():
    """The time, as RFC 3339 has it."""
    second, part = divmod(time.time_ns(), 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)) + f".{part:09}Z"
