"""The options of the command line, and what each of them may say, for chapter 1."""
import argparse
import os

from .layer import say

EXAMPLES = """examples:
  crabcan run                                    a shell in a container
  crabcan run -- sh -c 'id; hostname; ps ax'     one command
  crabcan run --memory 64M --pids 20 -- python3  less than the default 1G and 64 processes
  crabcan run -m ./root -a ~/data:/data:ro -- ls /data
  crabcan run --layers all,-seccomp -- bash      leave one layer out, on purpose
  crabcan step 3 -- hostname                     the container as chapter 3 leaves it
  crabcan run -d -- true                         what each layer asks of the kernel

exit status: the command's own; 128+n if signal n ended it; 125 crabcan could not make the
container; 126 the command is not executable; 127 it was not found; 2 wrong usage"""


def check(good, text, rule):
    """Refuses an option's value with a rule that it breaks."""
    if not good:
        raise argparse.ArgumentTypeError(f"'{text}': {rule}")
    return text


def something(text):
    return check(text, text, "must not be empty: is a variable not set?")


def number(least, most):
    def whole_number(text):
        check(text.isascii() and text.lstrip("-").isdigit(), text, "must be a whole number")
        check(least <= int(text) <= most, text, f"must be from {least} to {most}")
        return int(text)
    return whole_number


def size(text):
    """Bytes, with K, M, G or T for powers of 1024, as the kernel's own files take them."""
    digits, unit = text[:-1], text[-1:].upper()
    if unit not in tuple("KMGT"):
        digits, unit = text, ""
    check(digits.isascii() and digits.isdigit(), text, "must be a size such as 64M or 1G")
    value = int(digits) << 10 * ("KMGT".find(unit) + 1 if unit else 0)
    check(1 << 20 <= value < 1 << 60, text, "must be at least 1M (Python needs 10M or so)")
    return value


def cpus(text):
    try:
        value = float(text)
    except ValueError:
        value = 0
    check(0.01 <= value <= 4096, text, "must be a number of processors, such as 0.5")
    return value


def hostname(text):
    allowed = text.isascii() and text.replace("-", "a").replace(".", "a").isalnum()
    check(allowed and text[0].isalnum(), text, "must be letters, digits, '-' and '.'")
    return check(len(text) <= 64, text, "is longer than the kernel's 64 bytes")


def capability(text):
    """A capability as capabilities(7) spells it, with or without CAP_; chapter 6 knows which exist."""
    name = text.upper().removeprefix("CAP_")
    check(name.replace("_", "").isalpha(), text, "must be the name of a capability, such as NET_RAW")
    return name


def inside(text):
    """A path in the container: absolute, and without '..'."""
    check(text.startswith("/"), text, "must be an absolute path in the container")
    check(".." not in text.split("/"), text, "must not contain '..'")
    return check("\0" not in text, text, "must not contain NUL")


def addition(text):
    words = text.split(":")
    check(len(words) == 2 or len(words) == 3 and words[2] in ("ro", "rw"), text,
          "must be HOST:CONTAINER or HOST:CONTAINER:ro")
    check(words[0], text, "names no path on the host")
    check(os.path.normpath(inside(words[1])).strip("/"), text, "the root itself is set by --mount")
    return words[0], words[1], words[2:] == ["ro"]


def variable(text):
    name, equals, value = text.partition("=")
    check(name and equals, text, "must be NAME=VALUE")
    return name, value


class Layout(argparse.RawDescriptionHelpFormatter):
    """argparse's, as wide as our lines are. (To ask how wide the terminal is would take 5 ms.)"""

    def __init__(self, prog):
        super().__init__(prog, max_help_position=34, width=100)


class Parser(argparse.ArgumentParser):
    """argparse, with errors of one line and a suggestion for a misspelt option."""

    def error(self, message):
        known = [option for action in self._actions for option in action.option_strings]
        unknown = message.removeprefix("unrecognized arguments: ").split()
        if unknown and message.startswith("unrecognized"):
            import difflib  # only now: it costs 5 ms
            near = difflib.get_close_matches(unknown[0].partition("=")[0], known, 1)
            message = f"unknown option {unknown[0]}" + (f": did you mean {near[0]}?" if near else "")
        say(f"{self.prog}: {message} (see {self.prog} --help)")
        self.exit(2)

    def print_help(self, file=None):
        print(self.format_help(), end="", file=file)  # unlike argparse's it can do without stdout


def read(argv, spec, prog):
    """Puts what the options say into a Spec. Exits with status 2 and one line if they are wrong."""
    spec.add, spec.env, spec.cap_add = [], [], []
    parser(prog).parse_args(argv, spec)


def parser(prog):
    p = Parser(prog=prog, usage=f"{prog} [OPTIONS] [--] [COMMAND [ARG ...]]", epilog=EXAMPLES,
               allow_abbrev=False, formatter_class=Layout)
    add = p.add_argument
    add("-d", "--debug", action="store_true", help="tell what each layer asks of the kernel")
    add("-c", "--command", dest="string", metavar="STRING",
        help="the command as one string, quoted as in a shell")
    add("-u", "--uid", type=number(0, 2**32 - 2), metavar="N", help="user id inside (0)")
    add("-m", "--mount", type=something, metavar="DIR",
        help="the root directory (a bare one with the host's /usr)")
    add("-a", "--add", type=addition, action="append", metavar="HOST:CONTAINER[:ro]",
        help="one more path of the host; can be repeated")
    add("--read-only", action="store_true", help="nobody can write to the root file system")
    add("--cap-add", type=capability, action="append", metavar="NAME",
        help="keep a capability, such as NET_RAW (none); can be repeated")
    add("--hostname", type=hostname, metavar="NAME", help="its name (an invented one)")
    add("--memory", type=size, metavar="SIZE", help="at most so much memory (1G)")
    add("--pids", type=number(1, 4194304), metavar="N", help="at most so many processes (64)")
    add("--cpus", type=cpus, metavar="X", help="at most so many processors, such as 0.5")
    add("--io-weight", type=number(1, 10000), metavar="N", help="share of the disks, 100 is usual")
    add("--nofile", type=number(3, 1 << 20), metavar="N", help="at most so many open files (64)")
    add("-e", "--env", type=variable, action="append", metavar="NAME=VALUE",
        help="one more environment variable; can be repeated")
    add("-w", "--workdir", type=inside, metavar="DIR", help="where the command starts (/)")
    add("--seccomp", type=something, metavar="PROFILE",
        help="default, allow-list, deny-list, or a file in the OCI form")
    add("--layers", type=something, metavar="LIST",
        help="only these layers, or all,-NAME to leave one out")
    add("--trace", type=something, metavar="FILE",
        help="write each call to the kernel to FILE, a JSON line each")
    add("words", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return p
