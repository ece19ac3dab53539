"""start: the program of a created container runs."""
import fcntl

from ... import ch10_bundle
from .. import quickjson
from ..state import Refused, State


def start(root, options, words):
    state = State.open(root, words[0])
    ready = None
    if state.record.get("notify") and state.status() == "created":
        from .. import notify
        ready = notify.listen(state)
    ch10_bundle.start(state)
    options["log"].debug("init: closing the pipe to signal completion: its program runs")
    poststart(state, options["log"])
    if ready:
        unlock(state)
        notify.wait(ready, state)
    return 0


def poststart(state, log):
    """The hooks that run once the program runs. If one fails the container is ended."""
    from .. import ending, hooks
    words = state.config().get("hooks") or {}
    if words.get("poststart"):
        try:
            hooks.run(words, "poststart", quickjson.dumps(state.told()).encode())
        except (Refused, SystemExit):
            ending.delete(state, log, force=True)
            raise


def unlock(state):
    """Others may work with it, while we only wait for its end."""
    fcntl.flock(state.folder, fcntl.LOCK_UN)
