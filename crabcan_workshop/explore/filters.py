"""What a seccomp filter answers, for each system call: its program run with arguments unknown.

The machine is that of seccomp(2): classic BPF over struct seccomp_data. Where the program looks at an
argument, both ways are followed.
"""
import os
import struct
from base64 import b64decode

ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}[os.uname().machine]
LAST = 470  # the highest number that is asked about
KILL_PROCESS, KILL_THREAD, TRAP, ERRNO, ALLOW = 0x80000000, 0, 0x00030000, 0x00050000, 0x7FFF0000
NUMBERS = {"x86_64": {"keyctl": 250, "clone": 56, "unshare": 272}, "aarch64": {
    "keyctl": 219, "clone": 220, "unshare": 97}}[os.uname().machine] | {"clone3": 435}
NEWUSER = 0x10000000


def answers(code, number, argument=None):
    """The set of values that a program may return for a call. argument: what its first one is, if that is known."""
    program = [struct.unpack_from("HBBI", code, at) for at in range(0, len(code), 8)]
    words = {0: number, 4: ARCHITECTURE}
    if argument is not None:
        words |= {16: argument & 0xFFFFFFFF, 20: argument >> 32}
    found, todo, seen = set(), [(0, 0, 0, ())], set()
    while todo:
        at, a, x, memory = todo.pop()
        if (at, a, x, memory) in seen or not 0 <= at < len(program):
            continue
        seen.add((at, a, x, memory))
        op, yes, no, k = program[at]
        kind, value = op & 7, x if op & 8 else k
        if kind == 0:    # BPF_LD
            a = words.get(k) if op & 0xE0 == 0x20 else dict(memory).get(k) if op & 0xE0 == 0x60 else k
        elif kind == 1:  # BPF_LDX
            x = dict(memory).get(k) if op & 0xE0 == 0x60 else k
        elif kind in (2, 3):  # BPF_ST, BPF_STX
            memory = tuple(sorted({**dict(memory), k: a if kind == 2 else x}.items()))
        elif kind == 4:
            a = computed(op & 0xF0, a, value)
        elif kind == 5:  # BPF_JMP
            ways = {yes, no} if a is None or value is None else {yes if jumps(op & 0xF0, a, value) else no}
            todo += [(at + 1 + (k if op & 0xF0 == 0 else way), a, x, memory) for way in ways]
            continue
        elif kind == 6:  # BPF_RET
            found.add(a if op & 0x18 == 0x10 else k)
            continue
        elif kind == 7:  # BPF_MISC
            a, x = (a, a) if op & 0xF8 == 0 else (x, x)
        todo.append((at + 1, a, x, memory))
    return found


def computed(operation, a, value):
    """The accumulator after some arithmetic; None if it depends on an argument."""
    if a is None or operation != 0x80 and value is None:
        return 0 if operation == 0x50 and value == 0 else None
    deeds = {0: lambda: a + value, 0x10: lambda: a - value, 0x40: lambda: a | value,
             0x50: lambda: a & value, 0x60: lambda: a << value, 0x70: lambda: a >> value,
             0x80: lambda: -a, 0xA0: lambda: a ^ value}
    return deeds[operation]() & 0xFFFFFFFF if operation in deeds else None


def jumps(operation, a, value):
    """Whether a conditional jump is taken."""
    return {0: True, 0x10: a == value, 0x20: a > value, 0x30: a >= value, 0x40: bool(a & value)}[operation]


def kind_of(answer):
    """allowed, errno, killed: what an answer of a filter means."""
    action = answer & 0xFFFF0000
    return {ALLOW: "allowed", ERRNO: "errno", KILL_PROCESS: "killed", KILL_THREAD: "killed",
            TRAP: "killed"}.get(action, "allowed")


def summary(code):
    """What a filter does, by number of the call; `depends` are those where arguments decide."""
    found = {"allowed": [], "errno": [], "killed": [], "depends": [], "refuses": [],
             "instructions": len(code) // 8}
    for number in range(LAST + 1):
        kinds = {kind_of(answer) for answer in answers(code, number)}
        found[kinds.pop() if len(kinds) == 1 else "depends"].append(number)
    if refused(code, "keyctl"):
        found["refuses"].append("keyctl")
    if refused(code, "clone3") and refused(code, "clone", NEWUSER) and refused(code, "unshare", NEWUSER):
        found["refuses"].append("new user namespace")
    return found


def refused(code, name, argument=None):
    """Whether a filter lets a call never pass."""
    return all(kind_of(answer) != "allowed" for answer in answers(code, NUMBERS[name], argument))


def enriched(event):
    """An event, with its filter looked at if it has one."""
    if event.get("call") in ("prctl", "seccomp") and "data" in event and "filter" not in event:
        try:
            return {**event, "filter": summary(b64decode(event["data"]))}
        except (ArithmeticError, LookupError, TypeError, ValueError, struct.error):
            return event  # a filter of nobody's: it says nothing
    return event
