"""Signals that reach us are meant for the container (signal(7)): passed on, or done in its stead.

The kernel keeps signals from a PID 1 that has no handler for them, even Ctrl-C
(pid_namespaces(7)). People expect them to work all the same.
"""
import os
import select

from .. import linux

PASSED_ON = (linux.SIGINT, linux.SIGTERM, linux.SIGHUP, linux.SIGQUIT, linux.SIGUSR1,
             linux.SIGUSR2, linux.SIGTSTP, linux.SIGCONT, linux.SIGWINCH)
HARMLESS = (linux.SIGCONT, linux.SIGWINCH)  # by default they end nothing
DEADLY = (linux.SIGINT, linux.SIGTERM, linux.SIGHUP, linux.SIGQUIT)
FROM_KERNEL = 0x80  # si_code of a signal from the terminal: the whole session has it already


def listen(container):
    """Waits until the child says something, or is silent for good: what it does may hang, as when
    a file server does not answer. Signals that end a program end it then; others wait."""
    if container.signals is None:
        return  # whoever only starts it (chapter 10) has blocked none
    poll = select.poll()
    for fd in (container.control.fileno(), container.signals):
        poll.register(fd, select.POLLIN)
    while container.control.fileno() not in dict(linux.poll(poll)):
        siginfo = os.read(container.signals, 128)
        if siginfo[0] in DEADLY:
            container.killed_by = siginfo[0]
            linux.pidfd_send_signal(container.pidfd, linux.SIGKILL)
        else:
            container.early.append(siginfo)


def deliver(container, siginfo):
    """Passes on one signal that has reached us."""
    number, code = siginfo[0], int.from_bytes(siginfo[8:12], "little", signed=True)
    container.told_to_end |= number in DEADLY
    if number == linux.SIGTERM:
        number = getattr(container, "stop_signal", number)  # an image may say another (chapter 12)
    if number == linux.SIGCONT and container.terminal:
        container.terminal.take()  # `fg`: the keys are ours again
    if number == linux.SIGWINCH and container.terminal:
        container.terminal.resize()
    elif number != linux.SIGTSTP and handles(container.pid, number):
        if code != FROM_KERNEL or os.getsid(container.pid) != os.getsid(0):
            linux.pidfd_send_signal(container.pidfd, number)
    else:
        default_action(container, number)


def stop(container):
    """Stops the container's processes; returns which, as (pid, start time). Those that somebody has
    stopped already, as its own shell does with a job, are not ours to continue."""
    stopped = []
    while new := [one for one, state in family(container.pid) if state not in "TZ" and one not in stopped]:
        send(new, linux.SIGSTOP)
        stopped += new  # and again: one of them may have forked meanwhile
    return stopped


def family(pid):
    """A process and all that come of it, parents first: ((pid, start time), state), see proc(5), stat.

    Not by their namespace: whoever joined it from outside has a terminal of his own."""
    children, found = {}, []
    for entry in filter(str.isdigit, linux.listdir("/proc")):
        try:
            words = linux.read(f"/proc/{entry}/stat").rpartition(")")[2].split()
        except OSError:  # has ended
            continue
        one = (int(entry), words[19]), words[0]
        children.setdefault(int(words[1]), []).append(one)
        if int(entry) == pid:
            found.append(one)
    for (parent, _), _ in found:  # which grows meanwhile
        found += children.get(parent, [])
    return found


def send(processes, number):
    """Sends a signal to processes that are still the ones that were seen."""
    for pid, began in processes:
        try:
            pidfd = os.pidfd_open(pid)
        except OSError:  # has ended
            continue
        try:
            if linux.read(f"/proc/{pid}/stat").rpartition(")")[2].split()[19] == began:
                linux.pidfd_send_signal(pidfd, number)
        except OSError:  # has ended, or has become another user
            pass
        finally:
            linux.close(pidfd)


def hang_up(container):
    """Our terminal is gone: what SIGHUP says."""
    container.told_to_end = True
    if handles(container.pid, linux.SIGHUP):
        linux.pidfd_send_signal(container.pidfd, linux.SIGHUP)
    else:
        default_action(container, linux.SIGHUP)


def default_action(container, number):
    """Does to the container what the signal would do to a program that has no handler for it."""
    if number == linux.SIGTSTP:
        if container.terminal:
            container.terminal.release()
        stopped = stop(container)
        os.kill(os.getpid(), linux.SIGSTOP)  # we sleep here until somebody says SIGCONT
        send(stopped, linux.SIGCONT)
        if container.terminal:
            container.terminal.take()
    elif number not in HARMLESS:
        container.killed_by = number
        linux.pidfd_send_signal(container.pidfd, linux.SIGKILL)


def handles(pid, number):
    """Tells whether a process catches or ignores a signal (proc(5), SigCgt and SigIgn)."""
    with open(f"/proc/{pid}/status") as status:
        masks = [int(line.split()[1], 16) for line in status if line.startswith(("SigCgt", "SigIgn"))]
    return any(mask >> number - 1 & 1 for mask in masks)


def lose_reader(container, fd, poll):
    """Whoever read what the container prints has gone, as in `... | head -1`."""
    poll.unregister(fd)
    container.unread = writes(container.pid)


def miss_reader(container):
    """SIGPIPE is kept from PID 1, too, which would write in vain for ever: sent when it writes again."""
    now = writes(container.pid)
    if (now is None or now != container.unread) and not handles(container.pid, linux.SIGPIPE):
        container.unread = None
        default_action(container, linux.SIGPIPE)


def writes(pid):
    """How often a process has called write, in vain or not (proc(5), syscw); None if it cannot be told."""
    try:
        with open(f"/proc/{pid}/io") as counts:
            return next(int(line.split()[1]) for line in counts if line.startswith("syscw"))
    except OSError:
        return None


def in_front():
    """Tells whether we may read our terminal: a background job must not (job control, termios(3))."""
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:  # not our controlling terminal: there is no job control on it
        return True
