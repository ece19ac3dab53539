"""What happened is data: each call to the kernel becomes an event, and an event a line to read.

--trace writes the events as JSON Lines, all of them. --debug is one rendering: flags by name, and
descriptors with what they were opened for.
"""
import ctypes
import io
import json
import os
import sys
import time
from binascii import b2a_base64

from . import linux
from .layer import Layer, named

COLUMNS = "{place:13} {side:6}  {text}"
FLAGS = {  # call -> what the names of its arguments' flags begin with, by position or keyword
    "clone3": {0: "CLONE_"}, "unshare": {0: "CLONE_"}, "umount2": {1: "MNT_"},
    "open_tree": {1: ("OPEN_TREE_", "AT_")}, "fsmount": {1: "MOUNT_ATTR_"},
    "setns": {1: "CLONE_"}, "mount_setattr": {1: "AT_", 2: "MOUNT_ATTR_", 3: "MS_", "propagation": "MS_"}}
CONSTANTS = {"prctl": {0: "PR_"}, "fsconfig": {1: "FSCONFIG_"},
             "close_range": {2: "CLOSE_RANGE_"}, "capbset_drop": {0: "CAP_"}, "keyctl": {0: "KEYCTL_"},
             "pidfd_send_signal": {1: "SIG"}}
OF_OPTION = {linux.PR_CAP_AMBIENT: "PR_CAP_AMBIENT_", linux.PR_SET_SECCOMP: "SECCOMP_MODE_",
             linux.PR_SET_PDEATHSIG: "SIG"}
DESCRIPTORS = {"move_mount": (0, 1), "fsconfig": (0,), "fsmount": (0,), "fchdir": (0,), "ioctl": (0,), "setns": (0,)}
AS_KEYWORD = ("dir_fd", "userns_fd")
OPENS = ("open", "openat2", "open_tree", "fsopen", "fsmount")
TOLD = {"netlink": 2, "nft": 1, "pasta": 1}  # call -> how many of its arguments are words for a reader, not bytes
BORN = (("clone3", (0, None)), ("fork", 0))
WIDTH = 60  # of one argument
QUIET = ("openat2", "stat",  # that somebody looked for a place is seen from what is done with it
         "begin", "close", "dup2", "recv", "send")  # and these are for who draws pictures of it


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
    rendering = Rendering()

    def sink(event):
        if file:
            print(json.dumps(event, default=str), file=file, flush=True)
        if spec.debug and (line := rendering.line(event)):
            print(f"\033[36m{line}\033[0m" if os.isatty(2) else line, file=sys.stderr, flush=True)

    if file:
        from .telling import begin, executed  # what a recording has besides the calls
        linux.observer = Recorder(*executed(spec, sink))
        linux.observer.file = file  # or the child would close it, unseen, when it takes another sink
        linux.observer("begin", (), begin(spec), None, 0, 0)
    else:
        linux.observer = Recorder(sink)


class Rendering:
    """Events as lines. Remembers what each descriptor was opened for, as the events tell it."""

    def __init__(self):
        self.opened = {"parent": {}, "child": {}}

    def line(self, event):
        """One readable line of an event; None if it only looked for something."""
        call, options = event["call"], event["options"]
        words = [self.word(event, place, value) for place, value in enumerate(event["args"])]
        if call in TOLD:
            return self.told(event)
        words += [f"{key}={self.word(event, key, value)}" for key, value in options.items()]
        self.remember(event)
        if call in QUIET:
            return None
        end = ""
        if event["errno"]:
            end = ": " + os.strerror(event["errno"])
        elif event["result"] is not None:
            end = f" = {event['result']}"
        place = f"{event['chapter']} {event['layer']}" if event["chapter"] else ""
        return COLUMNS.format(place=place, side=event["side"], text=f"{call}({', '.join(words)}){end}")

    def told(self, event):
        """What was asked of the network, as ip(8) or nft(8) would be: each line one."""
        *where, text = event["args"][:TOLD[event["call"]]]
        if where and where[0].startswith("RTM_GET") and not event["errno"]:
            return None
        end = f": {os.strerror(event['errno'])}" if event["errno"] else ""
        place = f"{event['chapter']} {event['layer']}" if event["chapter"] else ""
        lines = [line for line in text.split("\n") if line.strip()]
        call = f"{event['call']}({', '.join([*where, lines[0]])})" if len(lines) == 1 else event["call"]
        return "\n".join([COLUMNS.format(place=place, side=event["side"], text=call + end),
                          *(f"    {line}" for line in lines if len(lines) > 1)])

    def word(self, event, place, value):
        """An argument as a reader wants it."""
        call = event["call"]
        if place in AS_KEYWORD or place in DESCRIPTORS.get(call, ()):
            own = self.opened[event["side"]]
            what = own.get(value)
            return f"{value}<{what}>" if what else str(value)
        if isinstance(value, int) and place in FLAGS.get(call, ()):
            return flags(FLAGS[call][place], value)
        if call == "prctl" and place == 1 and event["args"][0] in OF_OPTION:
            return constant(OF_OPTION[event["args"][0]], value)
        if isinstance(value, int) and place in CONSTANTS.get(call, ()):
            return constant(CONSTANTS[call][place], value)
        if call in ("mkdir", "umask"):
            return f"0o{value:o}" if isinstance(value, int) else repr(value)
        text = repr(value) if isinstance(value, str) else str(value)
        return text if len(text) <= WIDTH else text[:WIDTH] + "..."

    def remember(self, event):
        """Notes what a new descriptor stands for, and of a mount where it hangs."""
        known = own = self.opened[event["side"]]
        args = event["args"]
        if event["errno"]:
            return
        if event["call"] == "clone3":
            self.opened["child"] = dict(own)  # what its maker had open then
        if event["call"] in OPENS:
            folder = known.get(event["options"].get("dir_fd", args[0]), "")
            path = next((arg for arg in args if isinstance(arg, str)), "")
            own[event["result"]] = os.path.normpath(os.path.join(folder, path))
        elif event["call"] == "move_mount":
            own[args[0]] = known.get(args[1])


def names(prefix, test):
    """The names of constants that begin so and whose value passes a test."""
    known = vars(linux) | vars(sys.modules.get("prctl", linux))  # python-prctl's, if it is in use
    return (name for name, value in known.items()
            if name.startswith(prefix) and isinstance(value, int) and test(value))


def constant(prefix, value):
    """The name of a value."""
    return next(names(prefix, lambda known: known == value), str(value))


def flags(prefix, value):
    """The names of the bits that are set."""
    return "|".join(names(prefix, lambda known: known > 0 and known & value == known)) or str(value)
