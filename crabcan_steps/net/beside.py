"""Processes that stand beside a container with a network, for chapter 11, and end with it.

Each is a copy of us that gives away what it does not need: every descriptor, our terminal, our signals.
"""
import os
import select

from .. import linux
from ..layer import LayerError, attempt

NOBODY = 65534


def apart(deed, keep, user=None, born=linux.fork):
    """Starts a process of its own session that does one thing, with these descriptors; returns its pid."""
    pid = born()
    if pid:
        return pid
    try:
        linux.observer = None
        linux.setsid()
        called(f"net-of-{os.getppid()}")
        null = os.open("/dev/null", os.O_RDWR)
        for fd in range(3):
            linux.dup2(null, fd)
        first = 3
        for fd in sorted(keep):
            if fd > first:
                linux.close_range(first, fd - 1)
            first = fd + 1
        linux.close_range(first, linux.LAST_FD)
        linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)
        for number in linux.valid_signals() - {linux.SIGKILL, linux.SIGSTOP}:
            linux.sigaction(number, linux.SIG_DFL)
        linux.pthread_sigmask(linux.SIG_SETMASK, ())
        if user is not None:
            linux.setgroups(())
            linux.setresgid(user, user, user)
            linux.setresuid(user, user, user)
        deed()
    except BaseException:
        pass
    finally:
        os._exit(0)


def called(title):
    """Another name for ps(1), and for pkill(1): whoever ends us by name does not mean who tidies up after us.

    The words of our command line lie in our own memory, from arg_start to arg_end (proc(5), /proc/PID/stat)."""
    linux.write("/proc/self/comm", title[:15])
    begin, end = map(int, linux.read("/proc/self/stat").rpartition(")")[2].split()[45:47])
    memory = os.open("/proc/self/mem", os.O_WRONLY | os.O_CLOEXEC)
    os.pwrite(memory, title.encode()[:end - begin - 1].ljust(end - begin, b"\0"), begin)
    linux.close(memory)


def with_us(deed, keep, undo, user=None):
    """One that the kernel ends with us (PR_SET_PDEATHSIG), whatever becomes of us."""
    if user is not None and not mapped(user):
        raise LayerError("network", "-p", 0, f"what listens is to run as nobody ({user}), whom this user namespace does not "
                         "have: map 65536 ids (user_namespaces(7)), or leave -p out")
    parent = os.getpid()

    def work():
        linux.prctl(linux.PR_SET_PDEATHSIG, linux.SIGKILL)  # not earlier: a change of user clears it
        if os.getppid() == parent:
            deed()
    undo.callback(end, apart(work, keep, user))


def mapped(user):
    """Whether the user namespace that we are in has this user, and this group."""
    for kind in "uid", "gid":
        rows = [map(int, line.split()) for line in linux.read(f"/proc/self/{kind}_map").splitlines()]
        if not any(first <= user < first + count for first, _, count in rows):
            return False
    return True


def after_us(deed, undo):
    """One that does something when we are gone without having undone all: kill -9.

    Whatever is to be undone before it is sent home again, is noted after this."""
    pid = os.getpid()
    us = linux.pidfd_open(pid)

    def wait():
        poller = select.poll()
        poller.register(us, select.POLLIN)
        linux.poll(poller)
        deed(pid)
    undo.callback(end, apart(wait, [us], born=above))
    linux.close(us)


def above():
    """fork(2), into the top of the tree of cgroups: whoever ends a cgroup as a whole (systemd; the kernel,
    where memory runs out) ends all of ours but this one. Where that cannot be had, fork as usual."""
    for top in "/sys/fs/cgroup", "/sys/fs/cgroup/unified":
        if os.path.exists(f"{top}/cgroup.procs"):
            try:
                return fork_into(top)
            except OSError:  # a kernel before 5.7, or the tree is not ours: are we in a container?
                break
    return linux.fork()


def fork_into(path):
    cgroup, pid = linux.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), None
    try:
        pid = linux.fork(cgroup)
        return pid
    finally:
        if pid != 0:  # the copy closes all that it does not keep
            linux.close(cgroup)


def end(pid):
    """Ends one of them, and collects it."""
    try:
        os.kill(pid, linux.SIGKILL)  # our child, and not collected: nobody else can have the number
    except ProcessLookupError:
        pass
    attempt(linux.waitpid, pid, 0)
