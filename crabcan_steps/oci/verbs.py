"""Each command stands in a file of commands/, and nothing is loaded for the others."""
from .state import Refused, State

ELSEWHERE = {"run": "create", "delete": "kill", "list": "state", "resume": "pause"}  # not in a file of its name
PYTHONS = ("exec", "list")  # names that Python has taken: they end in _
OF_CGROUPS = ("ps", "pause", "resume", "update", "events")


def do(command, root, options, words):
    """Does what a command says; returns the status. Raises Refused, LayerError, OSError."""
    name = command + "_" * (command in PYTHONS)
    file = ELSEWHERE.get(command, command)
    deed = getattr(__import__(f"{__package__}.commands.{file}", fromlist=[name]), name)  # importlib: 0.6 ms
    if command in OF_CGROUPS:
        return deed(known(State.open(root, words[0], lock=command not in ("ps", "events"))),
                    options | {"args": words[1:]})
    return deed(root, options, words)


def known(state):
    """What commands hear of which only the cgroups know."""
    found = state.record | {"id": state.id, "status": state.status()}
    if not state.groups():
        raise Refused(f"container {state.id} has no cgroup of its own")
    return found
