"""Programs of the engine's that run at given moments of a container's life (config.json, `hooks`).

Each gets the container's state on its standard input. The same code runs them beside the container
and in it, so nothing here is imported or looked up late.
"""
import os
import select

import _signal

from .. import linux
from .state import Refused

MOST = 4096  # bytes of what a failed hook has printed


def run(hooks, which, text, confine=None):
    """Runs the hooks of a moment one after another. Raises Refused for the first that fails.

    confine: what each does before it is executed, where the program behind it is the container's."""
    for number, hook in enumerate(hooks.get(which) or ()):
        status, said = one(hook, text, confine)
        if status:
            why = f"{which} #{number} ({hook['path']}): {status}"
            raise Refused(f"error running hook {why}" + (f": {said.strip()}" if said.strip() else ""))


def one(hook, text, confine=None):
    """Runs one hook; returns how it failed ("" if it has not) and what it said on standard error."""
    given, said = memory(text), memory(b"")
    environment = os.environ if hook.get("env") is None else dict(
        word.partition("=")[::2] for word in hook["env"])
    files = [(os.POSIX_SPAWN_DUP2, given, 0), (os.POSIX_SPAWN_DUP2, said, 2)]
    try:
        pid = confined(hook, environment, given, said, confine) if confine else linux.posix_spawn(
            hook["path"], hook.get("args") or [hook["path"]], environment,
            file_actions=files, setsigmask=(), setsigdef=linux.DEFAULTS)
    except OSError as error:
        return f"{error.strerror}", ""
    finally:
        linux.close(given)
    try:
        return outcome(pid, hook.get("timeout")), os.pread(said, MOST, 0).decode(errors="replace")
    finally:
        linux.close(said)


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


def outcome(pid, timeout):
    """Waits for a hook, no longer than its seconds; how it failed, or ""."""
    pidfd = linux.pidfd_open(pid)
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    in_time = linux.poll(poll, timeout * 1000 if timeout else None)
    if not in_time:
        linux.pidfd_send_signal(pidfd, linux.SIGKILL)
    status = linux.waitpid(pid, 0)[1]
    linux.close(pidfd)
    if not in_time:
        return f"took longer than {timeout} s"
    if os.WIFSIGNALED(status):
        return (_signal.strsignal(os.WTERMSIG(status)) or f"signal {os.WTERMSIG(status)}").lower()
    return f"exit status {os.WEXITSTATUS(status)}" if status else ""
