"""What a notebook's kernel knows before the first cell has run: to say that it has not.

Set up as an extension of IPython's (.venv/etc/ipython), it is there from the start, and after each
restart of the kernel, which forgets all names.
"""
import ast
from pathlib import Path

from IPython.core.error import UsageError

OURS = Path(__file__).resolve().parent
MAGICS = {"inside": "cell", "mine": "line_cell", "escape": "line_cell"}
SAY = "run the first cell of this notebook: a kernel that has just started knows none of its names"


def load_ipython_extension(shell):
    """Our names and magics say what to do, until the first cell brings the real ones."""
    for name, kind in MAGICS.items():
        shell.register_magic_function(Unknown(f"%{name}"), kind, name)
    stubs = {name: Unknown(name) for name in names()}
    shell.user_ns.update(stubs)
    shell.user_ns_hidden.update(stubs)
    shell.set_custom_exc((KeyboardInterrupt,), interrupted)


def names():
    """What the lab exports, without loading it."""
    text = (OURS / "lab" / "__init__.py").read_text()
    return next(ast.literal_eval(node.value) for node in ast.parse(text).body
                if isinstance(node, ast.Assign) and node.targets[0].id == "__all__")


class Unknown:
    """A name of the lab's, which is not there yet."""

    def __init__(self, name):
        self.name = name

    def __call__(self, *_, **__):
        raise UsageError(f"{self.name}: {SAY}")


def interrupted(shell, kind, error, traceback, tb_offset=None):
    """One line for an interrupt that meets our code; the learner's own loop is shown."""
    if not through_ours(traceback):
        return shell.showtraceback((kind, error, traceback), tb_offset=tb_offset)
    lines = ["Interrupted: what ran in the cell was ended."]
    shell._showtraceback(kind, error, lines)
    return lines


def through_ours(traceback):
    """Whether a traceback leads into the course's code."""
    while traceback:
        if traceback.tb_frame.f_code.co_filename.startswith(str(OURS)):
            return True
        traceback = traceback.tb_next
    return False
