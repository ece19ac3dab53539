"""Sockets of others, at which we call: an engine's, or whoever decides about system calls."""
import errno
import struct

import _socket

from ..layer import named

PATIENCE = 5  # seconds: somebody who does not take the call in time has stopped, or is no such thing
CURES = {("connect", errno.EAGAIN): "whoever listens there takes no calls: has it stopped?",
         ("connect", None): "is somebody listening there?"}


def socket(kind=_socket.SOCK_STREAM):
    """A UNIX socket that waits no longer than that, to connect or to send (SO_SNDTIMEO, socket(7))."""
    found = _socket.socket(_socket.AF_UNIX, kind)
    found.setsockopt(_socket.SOL_SOCKET, _socket.SO_SNDTIMEO, struct.pack("2l", PATIENCE, 0))
    return found


def call(path, about, undo):
    """Connects to whoever listens at a path. Raises OSError, with what it was about."""
    found = socket()
    undo.callback(found.close)
    named(f"{about} {path}", found.connect, path)
    return found
