"""Programs of the engine's that run at given moments of a container's life (config.json, `hooks`).

Each gets the container's state on its standard input. The same code runs them beside the container
and in it, so nothing here is imported or looked up late.
"""
import os
import select
import time

import _signal

from .. import linux
from ..clone.signals import DEADLY
from .state import Refused

MOST = 4096  # bytes that are kept of what a hook prints; the rest is read, or it would wait for us


def run(hooks, which, text):
    """Runs the hooks of a moment one after another. Raises Refused for the first that fails, and
    SystemExit for a signal: a hook may wait for ever, so what ends us ends it, too."""
    before = linux.pthread_sigmask(linux.SIG_BLOCK, DEADLY)
    signals = linux.signalfd(DEADLY)
    try:
        run_here(hooks, which, text, signals)
    finally:
        linux.close(signals)
        linux.pthread_sigmask(linux.SIG_SETMASK, before)


def run_here(hooks, which, text, signals=None, confine=None):
    """The same, where somebody else looks after signals: in the container.

    confine: what each does before it is executed, where the program behind it is the container's."""
    for number, hook in enumerate(hooks.get(which) or ()):
        status, said = one(hook, text, signals, confine)
        if status:
            why = f"{which} #{number} ({hook['path']}): {status}"
            raise Refused(f"error running hook {why}" + (f": {said.strip()}" if said.strip() else ""))


def one(hook, text, signals, confine):
    """Runs one hook; returns how it failed ("" if it has not) and what it said on standard error."""
    given = memory(text)
    ours, said = os.pipe2(os.O_CLOEXEC)
    environment = os.environ if hook.get("env") is None else dict(
        word.partition("=")[::2] for word in hook["env"])
    files = [(os.POSIX_SPAWN_DUP2, given, 0), (os.POSIX_SPAWN_DUP2, said, 2)]
    try:
        pid = confined(hook, environment, given, said, confine) if confine else linux.posix_spawn(
            hook["path"], hook.get("args") or [hook["path"]], environment,
            file_actions=files, setsigmask=(), setsigdef=linux.DEFAULTS)
    except OSError as error:
        linux.close(ours)
        return f"{error.strerror}", ""
    finally:
        linux.close(given)
        linux.close(said)
    try:
        return outcome(pid, hook.get("timeout"), ours, signals)
    finally:
        linux.close(ours)


def confined(hook, environment, given, said, confine):
    """The same by fork(2) and execve(2), with something to do between them."""
    pid = linux.fork()
    if pid:
        return pid
    try:
        linux.dup2(given, 0)
        linux.dup2(said, 2)
        linux.pthread_sigmask(linux.SIG_SETMASK, ())
        confine()
        linux.execve(hook["path"], hook.get("args") or [hook["path"]], environment)
    except OSError as error:
        os.write(2, f"{error.strerror}".encode())
    finally:
        os._exit(127)


def memory(data):
    """A file in memory, read from its beginning."""
    fd = os.memfd_create("state", os.MFD_CLOEXEC)
    os.pwrite(fd, data, 0)
    return fd


def outcome(pid, timeout, pipe, signals):
    """Waits for a hook, no longer than its seconds; how it failed, or "", and what it said."""
    pidfd = linux.pidfd_open(pid)
    why, said = heard(pidfd, timeout, pipe, signals)
    if why:
        linux.pidfd_send_signal(pidfd, linux.SIGKILL)
    status = linux.waitpid(pid, 0)[1]
    linux.close(pidfd)
    if isinstance(why, int):
        raise SystemExit(128 + why)
    os.set_blocking(pipe, False)
    try:
        said += os.read(pipe, MOST)  # its last words
    except BlockingIOError:
        pass  # there are none, but it has left somebody behind who may say more
    if not why and os.WIFSIGNALED(status):
        why = (_signal.strsignal(os.WTERMSIG(status)) or f"signal {os.WTERMSIG(status)}").lower()
    elif not why and status:
        why = f"exit status {os.WEXITSTATUS(status)}"
    return why, said[:MOST].decode(errors="replace")


def heard(pidfd, timeout, pipe, signals):
    """Listens to a hook until it ends. ("" or why it must end: words, or a signal; what it said)"""
    poll = select.poll()
    for fd in (pidfd, pipe) if signals is None else (pidfd, pipe, signals):
        poll.register(fd, select.POLLIN)
    last, said = timeout and time.monotonic() + timeout, b""
    while True:
        events = dict(linux.poll(poll, timeout and max(0, last - time.monotonic()) * 1000))
        if signals in events:
            return os.read(signals, 128)[0], said
        if pidfd in events:
            return "", said
        if timeout and time.monotonic() >= last:
            return f"took longer than {timeout} s", said
        if pipe in events:
            data = os.read(pipe, 1 << 16)
            said += data[:MOST - len(said)]
            if not data:  # it has closed it
                poll.unregister(pipe)
