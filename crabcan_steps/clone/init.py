"""A process 1 that does what a process 1 is for (--init), for chapter 2.

The command is then its child: it need not reap the orphans of others, and signals end it as they
end any program. Process 1 is our own child, which stays: a Python that lives among strangers, and
so it imports nothing, opens nothing, prints nothing, has no descriptor, no capability and no
command line, and cannot be looked into (PR_SET_DUMPABLE in prctl(2)).
"""
import ctypes
import errno
import os

from .. import linux
from ..layer import Layer, Stage
from .signals import PASSED_ON

GRACE = 10  # seconds from SIGTERM to SIGKILL, as `docker stop` has it
NAME = b"crabcan-init\0"


class Init(Layer):
    """Stays as process 1, and becomes the command in a child of its own."""
    chapter, name, stage = 2, "clone", Stage.INIT
    options = {"init": "--init"}
    cures = {("fork", errno.EAGAIN): "--init is a process, too: --pids must be 2 at least",
             ("prctl", errno.EPERM): "the filter (--seccomp) holds --init as well: prctl, clone, wait4, "
                                     "kill and alarm must be allowed"}

    def prepare(self, spec, undo):
        self.wanted, self.main = spec.init, None
        if self.wanted:  # where our own command line lies, for anybody inside to read (proc(5))
            self.words = map(int, linux.read("/proc/self/stat").rpartition(")")[2].split()[45:47])

    def child(self):
        if not self.wanted:
            return
        linux.prctl(linux.PR_SET_DUMPABLE, 0)  # execve takes it back, for the command only
        self.main = linux.fork()
        if self.main == 0:
            lead()
        else:
            self.live()

    def live(self):
        """Process 1 from now on. Ends with the status of the command, and everything with it."""
        linux.observer = None
        linux.close_range(0, 0xFFFFFFFF, 0)
        start, end = self.words
        linux.libc_call("prctl", linux.PR_SET_NAME, NAME)
        ctypes.memset(start, 0, end - start)
        ctypes.memmove(start, NAME, min(len(NAME), end - start))
        for number in PASSED_ON:
            linux.sigaction(number, self.pass_on)
        linux.sigaction(linux.SIGALRM, lambda number, frame: os.kill(-1, linux.SIGKILL))
        status = 125
        try:
            while True:
                pid, state = os.waitpid(-1, os.WUNTRACED)
                if os.WIFSTOPPED(state):
                    if os.WSTOPSIG(state) == linux.SIGTSTP:  # Ctrl-Z: no shell is there to go on with
                        os.kill(pid, linux.SIGCONT)
                elif pid == self.main:
                    status, self.main = os.waitstatus_to_exitcode(state), None
                    os.kill(-1, linux.SIGTERM)  # whoever is still there may tidy up
                    linux.alarm(GRACE)
        except OSError:  # ECHILD: nobody is left
            os._exit(status if status >= 0 else 128 - status)

    def pass_on(self, number, frame):
        """What process 1 is told is meant for the command."""
        try:
            if self.main:
                os.kill(self.main, number)
        except OSError:  # it has just ended, or is another user now (EPERM without CAP_KILL)
            pass
        if self.main and number == linux.SIGTERM:
            linux.alarm(GRACE)


def lead():
    """A process group of the command's own, in the foreground of its terminal if there is one."""
    os.setpgid(0, 0)
    linux.pthread_sigmask(linux.SIG_BLOCK, (linux.SIGTTOU,))  # or it would stop us, in the background
    for fd in range(3):
        try:
            os.tcsetpgrp(fd, os.getpid())
            break
        except OSError:  # ENOTTY: no terminal, or another session's
            pass
    linux.pthread_sigmask(linux.SIG_UNBLOCK, (linux.SIGTTOU,))
