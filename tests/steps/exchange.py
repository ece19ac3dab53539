"""Stops crabcan at each call that looks at a name, exchanges a name, and lets it go on (ptrace(2)).

No race that one may lose: `at` says before which call. Runs as a program of its own, because it
waits for all children; standard input is a job, standard output the answers, both JSON:

  {"words": [...], "environment": {...}, "marker": PATH, "times": [[at, deed, ...], ...]}

A deed is ["swap", ONE, OTHER] (renameat2(2), RENAME_EXCHANGE), ["mount", FROM, TO] or null. Calls
are counted from the first one that names the marker. `at` is a number, or null: only count them.
"""
import contextlib
import ctypes
import json
import os
import signal
import struct
import sys
import tempfile

import pyseccomp

TRACESYSGOOD, TRACEFORK, TRACEVFORK, TRACECLONE, TRACEEXEC, EXITKILL = 1, 2, 4, 8, 16, 1 << 20
SEIZE, CONT, SYSCALL, LISTEN, GET_SYSCALL_INFO = 0x4206, 7, 24, 0x4208, 0x420e
OPTIONS = TRACESYSGOOD | TRACEFORK | TRACEVFORK | TRACECLONE | TRACEEXEC | EXITKILL
EVENT_EXEC, EVENT_STOP, WALL = 4, 128, 0x40000000
# Calls that ask for a name, or act on what one has led to: name -> which argument is a path
LOOKS = {"open": 0, "openat": 1, "openat2": 1, "open_tree": 1, "newfstatat": 1, "fstatat64": 1, "stat": 0,
         "lstat": 0, "statx": 1, "access": 0, "faccessat": 1, "faccessat2": 1, "readlink": 0,
         "readlinkat": 1, "getdents64": None, "move_mount": None, "mount_setattr": 1, "fsmount": None,
         "fstat": None, "mkdir": 0, "mkdirat": 1, "symlinkat": None, "fchmodat": 1, "chdir": 0,
         "fchdir": None, "pivot_root": None, "umount2": None, "clone3": None, "execve": 0}

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long
NUMBERS = {number: name for name in LOOKS
           if (number := pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name)) >= 0}
NUMBERS |= {428: "open_tree", 429: "move_mount", 432: "fsmount", 435: "clone3", 437: "openat2",
            442: "mount_setattr"}  # the same everywhere; libseccomp may be too old for them


def ptrace(request, pid, address=0, data=0):
    if libc.ptrace(request, pid, address, data) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


class Run:
    """One run of crabcan, stopped once."""

    def __init__(self, job, at, deed):
        self.marker, self.at, self.deed = job["marker"].encode(), at, deed
        self.calls, self.descriptors, self.inside, self.free = [], None, set(), set()
        self.counting = False
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            self.status = self.trace(job, out.fileno(), err.fileno())
            for file in out, err:
                file.seek(0)
            self.out, self.err = (file.read(1 << 16).decode(errors="replace") for file in (out, err))

    def trace(self, job, out, err):
        ours, theirs = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.read(ours, 1)
            for fd, number in ((os.open("/dev/null", os.O_RDWR), 0), (out, 1), (err, 2)):
                os.dup2(fd, number)
            os.closerange(3, 100)
            for path, number in job.get("leave", {}).items():
                os.dup2(os.open(path, os.O_RDONLY), int(number), inheritable=True)
            os.execvpe(job["words"][0], job["words"], job["environment"])
        ptrace(SEIZE, pid, 0, OPTIONS)
        os.write(theirs, b"x")
        os.close(ours)
        os.close(theirs)
        signal.alarm(job.get("seconds", 30))
        try:
            return self.follow(pid)
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                while True:
                    os.waitpid(-1, WALL)
            return "hangs"
        finally:
            signal.alarm(0)

    def follow(self, first):
        status = None
        while True:
            try:
                pid, state = os.waitpid(-1, WALL)
            except ChildProcessError:
                return status
            if os.WIFEXITED(state) or os.WIFSIGNALED(state):
                if pid == first:
                    status = os.waitstatus_to_exitcode(state)
                continue
            number, event = os.WSTOPSIG(state), state >> 16
            with contextlib.suppress(ProcessLookupError):
                if number == signal.SIGTRAP | 0x80:
                    self.call(pid)
                    number = 0
                elif event == EVENT_STOP and number in (signal.SIGSTOP, signal.SIGTSTP):
                    ptrace(LISTEN, pid)
                    continue
                elif event:
                    if event == EVENT_EXEC and pid in self.inside:
                        self.free.add(pid)  # the container's program: no call of ours any more
                    number = 0
                ptrace(CONT if pid in self.free else SYSCALL, pid, 0, number)

    def call(self, pid):
        """A call is entered (or left: of no interest)."""
        data = ctypes.create_string_buffer(88)
        ptrace(GET_SYSCALL_INFO, pid, 88, ctypes.addressof(data))
        op, number, *args = struct.unpack_from("B", data)[0], *struct.unpack_from("7Q", data, 24)
        name = NUMBERS.get(number) if op == 1 else None
        if name is None:
            return
        place = LOOKS[name]
        path = text(pid, args[place]) if place is not None else b""
        if not self.counting and self.marker in path:
            self.counting = True
        if name == "execve" and inner(pid):
            self.inside.add(pid)
            if self.descriptors is None:
                self.descriptors = look(pid)
        if self.counting:
            if len(self.calls) == self.at:
                act(self.deed)
            self.calls.append([name, path.decode(errors="replace")])


def text(pid, address):
    """The string at an address of another process."""
    if not address:
        return b""
    try:
        with open(f"/proc/{pid}/mem", "rb", 0) as memory:
            memory.seek(address)
            return memory.read(256).split(b"\0")[0]
    except OSError:
        return b""


def inner(pid):
    """Tells whether a process is in a PID namespace below ours."""
    with open(f"/proc/{pid}/status") as file:
        return any(line.startswith("NSpid:") and len(line.split()) > 2 for line in file)


def look(pid):
    """What a process holds: {descriptor: what it is}."""
    found = {fd: os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
    return found | {word: os.readlink(f"/proc/{pid}/{word}") for word in ("cwd", "root", "exe")}


def act(deed):
    if deed and deed[0] == "swap":
        if libc.renameat2(-100, deed[1].encode(), -100, deed[2].encode(), 2):
            raise OSError(ctypes.get_errno(), "renameat2", deed[1])
    elif deed and deed[0] == "mount":
        if libc.mount(deed[1].encode(), deed[2].encode(), None, 0x1000, None):
            raise OSError(ctypes.get_errno(), "mount", deed[2])


def undo(deed):
    if deed and deed[0] == "swap":
        act(deed)
    elif deed and deed[0] == "mount":
        libc.umount2(deed[2].encode(), 2)


def expire(*_):
    raise TimeoutError


def main():
    job = json.load(sys.stdin)
    signal.signal(signal.SIGALRM, expire)
    if job.get("mounts"):
        if libc.unshare(0x20000) or libc.mount(None, b"/", None, 1 << 18 | 0x4000, None):
            raise OSError(ctypes.get_errno(), "a mount namespace of the test's own")
    for at, deed in job["times"]:
        run = Run(job, at, deed)
        done = at is not None and len(run.calls) > at
        if done:
            undo(deed)
        print(json.dumps({"at": at, "done": done, "status": run.status, "out": run.out, "err": run.err,
                          "calls": run.calls if at is None else run.calls[at:at + 1],
                          "descriptors": run.descriptors}), flush=True)


if __name__ == "__main__":
    main()
