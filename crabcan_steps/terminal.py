"""A terminal of the container's own, for chapter 9 (pty(7), TIOCSCTTY in ioctl_tty(2)).

Without it the container would sit at yours: it could type for you, and job control would end at
the edge of its PID namespace. So it gets the inner end of a new pseudo-terminal, and we carry
what is typed and printed between that and yours.
"""
import errno
import os
import struct

from . import linux
from .layer import Layer, Stage, named

TIOCSCTTY, TIOCGPTPEER, TIOCSPTLCK = 0x540E, 0x5441, 0x40045431  # <asm-generic/ioctls.h>


class Terminal(Layer):
    """A session of the container's own, and a terminal if we have one ourselves."""
    chapter, name, stage = 9, "terminal", Stage.TERMINAL
    cures = {("open", errno.ENOENT): "the container has no /dev/pts"}

    def prepare(self, spec, undo):
        self.wanted = os.isatty(0) and os.isatty(1)
        self.uid = spec.uid
        if self.wanted:
            import socket  # only now: it costs 3 ms
            self.ours, self.theirs = socket.socketpair()
            undo.callback(self.ours.close)
            undo.callback(self.theirs.close)

    def child(self):
        linux.setsid()
        if not self.wanted:
            return
        outer = named("/dev/pts/ptmx", os.open, "/dev/pts/ptmx", os.O_RDWR | os.O_NOCTTY)
        linux.ioctl(outer, TIOCSPTLCK, struct.pack("i", 0))
        inner = linux.ioctl(outer, TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY)
        linux.ioctl(inner, TIOCSCTTY, 0)
        linux.fchown(inner, self.uid, -1)
        for fd in (0, 1, 2):
            if os.isatty(fd):
                linux.dup2(inner, fd)
        rights = (linux.SOL_SOCKET, linux.SCM_RIGHTS, struct.pack("i", outer))
        self.theirs.sendmsg([b"t"], [rights])  # socket.send_fds would import something, in here

    def connect(self, container):
        """In the parent: takes the outer end; returns what wait() shall watch."""
        if not self.wanted:
            return None
        import socket
        from .relay import Relay  # only with a terminal
        self.theirs.close()
        _, fds, _, _ = socket.recv_fds(self.ours, 1, 1)
        relay = container.terminal = Relay(fds[0], container)
        container.undo.callback(relay.close)
        return {0: relay.typed, relay.outer: relay.printed}
