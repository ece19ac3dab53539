"""A bundle becomes a Spec, from which layers of chapters 2 to 9 read what its file wants."""
from .. import linux
from ..ch01_args import Spec
from ..ch02_clone import Clone

SCHEDULING = "scheduler", "ioPriority", "execCPUAffinity"  # what process says of it


class Bundle(Spec):
    """What a configuration wants: what layers of chapters 2 to 9 read stands under their names."""

    def __init__(self, config, path, name, settings, process=None):
        self.config, self.bundle, self.id = config, path, name
        self.settings = settings              # the options of the command line
        self.systemd = settings.get("systemd", False)
        self.state = {}                       # what later commands need to know
        self.confine = None                   # loads the filter, for hooks in the container
        self.process = process = process or config.get("process") or {"args": ["/"], "cwd": "/"}
        self.linux = config.get("linux") or {}
        self.spaces = {space["type"]: space.get("path") for space in self.linux.get("namespaces") or ()}
        self.command, self.workdir = tuple(process["args"]), process["cwd"]
        self.terminal = bool(process.get("terminal"))
        self.hostname = config.get("hostname") or None
        user = process.get("user") or {}
        self.uid, self.gid = user.get("uid", 0), user.get("gid", 0)
        self.umask = user.get("umask", 0o022)
        self.groups = list(dict.fromkeys(user.get("additionalGids") or ()))
        self.last_capability = int(linux.read("/proc/sys/kernel/cap_last_cap"))

    def note(self, **words):
        """Writes something into the container's record, long before that is whole."""
        self.folder.save(**words)

    def environment(self):
        return dict(word.partition("=")[::2] for word in self.process.get("env") or ())


class Single(Clone):
    """The child of chapter 2, in a session of its own; whether its PID namespace is new, Spaces knows."""
    flags = 0

    def child(self):
        linux.setsid()


def extras(spec):
    """Those that only some need: what they are made of costs time to load."""
    found = []
    if spec.linux.get("seccomp"):
        from .seccomp import BundleFilter
        found.append(BundleFilter())
    if spec.terminal:
        from .console import Console
        found.append(Console())
    if spec.linux.get("personality") or any(map(spec.process.get, SCHEDULING)):
        from .scheduling import Scheduling
        found.append(Scheduling())
    if spec.linux.get("memoryPolicy"):
        from .memory import MemoryPolicy
        found.append(MemoryPolicy())
    if spec.linux.get("netDevices") and not spec.settings.get("exec"):
        from ..net.devices import Devices
        found.append(Devices())
    return found
