"""Stops crabcan --trace at each event that it tells, and notes what /proc says of it just then (ptrace(2)).

Runs as a program of its own, because it waits for all children: `stepper EVENTS WORDS...` writes
a JSON line for each event, in the order in which things happen: [event, {side: facts}]. The child is
held from its birth until the parent's "go", and from its execve until the parent has told of that,
so at each stop only one of them is at work.
"""
import contextlib
import ctypes
import json
import os
import signal
import struct
import sys

from .kernel import facts, libc

libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long
SYSGOOD, FORK, VFORK, CLONE, EXEC, EXITKILL = 1, 2, 4, 8, 16, 1 << 20
SEIZE, CONT, SYSCALL, LISTEN, GETEVENTMSG, INFO = 0x4206, 7, 24, 0x4208, 0x4201, 0x420e
WALL, WRITE, CLONE3 = 0x40000000, {"x86_64": 1, "aarch64": 64}[os.uname().machine], 435
CLONE_PIDFD = 0x1000


def ptrace(request, pid, address=0, data=0):
    if libc.ptrace(request, pid, address, data) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


class Stepper:
    def __init__(self, events, words):
        self.events, self.words = events, words
        self.parent, self.child, self.held, self.free = None, None, set(), set()
        self.line, self.last = b"", {}

    def run(self):
        ours, theirs = os.pipe()
        first = os.fork()
        if first == 0:
            os.read(ours, 1)
            os.closerange(3, 100)
            os.dup2(os.open("/dev/null", os.O_RDWR), 0)
            os.execvp(self.words[0], self.words)
        ptrace(SEIZE, first, 0, SYSGOOD | FORK | VFORK | CLONE | EXEC | EXITKILL)
        os.write(theirs, b"x")
        status = None
        while True:
            try:
                pid, state = os.waitpid(-1, WALL)
            except ChildProcessError:
                return status
            if os.WIFEXITED(state) or os.WIFSIGNALED(state):
                status = os.waitstatus_to_exitcode(state) if pid == first else status
                continue
            with contextlib.suppress(ProcessLookupError):
                self.stopped(pid, os.WSTOPSIG(state), state >> 16)

    def stopped(self, pid, number, event):
        if number == signal.SIGTRAP | 0x80:
            number = 0
            if pid not in self.free:
                self.call(pid)
        elif event == FORK >> 1 and pid == self.parent and not self.child and self.last.get(pid) == CLONE3:
            self.child = message(pid)
            self.held.add(self.child)
            number = 0
        elif event == 4 and pid == self.child:  # PTRACE_EVENT_EXEC
            self.held.add(pid)
            self.free.add(pid)
            number = 0
        elif event == 128 and number in (signal.SIGSTOP, signal.SIGTSTP):
            return ptrace(LISTEN, pid)
        elif event:
            number = 0
        if pid not in self.held:
            ptrace(CONT if pid in self.free else SYSCALL, pid, 0, number)

    def call(self, pid):
        data = ctypes.create_string_buffer(88)
        ptrace(INFO, pid, 88, ctypes.addressof(data))
        op, number, fd, address, length = data.raw[0], *struct.unpack_from("4Q", data, 24)
        if op == 1:
            self.last[pid] = number if number != CLONE3 or asks_for_a_pidfd(pid, fd) else 0  # helpers are born otherwise
        if op != 1 or number != WRITE:  # only as it is entered: all before it has been done
            return
        with open(f"/proc/{pid}/mem", "rb", 0) as memory:
            memory.seek(address)
            text = memory.read(length)
        if text.startswith(b"event{"):
            return self.event(pid, json.loads(text[5:]))
        if os.readlink(f"/proc/{pid}/fd/{fd}") == self.events:
            self.parent = self.parent or pid
            self.line += text
            *lines, self.line = self.line.split(b"\n")
            for event in map(json.loads, lines):
                if event["side"] == "parent" or event["call"] == "execve" and not event["errno"]:
                    self.event(pid, event)

    def event(self, pid, event):
        before = self.child in self.held and self.child not in self.free  # waits to be let go
        stopped = {"child": self.child} if event["side"] == "child" or before else {}
        if event["side"] == "parent":
            stopped["parent"] = self.parent
        print(json.dumps([event, {side: facts(number) for side, number in stopped.items()}]), flush=True)
        if event["call"] == "send" and event["args"][1:] == ["go"]:
            self.let_go()
        if event["call"] == "execve" and not event["errno"]:
            os.kill(self.child, signal.SIGKILL)
            self.let_go()

    def let_go(self):
        self.held.discard(self.child)
        with contextlib.suppress(ProcessLookupError):  # it may not have stopped yet
            ptrace(CONT if self.child in self.free else SYSCALL, self.child)


def asks_for_a_pidfd(pid, address):
    """Whether clone3 is called as for a container: its flags stand first in what it is given (clone(2))."""
    with open(f"/proc/{pid}/mem", "rb", 0) as memory:
        memory.seek(address)
        return bool(struct.unpack("Q", memory.read(8))[0] & CLONE_PIDFD)


def message(pid):
    number = ctypes.c_ulong()
    ptrace(GETEVENTMSG, pid, 0, ctypes.addressof(number))
    return number.value


if __name__ == "__main__":
    sys.exit(Stepper(sys.argv[1], sys.argv[2:]).run())
