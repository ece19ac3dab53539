"""What happened is data: each call to the kernel becomes an event.

--trace writes the events as JSON Lines, all of them. --debug shows each as a line (rendering.py).
"""
import ctypes
import io
import json
import os
import sys
import time
from binascii import b2a_base64

from . import linux
from .layer import Layer, named, warn

BORN = (("clone3", (0, None)), ("fork", 0))  # as they return in the child


class Recorder:
    """Turns each call that linux.py makes into an event, a dict, and hands it to a sink."""

    def __init__(self, sink, started=lambda: None):
        self.sink, self.side, self.layer = sink, "parent", Layer
        self.started, self.said = started, None

    def __call__(self, call, args, options, result, errno, microseconds):
        if (call, result) in BORN:
            return  # the same call, returning in the child
        if call == "recv" and result and result.startswith(b"event"):
            return  # one of these
        if call == "recv":
            microseconds = 0  # to wait is no work
        event = {"side": self.side, "chapter": self.layer.chapter, "layer": self.layer.name,
                 "call": call, "args": plain(args), "options": plain(options),
                 "result": plain(result), "errno": errno, "microseconds": microseconds,
                 "at": time.perf_counter_ns() // 1000 - microseconds}
        if data := content(call, args):
            event["data"] = b2a_base64(data, newline=False).decode()
        self.sink(event)
        if call == "send":
            self.said = args[1]
        if call == "recv" and result == b"" and self.said == b"start" and self.side == "parent":
            self.started()  # the socket is closed, and nothing was said before: execve has done that


def content(call, args):
    """The bytes that matter of a call: those of an ioctl, or the filter behind an address."""
    if call == "ioctl" and isinstance(args[2], bytes):
        return args[2]
    loads = call == "prctl" and args[0] == linux.PR_SET_SECCOMP or call == "seccomp" and args[0] == 1
    if loads and args[2]:  # chapter 10 asks with no program at all whether there are filters
        program = ctypes.string_at(args[2], 16)  # struct sock_fprog: a length, and where it is
        length, place = int.from_bytes(program[:2], "little"), int.from_bytes(program[8:], "little")
        return ctypes.string_at(place, 8 * length)
    return None


def plain(value):
    """A value as JSON can say it."""
    if isinstance(value, bytes):
        text = value.decode(errors="replace")
        return text if text.isprintable() and len(text) < 200 else f"({len(value)} bytes)"
    if isinstance(value, io.FileIO):
        return value.name  # its descriptor; it may be closed by now
    if hasattr(value, "fileno"):
        return value.fileno()  # a socket's
    if isinstance(value, dict):
        return {plain(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return value


def record(spec):
    """Lets --debug and --trace see every call to the kernel."""
    file = named(f"--trace {spec.trace}", open, spec.trace, "w") if spec.trace else None
    deaf = []
    if spec.debug:
        from .rendering import Rendering  # only now: who records has nothing to read
        rendering = Rendering()

    def tell(event):
        if file:
            print(json.dumps(event, default=str), file=file, flush=True)
        if spec.debug and (line := rendering.line(event)):
            print(f"\033[36m{line}\033[0m" if os.isatty(2) else line, file=sys.stderr, flush=True)

    def sink(event):
        try:
            deaf or tell(event)
        except OSError as error:  # a full disk, `| head`: no failure of the call that is told of, nor of what undoes it
            deaf.append(error)
            warn(f"what is told of the calls ends here: {error.strerror}")

    if file:
        from .telling import begin, executed  # what a recording has besides the calls
        linux.observer = Recorder(*executed(spec, sink))
        linux.observer.file = file  # or the child would close it, unseen, when it takes another sink
        linux.observer("begin", (), begin(spec), None, 0, 0)
    else:
        linux.observer = Recorder(sink)
