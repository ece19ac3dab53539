"""The parent's half of the terminal, for chapter 9: it carries what is typed and what is printed.

It never waits for one side only: a stalled terminal (Ctrl-S) must not keep signals from us. What
one side does not take yet is kept, up to a bound, and then the other side has to wait.
"""
import os
import select
import termios
import tty

from .. import linux
from ..clone.signals import default_action, handles, hang_up, in_front

MOST = 1 << 16  # bytes that are kept


class Relay:
    """Carries bytes between our terminal and the container's."""

    def __init__(self, outer, inner, container, ours, keys):
        self.outer, self.container, self.keys = outer, container, keys
        # Ours, too: or whoever closes the last one, and opens it again, could not be heard any more.
        self.inner = inner
        os.set_blocking(outer, False)
        self.terminal = next((fd for fd in ours if fd), 0)  # 0 only if nothing is printed on it
        self.screen = once_more(self.terminal)
        self.typed = self.printed = b""  # and not passed on yet
        self.gone = False  # our terminal
        self.away = None   # the poll() that shall look at our keyboard again, when we are in front
        self.ahead = True  # what is read first may have been typed before we were in raw mode
        self.settings = termios.tcgetattr(0 if keys else self.terminal)
        if keys != "raw":  # our terminal does already what a terminal does with what passes
            inner = termios.tcgetattr(outer)
            inner[1] &= ~termios.OPOST
            inner[3] &= ~(termios.ECHO | termios.ECHONL)
            termios.tcsetattr(outer, termios.TCSANOW, inner)
        self.take()

    def ready(self):
        """What wait() shall watch, for which events, and what to do then."""
        watched = {self.outer: (select.POLLIN, self.carry), self.screen: (0, self.show)}
        return watched | ({0: (select.POLLIN, self.hear)} if self.keys else {})

    def take(self):
        """From now on every key is for the container, Ctrl-C too; not if a job in the background."""
        self.resize()
        if self.keys == "raw" and in_front():
            alive(tty.setraw, 0, termios.TCSADRAIN)  # not its default, which drops what was typed
        if self.away and in_front():
            self.away.modify(0, select.POLLIN)
            self.away = None

    def release(self):
        """Makes our terminal what it was."""
        if self.keys == "raw":
            alive(termios.tcsetattr, 0, termios.TCSADRAIN, self.settings)

    def resize(self):
        """Gives the container's terminal the size of ours."""
        size = alive(linux.ioctl, self.terminal, termios.TIOCGWINSZ, bytes(8))
        if size:
            linux.ioctl(self.outer, termios.TIOCSWINSZ, size)

    def show(self, poll, events):
        """Our terminal takes something again, or it is gone: closed, or a connection lost."""
        if not events & (select.POLLHUP | select.POLLERR):
            return self.carry(poll)
        for fd in (self.screen, self.outer, *((0,) if self.keys else ())):
            alive(poll.unregister, fd)
        self.keys, self.printed, self.gone = None, b"", True
        os.close(self.outer)  # then the container's is gone, too
        self.outer = os.open("/dev/null", os.O_RDWR)
        return hang_up(self.container)

    def hear(self, poll, events):
        """There is something at our keyboard."""
        if not self.gone and not in_front() and not events & (select.POLLHUP | select.POLLERR):
            self.away = poll  # what is typed now is another's
            return poll.modify(0, 0)
        data = None if self.gone else alive(os.read, 0, 4096)
        if data is None or data == b"" and self.keys == "raw":
            self.keys = None  # our terminal is gone
            return alive(poll.unregister, 0)
        if self.keys == "lines":
            data = data or self.settings[6][termios.VEOF]
        elif self.ahead:  # the kernel has kept a Ctrl-D of that time as a zero byte
            data, self.ahead = data.replace(b"\0", self.settings[6][termios.VEOF]), False
        self.typed += data
        self.carry(poll)
        if self.keys == "raw":
            self.see_to_signals(data)

    def see_to_signals(self, data):
        """Sees to it that Ctrl-C, Ctrl-\\ and Ctrl-Z reach a PID 1 that has no handler for them."""
        settings = termios.tcgetattr(self.outer)
        special = settings[6]
        if not settings[3] & termios.ISIG or os.tcgetpgrp(self.outer) != self.container.pid:
            return
        for key, number in ((termios.VINTR, linux.SIGINT), (termios.VQUIT, linux.SIGQUIT),
                            (termios.VSUSP, linux.SIGTSTP)):
            if special[key] in data and not handles(self.container.pid, number):
                default_action(self.container, number)

    def carry(self, poll, events=0):
        """Carries what can be carried now, both ways; watches for what cannot yet."""
        if self.gone:
            return
        fresh = read_now(self.outer) if len(self.printed) < MOST else b""
        self.printed = write_now(self.screen, self.printed + fresh)
        self.typed = write_now(self.outer, self.typed)
        poll.modify(self.outer, select.POLLIN * (len(self.printed) < MOST)
                    | select.POLLOUT * bool(self.typed))
        poll.modify(self.screen, select.POLLOUT * bool(self.printed))
        if self.keys and not self.away:
            poll.modify(0, select.POLLIN * (len(self.typed) < MOST))

    def close(self):
        """Prints what is still under way, unless a signal has said to end; restores our terminal."""
        poll = select.poll()
        poll.register(self.screen, select.POLLOUT)
        poll.register(self.container.signals, select.POLLIN)
        while True:
            self.printed += read_now(self.outer) if len(self.printed) < MOST else b""
            if not self.printed:
                break
            able = dict(linux.poll(poll, 0 if self.container.told_to_end else None))
            if self.screen not in able or self.container.signals in able:
                break
            self.printed = write_now(self.screen, self.printed)
        os.close(self.outer)
        os.close(self.inner)
        self.release()
        os.set_blocking(self.screen, True)
        os.close(self.screen)


def once_more(fd):
    """Our terminal, opened again: not to wait in a write is then a setting of our own.

    After `su` it is another user's and cannot be; then whoever shares it has the setting, too."""
    try:
        return os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError:
        again = os.dup(fd)
        os.set_blocking(again, False)
        return again


def read_now(fd):
    """What can be read now: b"" if nothing can."""
    try:
        return os.read(fd, MOST)
    except OSError:
        return b""


def write_now(fd, data):
    """Writes what fits now; returns the rest. Nothing is left where nobody will ever take it."""
    try:
        return data[os.write(fd, data):] if data else data
    except BlockingIOError:
        return data
    except OSError:
        return b""


def alive(call, *args):
    """Makes a call on our terminal; None if that is gone."""
    try:
        return call(*args)
    except (OSError, termios.error, KeyError):  # KeyError: was not watched any more
        return None
