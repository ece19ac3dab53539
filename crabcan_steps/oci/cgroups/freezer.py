"""All processes of a container at once: frozen, thawed, signalled, ended."""
import errno
import time

from ... import linux
from ...layer import LayerError, exists
from .processes import PATIENCE, processes, wait
from .record import frozen, main
from .tree import own_path, trees


def freeze(groups, still, seconds=PATIENCE):
    """Stops all processes at once, or lets them run on; returns when they have stopped.

    Raises LayerError if they do not; then they run on."""
    state = "FROZEN" if still else "THAWED"
    if "freezer" in groups["paths"]:
        path = groups["paths"]["freezer"]
        done = freeze_first(path, state, seconds)
    else:
        path = main(groups)
        linux.write(f"{path}/cgroup.freeze", "1" if still else "0")
        done = wait(path, f"frozen {still:d}", seconds)
    if not done:
        if still:
            thaw(groups)
        raise LayerError("cgroups", "unable to freeze", errno.EBUSY, path)


def thaw(groups):
    """Lets all processes run on, if there is anything to say that to."""
    try:
        freeze(groups, False)
    except FileNotFoundError:
        pass


def thaw_where(pid):
    """The same for whoever has been moved, and frozen elsewhere: version 1 lets nobody die in there."""
    top = trees().get("freezer")
    try:
        if top:
            linux.write(f"{top[0]}{own_path('freezer', pid)}/freezer.state", "THAWED")
    except OSError:
        pass  # it has ended; or it is at the top, which has no such file


def freeze_first(path, state, seconds):
    """Version 1: new processes may slip through, and some cannot stop just now: so again."""
    deadline = time.monotonic() + seconds
    pause = 0.0001
    while time.monotonic() < deadline:
        linux.write(f"{path}/freezer.state", state)
        if linux.read(f"{path}/freezer.state").strip() == state:
            return True
        time.sleep(pause)
        pause = min(pause * 2, 0.01)
    return False


def signal(groups, number):
    """Sends a signal to all processes, frozen meanwhile: so none is born unseen, none's id reused."""
    before = frozen(groups)
    try:
        freeze(groups, True)
    except (FileNotFoundError, LayerError):
        pass  # no freezer, or somebody who cannot stop: then as they run
    try:
        for pid in processes(groups):
            try:
                if pid:
                    linux.kill(pid, number)
            except ProcessLookupError:
                pass
    finally:
        if not before or number == linux.SIGKILL:  # who is frozen by version 1 could not die
            thaw(groups)


def send(groups, number):
    """The same, but SIGKILL is the kernel's work where it offers that."""
    if number != linux.SIGKILL or not swept(groups):
        signal(groups, number)


def swept(groups):
    """Has the kernel end all processes, those being born too (5.14); tells whether it can."""
    path = main(groups)
    if not exists(f"{path}/cgroup.kill"):
        return False
    linux.write(f"{path}/cgroup.kill", "1")
    if frozen(groups) and "freezer" in groups["paths"]:
        thaw(groups)
    return True


def kill(groups, seconds=PATIENCE):
    """Ends all processes, and returns when there are none. Raises LayerError if some remain."""
    deadline = time.monotonic() + seconds
    if swept(groups):
        wait(main(groups), "populated 0", seconds)
    while left := processes(groups):
        if time.monotonic() > deadline:
            raise LayerError("cgroups", "kill", errno.EBUSY, f"processes that do not end: {left}")
        signal(groups, linux.SIGKILL)
        time.sleep(0.001)
