"""The parent's half of the terminal, for chapter 9: it carries what is typed and what is printed."""
import os
import select
import termios
import tty

from . import linux
from .signals import default_action, handles


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
        for key, number in ((termios.VINTR, linux.SIGINT), (termios.VQUIT, linux.SIGQUIT),
                            (termios.VSUSP, linux.SIGTSTP)):
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
