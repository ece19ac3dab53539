"""What becomes of a process when it executes a program, and when it ends (execve(2))."""
from . import descriptors, namespaces
from .data import arg, put, text
from .identity import after_execve


def execve(state, event, process):
    """The program's own life begins: what was only for us is closed, and root's sets are made anew."""
    side, variables = process["side"], arg(event, 2)
    process = {**process, "program": text(arg(event, 0)), "keep_capabilities": False,
               "capabilities": after_execve(state, process),
               "environment": sorted(map(text, variables)) if variables is not None else None}
    state = put(state, "processes", side, process)
    for kind, name in process["next"].items():
        if kind == "time":
            state = namespaces.enter(state, side, kind, name, "new")
    return descriptors.executed(state, side)


def exited(state, event, process):
    return put(state, "processes", process["side"], "alive", False)
