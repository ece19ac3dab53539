"""kill and delete: how a container is told to end, and how nothing of it is left."""
import select

import _signal

from .. import linux
from .cgroups import freezer
from .cgroups.freezer import thaw, thaw_where
from .cgroups.processes import processes, remove
from .state import Refused

PATIENCE = 10_000  # ms until a process that was killed must have ended
LAST = 64          # the highest number of a signal


def number(word):
    """A signal, by number or by name, with SIG or without. 0 is none, but asks whether one could be sent."""
    if word.isdigit() and int(word) <= LAST:
        return int(word)
    name = word.upper() if word.upper().startswith("SIG") else f"SIG{word.upper()}"
    found = getattr(_signal, name, None)
    if not isinstance(found, int) or word.isdigit():
        raise Refused(f"unknown signal {word!r}")
    return found


def kill(state, signal, everybody=False):
    """Sends a signal to the first process, or to all in its cgroup. Who has none, has only a first one."""
    groups = state.groups() if everybody else None
    if groups:
        return freezer.send(groups, signal)
    process = state.process()
    if process is None and everybody:
        return  # none is left of a container that has stopped: then all have it
    if process is None:
        raise Refused("container not running")
    try:
        linux.pidfd_send_signal(process, signal)
    except ProcessLookupError:
        raise Refused("container not running") from None
    finally:
        linux.close(process)


def delete(state, log, force=False):
    """Removes what is left; with force it is ended first."""
    status = state.status()
    if status not in ("stopped", "creating") and not force:
        raise Refused(f"cannot delete container {state.id} that is not stopped: {status}")
    process = state.process()
    if process is not None:
        end(process, state)
    groups = state.groups()
    if groups:
        if processes(groups):  # of a PID namespace that is not its own: nobody else ends them
            freezer.kill(groups)
        remove(groups)
    if state.record.get("planned"):
        from .cgroups.tree import release
        release(state.record["planned"])
    if state.record.get("mounted"):
        from .tree import unmount
        unmount(*state.record["mounted"])
    text = state.told("stopped")
    try:
        config = state.config()
    except Refused:
        config = {}  # was never written, or a `delete` was killed half-way
    state.remove()
    after(config, text, log)


def end(process, state):
    """Kills the first process, and waits until it has ended."""
    try:
        linux.pidfd_send_signal(process, linux.SIGKILL)
    except ProcessLookupError:
        pass
    if state.groups():
        thaw(state.groups())  # or a paused one would never hear of it
        thaw_where(state.record["pid"])
    poll = select.poll()
    poll.register(process, select.POLLIN)
    if not linux.poll(poll, PATIENCE):
        raise Refused(f"container {state.id} was killed and does not end: what does it wait for? "
                      f"See /proc/{state.record['pid']}/stack")
    linux.close(process)


def after(config, told, log):
    """The poststop hooks; one that fails is a warning, and keeps none from its turn."""
    words = (config.get("hooks") or {}).get("poststop") or ()
    if not words:
        return
    import json
    from . import hooks
    for hook in words:
        try:
            hooks.run({"poststop": [hook]}, "poststop", json.dumps(told).encode())
        except Refused as error:
            log.warn(error)


