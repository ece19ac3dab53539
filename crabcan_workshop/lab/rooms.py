"""%escape and %%escape: a cell whose lines run in an escape room."""
import argparse
import shlex

from IPython.core.error import UsageError

from ..course import escape
from .containers import PYTHON, finish
from .exercises import said
from .show import escape as plain
from .show import pre


class Visit:
    """What came of the lines that ran in a room."""

    def __init__(self, number, stdout="", stderr="", status=None):
        words = escape.rooms()[number]
        self.title, self.story = f"room {number}: {words['title']}", words["story"]
        self.stdout, self.stderr, self.status = stdout, stderr, status

    def __repr__(self):
        end = "" if self.status is None else f"[exit status {self.status}]"
        return "\n".join(filter(None, [self.title, self.story, self.stdout.rstrip(),
                                       self.stderr.rstrip(), end]))

    def _repr_html_(self):
        parts = [f"<div><strong>{plain(self.title)}</strong></div><div>{plain(self.story)}</div>"]
        if self.stdout:
            parts.append(pre(self.stdout))
        if self.stderr:
            parts.append(f"<div><small>on stderr:</small>{pre(self.stderr)}</div>")
        if self.status is not None:
            parts.append(f"<div><small>exit status {self.status}</small></div>")
        return "".join(parts)


class Words(argparse.ArgumentParser):
    def error(self, message):
        raise UsageError(f"%%escape: {message}; try: %%escape 4")


def visit(line, cell=None):
    """%escape ROOM [--hint]: what it is about. %%escape ROOM [--complete]: the cell runs there."""
    p = Words(prog="%%escape", add_help=False, allow_abbrev=False)
    p.add_argument("room", type=int, choices=escape.rooms(), metavar="ROOM")
    p.add_argument("--complete", action="store_true")
    p.add_argument("--hint", action="store_true")
    options = p.parse_args(shlex.split(line))
    if options.hint:
        return said("escape", options.room, "--hint")
    if not (cell or "").strip():
        return Visit(options.room)
    words = [*PYTHON, "-m", "crabcan_workshop", "escape", str(options.room), "-c", cell]
    return Visit(options.room, *finish([*words, *["--complete"] * options.complete]))
