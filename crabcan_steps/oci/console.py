"""A terminal of the container's own, opened in its /dev/pts, and handed to whoever wants to use it.

The other end goes through a socket (SCM_RIGHTS in unix(7)): an engine's, or for `run` our own.
"""
import errno
import os
import stat
import struct

import _socket

from .. import linux
from ..mounts.root import NO_LINKS
from ..layer import Layer, LayerError, Stage, named
from . import calling

PTMX = os.makedev(5, 2)  # whoever is in there may have put something else in its place
BARE = linux.RESOLVE_NO_SYMLINKS | linux.RESOLVE_NO_MAGICLINKS
TIOCSCTTY, TIOCGPTPEER, TIOCSPTLCK, TIOCSWINSZ = 0x540E, 0x5441, 0x40045431, 0x5414


class Console(Layer):
    """pty(7). Its inner end is standard input, output and error, and /dev/console."""
    chapter, name, stage = 10, "terminal", Stage.TERMINAL
    cures = calling.CURES | {
        ("openat2", errno.ENOENT): "process.terminal wants a devpts at /dev/pts: see `mounts`"}

    def prepare(self, spec, undo):
        self.spec = spec
        self.joins = bool(spec.settings.get("exec"))
        path = spec.settings.get("console-socket")
        self.ours = None
        if path:
            self.socket = calling.call(path, "--console-socket", undo)
        elif spec.settings.get("detached"):
            raise LayerError(self.name, "process.terminal", 0,
                             "a terminal wants --console-socket: nobody would hold its other end")
        else:
            self.ours, self.socket = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM)
            undo.callback(self.ours.close)
            undo.callback(self.socket.close)
        size = spec.process.get("consoleSize") or {}
        self.size = struct.pack("4H", size.get("height") or 0, size.get("width") or 0, 0, 0)
        self.uid = spec.uid

    def child(self):
        outer = linux.openat2(linux.AT_FDCWD, "/dev/pts/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK, BARE)
        status = linux.fstat(outer)
        if not stat.S_ISCHR(status.st_mode) or status.st_rdev != PTMX:
            raise LayerError(self.name, "open", errno.ENXIO, "/dev/pts/ptmx is no such thing in there")
        os.set_blocking(outer, True)
        linux.ioctl(outer, TIOCSPTLCK, struct.pack("i", 0))
        inner = linux.ioctl(outer, TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY)
        if self.size != bytes(8):
            linux.ioctl(outer, TIOCSWINSZ, self.size)
        try:
            linux.fchown(inner, self.uid, -1)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EPERM):  # no such user in the map
                raise
        name = os.fsencode(f"/dev/pts/{pts_number(outer)}")
        if not self.joins:
            self.as_console(inner)
        linux.ioctl(inner, TIOCSCTTY, 0)
        for fd in (0, 1, 2):
            linux.dup2(inner, fd)
        rights = (linux.SOL_SOCKET, linux.SCM_RIGHTS, struct.pack("i", outer))
        self.socket.sendmsg([name], [rights])

    def as_console(self, inner):
        """Binds the terminal over /dev/console: the very file that we hold, not one looked up again."""
        mount = linux.open_tree("", linux.OPEN_TREE_CLONE | linux.AT_EMPTY_PATH, dir_fd=inner)
        there = self.spec.root.place("/dev/console", False, NO_LINKS)
        named("/dev/console", linux.move_mount, mount, there)
        linux.close(mount)
        linux.close(there)


def pts_number(outer):
    """The number of a terminal (TIOCGPTN in ioctl_tty(2))."""
    return struct.unpack("i", linux.ioctl(outer, 0x80045430, bytes(4)))[0]
