"""run and exec without --detach: our terminal, or our pipes, carry what the container's terminal says."""
import os
import select

import _socket

from .. import linux
from ..runtime.terminal import wants_keys
from .console import TIOCGPTPEER, Console


def follow(container, chain):
    """What wait() is to watch while the container runs; None where it has our own 0 to 2."""
    console = next((layer for layer in chain if isinstance(layer, Console)), None)
    if console is None or console.ours is None:
        return None
    console.socket.close()
    outer = receive(console.ours)
    ours = [fd for fd in (0, 1, 2) if os.isatty(fd)]
    if 1 in ours:  # else all that it prints goes into the pipe or file, wherever its keys come from
        from ..runtime.relay import Relay
        inner = linux.ioctl(outer, TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY)
        container.terminal = Relay(outer, inner, container, ours, wants_keys())
    else:
        container.terminal = Pipes(outer)
    return container.terminal.ready()


def receive(socket):
    """The descriptor that the child sends."""
    _, data, _, _ = socket.recvmsg(4096, _socket.CMSG_SPACE(4))
    return int.from_bytes(data[0][2][:4], "little")


class Pipes:
    """Carries between a terminal in the container and descriptors 0 and 1, which are none."""

    def __init__(self, outer):
        self.outer = outer

    def ready(self):
        return {self.outer: (select.POLLIN, self.show), 0: (select.POLLIN, self.hear)}

    def show(self, poll, events):
        try:
            data = os.read(self.outer, 1 << 16)
        except OSError:  # nobody has it open any more
            return poll.unregister(self.outer)
        while data:
            data = data[os.write(1, data):]
        return None

    def hear(self, poll, events):
        data = os.read(0, 1 << 12)
        if not data:
            poll.unregister(0)
            data = b"\4"  # Ctrl-D: the end of what is typed
        os.write(self.outer, data)

    def take(self):
        """Nothing of ours is changed."""

    release = resize = take

    def close(self):
        """Prints what is still under way."""
        os.set_blocking(self.outer, False)
        try:
            while data := os.read(self.outer, 1 << 16):
                os.write(1, data)
        except OSError:
            pass
        os.close(self.outer)
