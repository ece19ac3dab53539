"""Chapter 10: the container as a file. What `run` did in a row becomes commands, each another process.

    crabcan-oci create                        child
    prepare() of every layer
    clone3 ---------------------------------> wait for "go"
    parent() of every layer
    "go" -----------------------------------> child() of every layer, by stage
    run its hooks  <------------------------- "hooks", before it changes its root
    "go on" --------------------------------> listen at ID/start
    write state, end  <---------------------- "ready"
                                              ... waits, whoever made it has gone ...
    crabcan-oci start
    connect to ID/start, "start" -----------> startContainer hooks, seccomp, execve
    started           <---------------------- the connection closes by itself, or says what went wrong
"""
import errno
import io
import os

import _socket

from . import ch02_clone, linux
from .clone.start import Start
from .layer import Layer, LayerError, Stage, named
from .oci import hooks, quickjson
from .oci.last import home_of, inherited, look_up, stand, write_whole
from .oci.state import CONFIG, SOCKET, TAKEN, Refused, born, now


KINDS = {"user": linux.CLONE_NEWUSER, "mount": linux.CLONE_NEWNS, "uts": linux.CLONE_NEWUTS,
         "ipc": linux.CLONE_NEWIPC, "network": linux.CLONE_NEWNET, "cgroup": linux.CLONE_NEWCGROUP,
         "time": linux.CLONE_NEWTIME, "pid": linux.CLONE_NEWPID}  # in the order of joining
FILES = {"user": "user", "mount": "mnt", "uts": "uts", "ipc": "ipc", "network": "net",
         "cgroup": "cgroup", "time": "time", "pid": "pid"}


class Waiting(Start):
    """The child's last stop: it waits for `start`, whichever process that will be."""
    chapter, name = 10, "start"

    def prepare(self, spec, undo):
        super().prepare(spec, undo)
        self.spec, self.config, self.folder = spec, spec.config, spec.folder
        self.keep = inherited(spec.settings.get("preserve-fds") or 0)
        self.hooks = spec.config.get("hooks") or {}
        self.state = quickjson.dumps({**spec.told, "status": "created", "pid": 4194305}).split("4194305")
        self.accounts = None
        if not self.program.env.get(b"HOME"):
            from .namespaces import accounts  # in the child it would be too late
            self.accounts = accounts
        spec.ask, spec.inside = self.ask, self.inside
        self.listener = None
        if spec.waits:
            self.listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
            undo.callback(self.listener.close)
            named(SOCKET, self.listener.bind, f"/proc/self/fd/{self.folder.folder}/{SOCKET}")
            self.listener.listen(1)

    # In the parent.

    def parent(self, pid, undo):
        """Notes whom `delete` is to end if we are killed before all is written down."""
        if not self.spec.settings.get("exec"):
            self.folder.save(pid=pid, born=born(pid), **self.spec.state)

    def answer(self, word, pid):
        """Does what the child asks for while it is being made."""
        if word != b"hooks":
            raise LayerError(self.name, "died", 0)
        for which in "prestart", "createRuntime":
            hooks.run(self.hooks, which, self.text(pid))
        ch02_clone.say(self.parent_end, b"go on")

    def text(self, pid):
        """The state, for a hook."""
        return str(pid).join(self.state).encode()

    # In the child.

    def ask(self, word):
        """Has the parent run its hooks, if there are any, and waits for it."""
        if self.hooks.get("prestart") or self.hooks.get("createRuntime"):
            named("socket", self.child_end.write, word)
            if named("socket", self.child_end.read, 9) != b"go on":
                os._exit(125)

    def inside(self, which, confine=None):
        """Runs hooks in here."""
        if self.hooks.get(which):
            hooks.run_here(self.hooks, which, self.text(os.getpid()), confine=confine)

    def child(self):
        home_of(self.spec.uid, self.program.env, self.accounts)
        self.close()
        stand(self.workdir, self.spec.entered)
        linux.prctl(linux.PR_SET_PDEATHSIG, 0)  # whoever has made us will end
        linux.prctl(linux.PR_SET_DUMPABLE, 0)   # who shares our PID namespace has nothing to look at
        self.program.clear()
        linux.umask(self.spec.umask)
        if self.config.get("process"):
            look_up(self.program)
        named("socket", self.child_end.write, b"ready")
        if self.listener is None:
            if named("socket", self.child_end.read, 9) != b"start":
                os._exit(125)
        else:
            self.wait()
        self.inside("startContainer", self.spec.confine)  # the filter comes last, but holds them, too

    def wait(self):
        """Until `start` connects. Who connects may be killed half-way: then the next one counts."""
        named("socket", self.child_end.close)
        while True:
            self.child_end = linux.accept(self.listener.fileno())
            if named("socket", self.child_end.read, 9) == b"start":
                break
            self.child_end.close()
        linux.close(self.listener.detach())

    def close(self):
        """Every descriptor but 0 to 2, what --preserve-fds says, the socket and the listener."""
        stay = {self.child_end.fileno(), *self.keep} | ({self.listener.fileno()} if self.listener else set())
        first = 3
        for fd in sorted(stay):
            if fd > first:
                linux.close_range(first, fd - 1)
            first = max(first, fd + 1)
        linux.close_range(first, linux.LAST_FD)


