"""%%inside: a cell whose text runs in a container, as a shell script or as Python."""
import argparse
import shlex

from IPython import get_ipython
from IPython.core.error import UsageError

from ..chapters import NUMBERS, WHOLE
from .containers import run


class Words(argparse.ArgumentParser):
    def error(self, message):
        raise UsageError(f"%%inside: {message}")


def parser():
    p = Words(prog="%%inside", add_help=False, allow_abbrev=False)
    p.add_argument("--step", type=int, choices=NUMBERS, default=WHOLE)
    p.add_argument("--python", action="store_true")
    p.add_argument("--into", metavar="VARIABLE")
    return p


def inside(line, cell):
    """%%inside [--step N] [--python] [--into VARIABLE] [the command line's own options ...]"""
    options, rest = parser().parse_known_args(shlex.split(line))
    command = ["/usr/bin/python3", "-I", "-c", cell] if options.python else ["sh", "-c", cell]
    if rest and rest[-1] == "--":
        rest.pop()
    result = run(command, options.step, raw=rest)
    if options.into:
        get_ipython().user_ns[options.into] = result
    return result
