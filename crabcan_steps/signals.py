"""Signals that reach us are meant for the container (signal(7)): passed on, or done in its stead.

The kernel keeps signals from a PID 1 that has no handler for them, even Ctrl-C
(pid_namespaces(7)). People expect them to work all the same.
"""
import os

from . import linux

PASSED_ON = (linux.SIGINT, linux.SIGTERM, linux.SIGHUP, linux.SIGQUIT, linux.SIGUSR1,
             linux.SIGUSR2, linux.SIGTSTP, linux.SIGCONT, linux.SIGWINCH)
HARMLESS = (linux.SIGCONT, linux.SIGWINCH)  # by default they end nothing
FROM_KERNEL = 0x80  # si_code of a signal from the terminal: the whole session has it already


def deliver(container, siginfo):
    """Passes on one signal that has reached us."""
    number, code = siginfo[0], int.from_bytes(siginfo[8:12], "little", signed=True)
    if number == linux.SIGWINCH and container.terminal:
        container.terminal.resize()
    elif number != linux.SIGTSTP and handles(container.pid, number):
        if code != FROM_KERNEL or os.getsid(container.pid) != os.getsid(0):
            linux.pidfd_send_signal(container.pidfd, number)
    else:
        default_action(container, number)


def default_action(container, number):
    """Does to the container what the signal would do to a program that has no handler for it."""
    if number == linux.SIGTSTP:
        if container.terminal:
            container.terminal.release()
        linux.pidfd_send_signal(container.pidfd, linux.SIGSTOP)
        os.kill(os.getpid(), linux.SIGSTOP)  # we sleep here until somebody says SIGCONT
        linux.pidfd_send_signal(container.pidfd, linux.SIGCONT)
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