def create(spec, layers, state):
    """Makes the container of a bundle; its first process waits. Raises LayerError, Refused."""
    start = Waiting()
    container = ch02_clone.create(spec, layers, start)
    try:
        record(state, spec, container.pid)
    except BaseException:  # a full disk, or no directory for --pid-file
        ch02_clone.delete(container)
        raise
    return container


def record(state, spec, pid):
    """Writes down what later commands need."""
    state.write(CONFIG, quickjson.dumps(spec.config).encode())
    state.record.pop("planned", None)
    state.save(id=spec.id, pid=pid, born=born(pid), bundle=spec.bundle, created=now(),
               ociVersion=spec.config["ociVersion"], annotations=spec.config.get("annotations") or {},
               rootfs=os.path.realpath(os.path.join(spec.bundle, spec.config["root"]["path"])),
               owner=os.geteuid(), **spec.state)
    if spec.settings.get("pid-file"):
        write_whole(spec.settings["pid-file"], str(pid))


def start(state):
    """Lets a created container's program run. Raises LayerError if it cannot be executed."""
    status = state.status()
    if status == "stopped":
        raise Refused("cannot start a container that has stopped")
    if status != "created":
        raise Refused(f"cannot start an already running container: {state.id} is {status}")
    if not state.config().get("process"):
        raise Refused("cannot start a container without process: its config.json had none")
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    named(SOCKET, connection.connect, state.take())
    control = io.FileIO(connection.detach(), "r+")
    try:
        ch02_clone.start(ch02_clone.Container(state.record["pid"], None, None, control))
    finally:
        os.unlink(TAKEN, dir_fd=state.folder)


class Join(Layer):
    """Enters the namespaces of others (setns(2)): most as the child, one only before there is one."""
    chapter, name, stage = 10, "namespaces", Stage.KEYRING
    cures = {("setns", errno.EINVAL): "is it a namespace of this kind?",
             ("setns", errno.EPERM): "to join takes CAP_SYS_ADMIN in the namespace's user namespace"}

    def prepare(self, spec, undo):
        self.hold(spec, undo)
        self.join_pid(undo)

    def hold(self, spec, undo):
        """Opens them all, while /proc is the machine's."""
        self.joins = []
        for kind in KINDS:
            if path := spec.spaces.get(kind):
                how = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC  # a FIFO would keep us
                fd = named(path, os.open, path, how)
                undo.callback(linux.close, fd)
                self.joins.append((kind, fd))
        spec.joined = dict(self.joins)

    def join_pid(self, undo):
        """A PID namespace is joined by one's children only, so by us, before clone."""
        for kind, fd in [join for join in self.joins if join[0] == "pid"]:
            own = linux.open("/proc/self/ns/pid", os.O_RDONLY)
            undo.callback(linux.close, own)
            try:
                linux.setns(fd, KINDS[kind])
                undo.callback(linux.setns, own, KINDS[kind])
            except PermissionError:  # an ordinary user: as root of its user namespace
                user = next((fd for kind, fd in self.joins if kind == "user"), None)
                if user is None:
                    raise
                linux.prctl(linux.PR_SET_DUMPABLE, 0)  # our child is born in there: not to be traced
                linux.setns(user, linux.CLONE_NEWUSER)
                self.joins = [join for join in self.joins if join[0] != "user"]
                linux.setns(fd, KINDS[kind])
            self.joins.remove((kind, fd))

    def child(self):
        for kind, fd in self.joins:
            linux.setns(fd, KINDS[kind])
            if kind == "user":
                become_root()


def become_root():
    """After joining a user namespace: its root, where it has one."""
    try:
        linux.setgroups(())
    except PermissionError:
        pass  # whoever made it has denied that for good
    for become in linux.setresgid, linux.setresuid:
        try:
            become(0, 0, 0)
        except OSError as error:
            if error.errno != errno.EINVAL:  # there is no 0 in its map
                raise


def joining(spec):
    """The layers of a process that joins: it gets each wall that the first one has."""
    from .oci.bundle import Single, extras  # only now, as `start` needs none of them
    from .oci.joining import OldLabels, StillThere, Undumpable, cgroup
    from .oci.process import BoundingSet, Caps, Identity, Limits, WorkDir
    return [Single(), *cgroup(spec), OldLabels(), Undumpable(), Limits(), Join(), StillThere(),
            WorkDir(), Identity(), BoundingSet(), Caps(), *extras(spec)]
