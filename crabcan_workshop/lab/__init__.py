"""What the notebooks use: containers to run, to look at and to ask, shown well in Jupyter.

A container starts in a fresh interpreter, never by cloning the notebook's kernel: that has threads,
and a child of a threaded process may wait for ever for a lock that nobody holds.
"""
from .containers import Result, Running, can_limit, run, start
from .guess import check
from .views import matrix, observe, trace

__all__ = ["Result", "Running", "can_limit", "check", "matrix", "observe", "run", "start", "trace"]


def load_ipython_extension(shell):
    """%load_ext crabcan_workshop.lab: adds the cell magic %%inside."""
    from .magic import inside
    shell.register_magic_function(inside, "cell", "inside")
