"""How a start begins and ends, for chapter 2: what our caller has left us, and the child's last stop."""
import os

from .. import linux
from ..args.program import Program
from ..layer import Layer, LayerError, Stage, named


def occupy():
    """Opens /dev/null where our caller has closed one of descriptors 0 to 2.

    Or the next file that we open would get its number, and go to the container."""
    while (fd := named("/dev/null", os.open, "/dev/null", os.O_RDWR)) <= 2:
        os.set_inheritable(fd, True)
    linux.close(fd)


def keep_statuses(undo):
    """If our caller ignores SIGCHLD, the kernel throws exit statuses away (waitpid(2), NOTES)."""
    if linux.getsignal(linux.SIGCHLD) == linux.SIG_IGN:
        linux.sigaction(linux.SIGCHLD, linux.SIG_DFL)
        undo.callback(linux.sigaction, linux.SIGCHLD, linux.SIG_IGN)


class Start(Layer):
    """The child's last stop: from here on it can only be started or dropped."""
    chapter, name, stage = 2, "clone", Stage.START
    cures = {
        ("openat2", 2): "--workdir must exist in the container",
        ("openat2", 20): "--workdir must be a directory",
        ("openat2", 40): "--workdir must not lead through links such as /proc/self/cwd",
        ("died", None): "the child ended without a word: was it killed (out of memory)?",
    }

    def prepare(self, spec, undo):
        self.workdir = os.fsencode(spec.workdir)
        self.program = spec.program = Program(spec.command, spec.environment())
        self.parent_end, self.child_end = linux.socketpair(linux.AF_UNIX, linux.SOCK_SEQPACKET)
        undo.callback(linux.close, self.parent_end)
        undo.callback(self.child_end.close)

    def answer(self, word, pid):
        """In the parent: what the child has said instead of "ready". Here it can only have died."""
        raise LayerError(self.name, "died", 0)

    def child(self):
        self.close()
        place = linux.openat2(linux.AT_FDCWD, self.workdir, os.O_PATH | os.O_DIRECTORY,
                              linux.RESOLVE_NO_MAGICLINKS)
        linux.fchdir(place)
        linux.close(place)
        linux.getcwd()  # fails if we stand outside of the root
        linux.prctl(linux.PR_SET_PDEATHSIG, linux.SIGKILL)  # a change of user has cleared it
        self.program.clear()  # now, so that only execve comes after the filter
        named("socket", linux.send, self.child_end, b"ready")
        if named("socket", linux.recv, self.child_end, 9) != b"start":
            os._exit(125)

    def close(self):
        """Closes every descriptor but 0 to 2 and the socket, which execve closes.

        Not all by execve: it looks the command up first, and /proc/self/fd/N of one of ours, or of
        our caller's, would lead out of the container."""
        socket = self.child_end.fileno()
        linux.close_range(socket + 1, linux.LAST_FD)
        if socket > 3:
            linux.close_range(3, socket - 1)
