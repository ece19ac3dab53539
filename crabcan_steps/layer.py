"""What a layer of isolation is, in which order the kernel wants the layers, and how one fails."""
import errno as errors
import fcntl
import os
import sys

from . import linux


class Stage:
    """When a layer acts. Each stage needs what the one above it gave, or spares what is below."""
    CLONE = 0         # the child and its namespaces exist
    KEYRING = 1       # counts against its maker's quota of keys, and root's is larger
    USERS = 2         # become the container's root: the stages below need its capabilities
    HOSTNAME = 3      # any time before exec; early, so that it reads well in the log
    FILESYSTEM = 4    # while the host's files, and its /proc, are still in reach
    NAMESPACES = 5    # loopback up; the cgroup namespace, now that we are in our cgroup
    LIMITS = 6        # late, so that they hold the container's program, not our own preparations
    TERMINAL = 7      # /dev/pts is the container's own by now
    BOUNDING_SET = 8  # needs CAP_SETPCAP, which the next stage may lose
    IDENTITY = 9      # become the user who was asked for: needs CAP_SETUID
    CAPABILITIES = 10 # nothing below needs any
    START = 11        # everything stands: tell the parent, and wait for its word
    SECCOMP = 12      # last, so that the filter need not allow anything above it
    INIT = 13         # with --init: from here on there are two, and the filter holds both


class Layer:
    """One kind of isolation: what the parent does for it before and after clone, what the child does."""
    chapter, name = 0, ""
    flags = 0            # CLONE_* bits that it adds
    cgroup = 0           # a descriptor of the cgroup to be born in, if it adds CLONE_INTO_CGROUP
    stage = Stage.CLONE
    options = {}         # fields of the Spec that mean nothing without this layer, and their options
    cures = {}           # (call, errno) -> the likely cause, and what to do; or who looks for it

    def prepare(self, spec, undo):
        """In the parent, before clone: all that can fail early. Nothing is shared yet."""

    def parent(self, pid, undo):
        """In the parent, while the child waits: what only somebody outside can do."""

    def child(self):
        """In the container, before exec. Imports nothing, looks up nothing, opens no Python file."""


RESTRICTED = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns"


def powerless():
    """Why root in a user namespace may do nothing: looked up, for a wrong cure does harm."""
    if os.path.exists(RESTRICTED) and linux.read(RESTRICTED).strip() == "1":
        return ("root without power, as AppArmor keeps it from programs without a profile of their own: "
                "`sysctl kernel.apparmor_restrict_unprivileged_userns=0`")
    return "root without power (CAP_SYS_ADMIN): are we in a container?"


ANYWHERE = {  # cures for what can happen to any call
    errors.EMFILE: "our caller's limit on open files is too low: try `ulimit -n 256`",
}


class LayerError(Exception):
    """A layer could not be had: which one, the call that failed, its errno, what it was about."""

    def __init__(self, layer, call, errno, about="", head=b""):
        super().__init__(layer, call, errno, about)
        self.layer, self.call, self.errno, self.about = layer, call, errno, about
        self.head = head  # first bytes of a program that would not start

    @classmethod
    def of(cls, layer, error):
        """Makes one of any exception: a system call's by its errno, a bug by its own words."""
        if isinstance(error, LayerError):
            return error
        if isinstance(error, OSError) and error.errno:
            about = error.filename if error.filename is not None else ""
            about = about.decode(errors="replace") if isinstance(about, bytes) else str(about)
            return cls(layer, getattr(error, "call", "call"), error.errno, about,
                       getattr(error, "head", b""))
        return cls(layer, getattr(error, "call", type(error).__name__), 0, str(error))

    def pack(self):
        """The error as bytes, for the socket. Paths cannot contain NUL, so it separates."""
        words = (self.layer, self.call, str(self.errno), self.about)
        return b"\0".join([w.encode("utf-8", "replace")[:1000] for w in words] + [self.head])

    @classmethod
    def unpack(cls, data):
        """The other half of pack()."""
        layer, call, errno, about, head = data.split(b"\0", 4)
        return cls(layer.decode(), call.decode(), int(errno), about.decode(errors="replace"), head)

    def explain(self, layers):
        """One line: layer, call, errno, and the likely cause with its cure where one is known."""
        chapter = next((x for x in layers if x.name == self.layer), Layer)
        place = f"chapter {chapter.chapter} ({self.layer})" if chapter.chapter else self.layer
        what = f"{self.call}: {os.strerror(self.errno)}" if self.errno else self.call
        about = f": {self.about}" if self.about else ""
        cures = {k: v for x in layers if x.name == self.layer for k, v in x.cures.items()}
        cure = (cures.get((self.call, self.errno)) or cures.get((self.call, None))
                or ANYWHERE.get(self.errno))
        cure = cure() if callable(cure) else cure
        return f"{place}: {what}{about}" + (f": {cure}" if cure else "")


def named(option, call, *args):
    """Makes a call; its error names the option that led to it."""
    try:
        return call(*args)
    except OSError as error:
        error.filename, error.call = option, getattr(error, "call", call.__name__)
        raise


class Undo:
    """What to release, last things first. One that fails is told, and keeps none from its turn."""

    def __init__(self):
        self.deeds = []

    def callback(self, function, *args):
        """Notes a call to make in the end."""
        self.deeds.append((function, args))

    def close(self):
        """Makes the calls, and forgets them."""
        try:
            while self.deeds:
                function, args = self.deeds.pop()
                attempt(function, *args)
        finally:
            if self.deeds:  # a bug, or Ctrl-C: the rest all the same
                self.close()

    def pop_all(self):
        """Hands everything over to a new one: what could fail has been done."""
        heir = Undo()
        heir.deeds, self.deeds = self.deeds, []
        return heir

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()


def attempt(function, *args):
    """Makes a call of which nothing depends any more; tells if it fails."""
    try:
        function(*args)
    except OSError as error:
        warn(f"cleaning up: {getattr(error, 'call', function.__name__)}: {error.strerror}")


def exists(path):
    """Tells whether a path exists. Not knowing is an error, where os.path.exists says no."""
    try:
        linux.lstat(path)
        return True
    except FileNotFoundError:
        return False


def locked(fd):
    """Tells whether somebody holds the lock (flock(2)) of what this new descriptor leads to, and closes it."""
    try:
        linux.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        linux.close(fd)


def warn(text):
    """One line for the user, about something that is not an error."""
    say(f"crabcan: {text}")


def say(text):
    """Prints one line to stderr, if it is open and takes it: if not, whom could we tell?"""
    try:
        sys.stderr.write(printable(text) + "\n")
    except (AttributeError, OSError):
        pass


def printable(text):
    """Text as one line that cannot steer a terminal, whatever names of files are in it."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def each(layers, deed):
    """Does something with each layer; its name stands in the errors and events that come of it."""
    for layer in layers:
        if linux.observer:
            linux.observer.layer = layer
        try:
            deed(layer)
        except Exception as error:
            raise LayerError.of(layer.name, error) from error
