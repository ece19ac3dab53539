"""Chapter 1: the command line becomes a Spec, and the Spec a program. Nothing is isolated yet.

What the container gets is what stands in the Spec: no variable, descriptor, directory or signal
setting of the caller slips through, because none is passed on unless it is written here.
"""
import os

from . import linux
from .args.program import PATH, Program


class Spec:
    """What to run, and in what: one attribute an option. These are the defaults."""
    command = ()                    # empty: a shell
    string = None
    entrypoint, init = None, False  # a program before the command; a process 1 above it
    mount, add = None, ()           # the root; (host, container, read-only) for each extra path
    tmpfs, device = (), ()          # (path, attributes, settings); (host, container)
    read_only = False               # the root
    env, workdir = (), "/"
    user, uid = None, 0             # (name or number, group) as asked for; chapter 5 looks them up
    home = None                     # None: /root, or / for another user
    hostname = None                 # None: chapter 3 invents one
    caps, cap_add, cap_drop = "none", (), ()
    seen = None                     # which directory --mount led to: (device, inode)
    withheld = frozenset()          # what chapter 5 takes away, whoever asks for it
    kept = None                     # what chapter 6 keeps of them; None: it is left out, so all
    seccomp = "default"             # or the path of a profile
    memory, pids, nofile = 1 << 30, 64, 64
    memory_swap = cpus = io_weight = None  # None: no limit; but no swap
    ulimit = ()                     # (name, soft, hard)
    net, publish, internal = "none", (), False  # (address, port, port inside, protocol) each
    name = ip = ip6 = mac = None    # None: chapter 11 chooses
    dns, add_host = (), ()          # None: the host's; (name, address) each
    files = ()                      # what chapter 11 has chapter 4 mount over the root's own
    layers = "all"
    debug, trace, write_bundle = False, None, None
    explore = False                 # --trace, and afterwards a page of it

    def environment(self):
        """The container's whole environment, from scratch."""
        env = {"PATH": PATH, "HOME": self.home or ("/" if self.uid else "/root")}
        if "TERM" in os.environ and os.isatty(0):
            env["TERM"] = os.environ["TERM"]
        if self.hostname:
            env["HOSTNAME"] = self.hostname
        return env | dict(self.env)


def parse(argv, prog="crabcan run"):
    """Makes a Spec of arguments. Exits with status 2 and one line if they are wrong."""
    spec = Spec()
    spec.words = list(argv)
    if argv and argv[0].startswith("-") and argv[0] != "--":
        from .args.options import read  # only for options: one millisecond
        read(argv, spec, prog)
    words = spec.words[1:] if spec.words[:1] == ["--"] else spec.words
    if spec.string is not None:
        words = split(spec.string, words, prog)
    if words and not words[0]:
        wrong("the command is empty", prog)
    if any("\0" in word for word in words):
        wrong("the command contains NUL", prog)
    spec.command = tuple(words)
    return spec


def split(string, words, prog):
    """--command's string as words, quoted as in a shell."""
    import shlex  # only now: it costs 3 ms
    if words:
        wrong(f"--command and a COMMAND ({words[0]}): give one of them", prog)
    try:
        return shlex.split(string) or wrong("-c/--command: names no command", prog)
    except ValueError as error:
        return wrong(f"-c/--command: '{string}': {str(error).lower()}", prog)


def wrong(message, prog):
    """Ends it all with one line: how the options were wrong."""
    from .args.options import end
    end(message, prog)


def run(spec):
    """The checkpoint: becomes the command, in this very process. Raises OSError if it cannot."""
    program = Program(spec.command, spec.environment())
    linux.chdir(spec.workdir)
    print(end="", flush=True)
    linux.close_range(3, linux.LAST_FD, linux.CLOSE_RANGE_CLOEXEC)
    program.clear()
    program.execute()
