"""pause and resume: all processes of a container stop where they are, and go on."""
from ...layer import LayerError
from ..cgroups import freezer


def pause(state, options):
    """Freezes a container that is created or running; returns when it stands still."""
    if state["status"] not in ("created", "running"):
        raise LayerError("pause", "container not running", 0, f"it is {state['status']}")
    freezer.freeze(state["cgroups"], True)
    return 0


def resume(state, options):
    """Lets a paused container go on."""
    if state["status"] != "paused":
        raise LayerError("resume", "container not paused", 0, f"it is {state['status']}")
    freezer.freeze(state["cgroups"], False)
    return 0
