"""Where something goes in the root, for chapter 4: looked up once, below a descriptor."""
import os

from .. import linux
from ..layer import LayerError, named

NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL
IN_ROOT = linux.RESOLVE_IN_ROOT | linux.RESOLVE_NO_MAGICLINKS
BENEATH = linux.RESOLVE_BENEATH | linux.RESOLVE_NO_SYMLINKS
NO_LINKS = IN_ROOT | linux.RESOLVE_NO_SYMLINKS
WINDOWS = ("proc", "sysfs")  # file systems that show the machine: nobody puts anything over them

OURS = {}  # device number -> kind of each file system that we made
OWN = {}   # path -> descriptor of those that hang in the root
ROOTS = {}  # descriptor -> Root


def present(folder, name):
    """Tells whether there is something of this name in a directory, be it a link to nowhere."""
    try:
        linux.lstat(name, dir_fd=folder)
        return True
    except FileNotFoundError:
        return False


def the_same(spec, folder):
    """Refuses a --mount that is another directory than the one that was seen before."""
    status = linux.fstat(folder)
    seen = status.st_dev, status.st_ino
    if spec.seen not in (None, seen):
        raise LayerError("mounts", f"--mount {spec.mount}", 0, "was exchanged while we started")
    spec.seen = seen


class Root:
    """The root while it is being furnished: where something goes is asked below its descriptors."""

    def __init__(self, mount):
        self.mount = mount
        self.seen = {}        # path -> those of OWN over which nothing of the user's hangs
        self.devices = {}     # device number -> kind: how we know our own again
        if linux.fstat(mount).st_dev in OURS:
            self.add("", mount)

    @classmethod
    def of(cls, mount):
        """What is known of the root with this descriptor."""
        if mount not in ROOTS:
            ROOTS[mount] = cls(mount)
        return ROOTS[mount]

    def add(self, path, mount):
        """Notes a file system of our own."""
        OWN[path] = self.seen[path] = mount
        device = linux.fstat(mount).st_dev
        self.devices[device] = OURS[device]

    def cover(self, path):
        """Notes that something of the user's hangs there now: what goes below it belongs to that."""
        self.seen = {p: mount for p, mount in self.seen.items() if not f"{p}/".startswith(f"{path}/")}

    def find(self, path, rules):
        """Opens what stands at a path. Ours is found from its own descriptor, wherever it hangs:
        whoever shares the user's directory may rename what is above it."""
        below = path
        while below and below not in self.seen:
            below = below.rpartition("/")[0]
        start = self.seen[below] if below else self.mount
        return linux.openat2(start, path[len(below):].strip("/") or ".", os.O_PATH, rules)

    def place(self, path, directory, rules=IN_ROOT):
        """Opens a place for a mount; makes it, but only in a tmpfs of ours."""
        path = path.rstrip("/")
        try:
            return self.find(path, rules)
        except FileNotFoundError as error:
            above, name = os.path.split(path)
            if not name:
                raise
            folder = self.place(above, True)
            if present(folder, name):
                raise LayerError("mounts", "place", error.errno, path) from error
            if self.devices.get(linux.fstat(folder).st_dev) != "tmpfs":
                raise
            if directory:
                linux.mkdir(name, 0o755, dir_fd=folder)
            else:
                linux.write(name, "", NEW_FILE, dir_fd=folder)
            there = linux.openat2(folder, name, os.O_PATH, NO_LINKS)
            linux.close(folder)
            return there

    def attach(self, mount, path, directory, rules=IN_ROOT):
        """Attaches a detached mount to a place inside."""
        there = self.place(path, directory, rules)
        named(path, linux.move_mount, mount, there)
        linux.close(there)
