"""A terminal of the container's own, for chapter 9 (pty(7), TIOCSCTTY in ioctl_tty(2)).

Whoever has a descriptor of a terminal can read what is typed there, change how it behaves, and type
for its owner, even if it was only meant for output: a terminal is opened for both. So wherever one
of descriptors 0 to 2 is yours, the container gets the inner end of a new pseudo-terminal instead,
and we carry what is printed and, if it is to have the keys, what is typed.
"""
import errno
import fcntl
import os
import stat
import struct

from .. import linux
from ..clone.signals import in_front, lose_reader
from ..layer import Layer, Stage, named
from ..mounts.root import OWN

TIOCSCTTY, TIOCGPTPEER, TIOCSPTLCK = 0x540E, 0x5441, 0x40045431  # <asm-generic/ioctls.h>
WAYS = {os.O_RDONLY: 0o044, os.O_WRONLY: 0o022, os.O_RDWR: 0o066}


class Terminal(Layer):
    """A session of the container's own, and a terminal for each that we have ourselves."""
    chapter, name, stage = 9, "terminal", Stage.TERMINAL
    cures = {("open", errno.ENOENT): "the container has no /dev/pts"}

    def prepare(self, spec, undo):
        self.spec = spec
        self.ours = [fd for fd in (0, 1, 2) if os.isatty(fd)]
        self.keys = wants_keys()
        self.pipes = [fd for fd in (0, 1, 2) if is_pipe(fd)]
        if self.ours:
            import socket  # only now: it costs 3 ms
            self.control, self.theirs = socket.socketpair()
            undo.callback(self.control.close)
            undo.callback(self.theirs.close)
            self.null = named("/dev/null", os.open, "/dev/null", os.O_RDONLY)
            undo.callback(linux.close, self.null)

    def parent(self, pid, undo):
        """Lets whoever will be inside open our pipes again, each for what it is open for already.

        Or /dev/stdout could not be opened in there. Not given away: others of a pipeline have them too."""
        for fd in self.pipes:
            mode = stat.S_IMODE(linux.fstat(fd).st_mode)
            way = named(f"descriptor {fd}", fcntl.fcntl, fd, fcntl.F_GETFL) & os.O_ACCMODE
            try:
                linux.chmod(fd, mode | WAYS[way])
            except PermissionError:
                pass  # somebody else's: then only those that are open

    def child(self):
        linux.setsid()
        if not self.ours:
            return
        pts = OWN.get("/dev/pts")  # chapter 4's; without it the machine's
        path = "/dev/pts/ptmx" if pts is None else "ptmx"
        outer = linux.open(path, os.O_RDWR | os.O_NOCTTY, dir_fd=pts)
        linux.ioctl(outer, TIOCSPTLCK, struct.pack("i", 0))
        mode = os.O_RDWR if self.keys else os.O_WRONLY  # where no keys come, to wait would be in vain
        inner = linux.ioctl(outer, TIOCGPTPEER, mode | os.O_NOCTTY)
        if self.keys:
            linux.ioctl(inner, TIOCSCTTY, 0)
        linux.fchown(inner, self.spec.uid, -1)
        for fd in self.ours:
            linux.dup2(inner if fd or self.keys else self.null, fd)
        rights = (linux.SOL_SOCKET, linux.SCM_RIGHTS, struct.pack("i", outer))
        self.theirs.sendmsg([b"t"], [rights])  # socket.send_fds would import something, in here

    def connect(self, container):
        """In the parent: takes the outer end; returns what wait() shall watch."""
        watched = {fd: (0, lambda poll, events, fd=fd: lose_reader(container, fd, poll))
                   for fd in self.pipes if fd}  # 0: no event but the end of whoever reads
        if not self.ours:
            return watched
        import socket
        from .relay import Relay  # only with a terminal
        self.theirs.close()
        _, fds, _, _ = socket.recv_fds(self.control, 1, 1)
        inner = linux.ioctl(fds[0], TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY)
        relay = container.terminal = Relay(fds[0], inner, container, self.ours, self.keys)
        container.undo.callback(relay.close)
        return watched | relay.ready()


def wants_keys():
    """How the keys are to be carried: each one ("raw"), line by line ("lines"), or not at all (None).

    Not in a pipeline, where what comes after us may want them, and not in the background."""
    if not os.isatty(0) or not in_front():
        return None
    if os.isatty(1):
        return "raw"
    return None if stat.S_ISFIFO(linux.fstat(1).st_mode) else "lines"


def is_pipe(fd):
    """Tells whether a descriptor is a pipe without a name: nobody else's file."""
    return linux.readlink(f"/proc/self/fd/{fd}").startswith("pipe:")
