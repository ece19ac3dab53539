"""Chapter 2: a child that is PID 1 of a world of its own, and the talk between it and its parent.

    parent                                       child
    prepare() of every layer
    clone3(every layer's flags) ---------------> wait for "go"
    parent() of every layer
    "go" --------------------------------------> child() of every layer, by stage
    create() returns  <------------------------- "ready", or what went wrong
    "start" -----------------------------------> seccomp, execve
    start() returns   <------------------------- the socket closes by itself: started

Each side closes the other's end of the socket, so whoever dies is noticed by the one who waits.
"""
import gc
import os
import select
import sys

from . import linux
from .clone.signals import PASSED_ON, deliver, listen, miss_reader
from .clone.start import Start, keep_statuses, occupy
from .layer import Layer, LayerError, Undo, each, named

TICK = 50  # milliseconds between two looks at who writes though nobody reads


class Clone(Layer):
    """A process that sees no process but its own descendants."""
    chapter, name, flags = 2, "clone", linux.CLONE_NEWPID
    cures = {
        ("listdir", 2): "is /proc mounted here? Try `mount -t proc proc /proc`",
        ("clone3", 1): "namespaces need root, or a user namespace, which there is none of in a chroot "
                       "or behind a filter (`workshop doctor` looks closer)",
        ("clone3", 11): "no more processes for this user: see `ulimit -u`, pids.max",
        ("clone3", 28): "too many namespaces: see /proc/sys/user/max_*_namespaces",
        ("clone3", 38): "the kernel is older than 5.3, or a seccomp filter around us hides clone3",
        ("threads", None): "a child of a threaded process may deadlock: use a fresh interpreter",
    }

    def prepare(self, spec, undo):
        if len(linux.listdir("/proc/self/task")) > 1:
            raise LayerError(self.name, "threads", 0)


class Container:
    """A child that waits or runs, and what it takes to talk to it and to clean up after it."""

    def __init__(self, pid, pidfd, signals, control):
        self.pid, self.pidfd, self.signals = pid, pidfd, signals
        self.control, self.undo = control, None
        self.early = []        # signals that came while it was being started, for wait()
        self.killed_by = None  # the signal that we ended it for
        self.told_to_end = False
        self.unread = None     # how often PID 1 had written when nobody read any more
        self.terminal = None   # chapter 9 puts one here


def create(spec, layers, start=None):
    """Makes a container with these layers, ready to start. Raises LayerError, or SystemExit
    for a signal, having undone all."""
    occupy()
    with Undo() as undo:
        keep_statuses(undo)
        before = linux.pthread_sigmask(linux.SIG_BLOCK, PASSED_ON)  # or one could end us half-way
        undo.callback(linux.pthread_sigmask, linux.SIG_UNBLOCK, set(PASSED_ON) - before)
        start = start or Start()
        layers = [*layers, start]
        each(layers, lambda layer: layer.prepare(spec, undo))
        signals = linux.signalfd(PASSED_ON)
        undo.callback(linux.close, signals)
        pid, pidfd = clone(layers)
        if pid == 0:
            child(layers, start)
        undo.callback(linux.close, pidfd)
        undo.callback(end, pidfd)
        named("socket", linux.close, start.child_end)
        each(layers, lambda layer: layer.parent(pid, undo))
        container = Container(pid, pidfd, signals, start.parent_end)
        say(container.control, b"go")
        while (word := receive(container)) != b"ready":
            if container.killed_by:
                raise SystemExit(128 + container.killed_by)
            start.answer(word, pid)
        container.undo = undo.pop_all()
        return container


def clone(layers):
    """Starts the child, in all the new namespaces at once."""
    flags = cgroup = 0
    collects = gc.isenabled()
    for layer in layers:
        flags |= layer.flags
        cgroup = cgroup or layer.cgroup
    try:
        gc.disable()  # the child must run nobody's finalizers
        print(end="", flush=True)  # what is buffered now would be written twice
        return linux.clone3(flags, cgroup)
    except OSError as error:
        raise LayerError.of(Clone.name, error) from error
    finally:
        if collects:
            gc.enable()


def child(layers, start):
    """All that the child ever does. It leaves by execve or by _exit, never by returning."""
    try:
        gc.disable()
        if linux.observer:
            linux.observer.side = "child"
            linux.observer.sink = lambda event: start.child_end.write(b"event" + dumps(event))
        named("socket", linux.close, start.parent_end)
        linux.prctl(linux.PR_SET_PDEATHSIG, linux.SIGKILL)
        if named("socket", linux.recv, start.child_end, 9) == b"go":
            each(sorted(layers, key=lambda layer: layer.stage), lambda layer: layer.child())
            each([start], lambda layer: start.program.execute())
    except BaseException as error:
        start.child_end.write(b"error" + LayerError.of(Clone.name, error).pack())
    finally:
        os._exit(125)


def dumps(event):
    return sys.modules["json"].dumps(event, default=str).encode()  # loaded by whoever records


def say(control, word):
    """Says a word to the child. If it is dead, receive() will tell."""
    try:
        named("socket", linux.send, control, word)
    except BrokenPipeError:
        pass


def receive(container):
    """The child's next word; b"" if it closed the socket. Raises the error that it reports."""
    while True:
        listen(container)  # to signals, too, as it may hang
        try:
            message = named("socket", linux.recv, container.control, 65536)
        except ConnectionResetError:  # it died with a word of ours unread; what did it say before?
            continue
        if message.startswith(b"error"):
            raise LayerError.unpack(message[5:])
        if not message.startswith(b"event"):
            return message
        if linux.observer:
            linux.observer.sink(sys.modules["json"].loads(message[5:]))


def start(container):
    """Lets the container's program run. Raises LayerError if it cannot be executed."""
    say(container.control, b"start")
    receive(container)  # execve closes the child's end


def wait(container, ready=None):
    """Passes signals on until the container ends; returns its exit status, 128+n for signal n.

    ready: descriptor -> (events of poll(2) to wait for, what to call with poll and the events).
    """
    ready = ready or {}
    poll = select.poll()
    for fd in (container.pidfd, container.signals):
        poll.register(fd, select.POLLIN)
    for fd, (events, _) in ready.items():
        poll.register(fd, events)
    for siginfo in container.early:
        deliver(container, siginfo)
    while True:
        for fd, events in linux.poll(poll, None if container.unread is None else TICK):
            if fd == container.pidfd:
                return reap(container)
            if fd == container.signals:
                deliver(container, os.read(fd, 128))
            else:
                ready[fd][1](poll, events)
        if container.unread is not None:
            miss_reader(container)


def reap(container):
    """Collects the exit status of a container that has ended."""
    result = linux.waitid(os.P_PIDFD, container.pidfd, os.WEXITED)
    if result.si_code == os.CLD_EXITED:
        return result.si_status
    if container.killed_by and result.si_status == linux.SIGKILL:
        return 128 + container.killed_by
    return 128 + result.si_status


def end(pidfd):
    """Ends the container's init, and with it every process in there, if that has not happened."""
    try:
        linux.pidfd_send_signal(pidfd, linux.SIGKILL)
        linux.waitid(os.P_PIDFD, pidfd, os.WEXITED)
    except (ProcessLookupError, ChildProcessError):
        pass  # collected already


def delete(container):
    """Ends the container if it still runs, and undoes what was done for it, last things first."""
    container.undo.close()


def run(spec, layers):
    """create, start, wait and delete in a row; returns the exit status."""
    container = create(spec, layers)
    try:
        start(container)
        return wait(container)
    finally:
        delete(container)
