"""A terminal of the container's own, for chapter 9 (pty(7), TIOCSCTTY in ioctl_tty(2)).

Without it the container would sit at yours: it could type for you, and job control would end at
the edge of its PID namespace. So it gets the inner end of a new pseudo-terminal, and we carry
what is typed and printed between that and yours.
"""
import errno
import os
import select
import signal
import struct
import termios
import tty

from . import linux
from .layer import Layer, Stage, named
from .signals import default_action, handles

TIOCGPTPEER, TIOCSPTLCK = 0x5441, 0x40045431


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
        linux.ioctl(inner, termios.TIOCSCTTY, 0)
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
        self.theirs.close()
        _, fds, _, _ = socket.recv_fds(self.ours, 1, 1)
        relay = container.terminal = Relay(fds[0], container)
        container.undo.callback(relay.close)
        return {0: relay.typed, relay.outer: relay.printed}


class Relay:
    """Carries bytes between our terminal and the container's."""

    def __init__(self, outer, container):
        self.outer, self.container, self.pending = outer, container, b""
        os.set_blocking(outer, False)
        self.settings = termios.tcgetattr(0)
        self.ahead = True  # what is read first may have been typed before we were in raw mode
        self.take()

    def take(self):
        """From now on every key is for the container, Ctrl-C too."""
        self.resize()
        tty.setraw(0, termios.TCSADRAIN)  # not its default, which drops what was typed ahead

    def release(self):
        """Makes our terminal what it was."""
        termios.tcsetattr(0, termios.TCSADRAIN, self.settings)

    def resize(self):
        """Gives the container's terminal the size of ours."""
        size = linux.ioctl(0, termios.TIOCGWINSZ, bytes(8))
        linux.ioctl(self.outer, termios.TIOCSWINSZ, size)

    def typed(self, poll):
        """There is something at our keyboard."""
        try:
            data = os.read(0, 4096)
        except OSError:
            data = b""
        if not data:
            poll.unregister(0)  # our terminal is gone
        if self.ahead:  # the kernel has kept a Ctrl-D of that time as a zero byte
            data, self.ahead = data.replace(b"\0", self.settings[6][termios.VEOF]), False
        self.pending += data
        self.push(poll)
        self.watch(data)

    def watch(self, data):
        """Sees to it that Ctrl-C, Ctrl-\\ and Ctrl-Z reach a PID 1 that has no handler for them."""
        settings = termios.tcgetattr(self.outer)
        special = settings[6]
        if not settings[3] & termios.ISIG or os.tcgetpgrp(self.outer) != self.container.pid:
            return
        for key, number in ((termios.VINTR, signal.SIGINT), (termios.VQUIT, signal.SIGQUIT),
                            (termios.VSUSP, signal.SIGTSTP)):
            if special[key] in data and not handles(self.container.pid, number):
                default_action(self.container, number)

    def push(self, poll):
        """Passes on what was typed; what does not fit waits until the container reads."""
        try:
            self.pending = self.pending[os.write(self.outer, self.pending):]
        except BlockingIOError:
            pass
        poll.modify(self.outer, select.POLLIN | (select.POLLOUT if self.pending else 0))

    def printed(self, poll):
        """The container has printed something, or has read something."""
        if self.pending:
            self.push(poll)
        try:
            copy(os.read(self.outer, 65536))
        except BlockingIOError:
            pass
        except OSError:
            poll.unregister(self.outer)  # EIO: nobody has the inner end open any more

    def close(self):
        """Prints what is still under way, and makes our terminal what it was."""
        try:
            while data := os.read(self.outer, 65536):
                copy(data)
        except OSError:
            pass
        os.close(self.outer)
        self.release()


def copy(data):
    while data:
        data = data[os.write(1, data):]
