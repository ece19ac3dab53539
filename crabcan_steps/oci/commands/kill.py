"""kill and delete: a signal for a container, and its end."""
from .. import ending
from ..state import NotThere, State


def kill(root, options, words):
    signal = ending.number(words[1] if words[1:] else "TERM")
    ending.kill(State.open(root, words[0]), signal, options.get("all"))
    return 0


def delete(root, options, words):
    try:
        state = State.open(root, words[0])
    except NotThere:
        if options.get("force"):
            return 0
        raise
    ending.delete(state, options["log"], options.get("force"))
    return 0
