"""Events as lines to read, for --debug: flags by name, descriptors with what they were opened for."""
import os
import sys

from . import linux

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
WIDTH = 60  # of one argument
QUIET = ("openat2", "stat",  # that somebody looked for a place is seen from what is done with it
         "begin", "close", "dup2", "recv", "send")  # and these are for who draws pictures of it


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
            what = own.get(value) or self.opened["parent"].get(value)
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
        own, args = self.opened[event["side"]], event["args"]
        known = self.opened["parent"] | own
        if event["errno"]:
            return
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
