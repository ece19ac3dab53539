"""Goes into a room (or any container) as setns(2) lets one: to start a program there, or to ask.

Whoever goes in is a copy of the judge that calls and does nothing else: it imports nothing, opens
no file of the room's, and stays in our PID namespace, where nobody inside can name it. Only the
program that it starts lives in the room's.
"""
import ctypes
import os
import signal

from crabcan_steps import linux

libc = ctypes.CDLL(None, use_errno=True)
ORDER = ("user", "cgroup", "ipc", "uts", "net", "time", "pid", "mnt")  # user first: it gives the rest
FORGOTTEN = (signal.SIGINT, signal.SIGPIPE, signal.SIGTERM, signal.SIGCHLD)  # what we do about them
PR_SET_DUMPABLE = 4


class Place:
    """The namespaces of a process, held open: whatever becomes of its number."""

    def __init__(self, pid, names=ORDER):
        self.fds = [os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY) for name in names
                    if name != "time" or os.path.exists(f"/proc/{pid}/ns/time")]

    def close(self):
        for fd in self.fds:
            os.close(fd)

    def enter(self):
        """Moves the caller in, and makes it the root there."""
        linux.prctl(PR_SET_DUMPABLE, 0)
        for fd in self.fds:
            if libc.setns(fd, 0) == -1:
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number), "setns")
        try:
            os.setgroups(())
        except PermissionError:
            pass  # an ordinary user's: "deny" stands in setgroups
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)

    def ask(self, deed, most=4096):
        """What a function of ours returns in there, as bytes; b"" if it fails."""
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                self.enter()
                os.write(write, deed()[:most])
            finally:
                os._exit(0)
        os.close(write)
        with open(read, "rb") as file:
            said = file.read(most)
        os.waitpid(child, 0)
        return said


class Visit:
    """A program that runs in the room, and the copy of us that waits for its end."""

    def __init__(self, place, words, env, stdin, stdout, stderr, before=(), within=()):
        """`before` is done outside (to be in the room's cgroups), `within` by the program's
        process, as the room's root (limits, keys)."""
        words, env = [os.fsencode(word) for word in words], {os.fsencode(k): os.fsencode(v)
                                                             for k, v in env.items()}
        read, write = os.pipe()
        self.waiter = os.fork()
        if self.waiter == 0:
            try:
                linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
                only(0, 1, 2, stdin, stdout, stderr, write, *place.fds)
                os.setsid()
                for deed in before:
                    deed()
                place.enter()
                child = os.fork()
                if child == 0:
                    become(words, env, (stdin, stdout, stderr), within)
                os.write(write, b"%d\n" % child)
                for fd in (stdin, stdout, stderr):
                    os.close(fd)
                os.write(write, b"%d\n" % os.waitpid(child, 0)[1])
            finally:
                os._exit(0)
        os.close(write)
        self.news = read
        line = b""
        while not line.endswith(b"\n") and (letter := os.read(read, 1)):
            line += letter
        self.pid = int(line or 0)  # 0: the room takes nobody in any more

    def status(self):
        """The wait status, once there is something to read from `news`."""
        line = os.read(self.news, 32)
        os.close(self.news)
        os.waitpid(self.waiter, 0)
        return os.waitstatus_to_exitcode(int(line)) if line else None


def only(*kept):
    """Closes all descriptors but these: a pipe's end that a copy of us holds never ends."""
    low = 0
    for fd in sorted({*kept, 0xFFFFFFFF}):
        if fd > low:
            linux.close_range(low, fd - 1, 0)
        low = fd + 1


def become(words, env, streams, within):
    """The program, in a session of its own: what it sends to "its group" reaches nobody outside."""
    try:
        linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
        os.setsid()
        for deed in within:
            deed()
        for number, fd in enumerate(streams):
            os.dup2(fd, number)
        linux.close_range(3, 0xFFFFFFFF, 0)
        for number in FORGOTTEN:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.chdir("/")
        os.execve(words[0], words, env)
    finally:
        os._exit(126)
