"""What the notebooks use: containers to run, to look at and to ask, shown well in Jupyter.

A container starts in a fresh interpreter, never by cloning the notebook's kernel: that has threads,
and a child of a threaded process may wait for ever for a lock that nobody holds.
"""
from .book import book
from .containers import Result, can_limit, run
from .desk import answer, ask, diff, flag, hint, look, pack, reset, solution, status, take
from .explore import explore
from .guess import check
from .hand import hand
from .running import Running, start
from .views import matrix, observe, trace
from .worlds import world

__all__ = ["Result", "Running", "answer", "ask", "book", "can_limit", "check", "diff", "explore", "flag",
           "hint", "look", "matrix", "observe", "pack", "reset", "run", "solution", "start", "status",
           "take", "trace", "world"]


def load_ipython_extension(shell):
    """%load_ext crabcan_workshop.lab: adds the magics."""
    from .magic import inside
    from .mine import mine
    from .rooms import visit
    shell.register_magic_function(inside, "cell", "inside")
    shell.register_magic_function(mine, "line_cell", "mine")
    shell.register_magic_function(visit, "line_cell", "escape")
