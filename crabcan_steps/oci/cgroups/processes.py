"""Who is in a container's cgroups; how to join them; how they are removed."""
import errno
import os
import select
import time

from ... import linux
from ...layer import LayerError, exists
from .record import main
from .tree import ROOT, below, own_path, release, unique

PATIENCE = 10  # seconds, for what the kernel does by and by


def inside(path):
    """A directory and all below it, the deepest first."""
    try:
        names = [entry.name for entry in linux.scandir(path) if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return
    for name in names:
        yield from inside(f"{path}/{name}")
    yield path


def listed(path):
    """The processes of a directory and of all below it."""
    found = []
    for place in inside(path):
        for file in "cgroup.procs", "cgroup.threads":  # the second in a threaded cgroup
            try:
                found += [int(pid) for pid in linux.read(f"{place}/{file}").split()]
                break
            except OSError as error:
                if error.errno in (errno.ENOENT, errno.ENODEV):
                    break  # just removed
                if error.errno != errno.EOPNOTSUPP:
                    raise
    return found


def processes(groups):
    """The ids of the container's processes, in order. One of another PID namespace is a 0."""
    pids = {pid for path in {main(groups), groups["paths"].get("freezer", main(groups))}
            for pid in listed(path)}
    return sorted(pids)


def wait(path, word, seconds=PATIENCE):
    """Waits until cgroup.events says a word such as "populated 0". Returns whether it does.

    The kernel wakes whoever polls the file (cgroups(7))."""
    deadline = time.monotonic() + seconds
    try:
        with open(f"{path}/cgroup.events") as file:
            poll = select.poll()
            poll.register(file, select.POLLPRI)
            while word not in file.read():
                if (left := deadline - time.monotonic()) <= 0:
                    return False
                linux.poll(poll, int(left * 1000) + 1)
                file.seek(0)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENODEV):
            raise  # else it is gone, and so is everybody in it
    return True


def join(groups, pid=0, sub="", init=None):
    """Moves a process in: one of ours by its id, or ourselves. Raises ValueError for a bad `sub`.

    sub: a directory below the container's, or {controller: directory}. init: the container's first
    process; where the kernel wants processes in the leaves only, the place to be is where it is."""
    for path in unique(groups):
        place = below(path, sub if isinstance(sub, str) else next(
            (sub[name] for name in sub if groups["paths"].get(name) == path), ""))
        first = exists(f"{place}/tasks")
        try:  # ourselves by version 1's tasks: that is quick, as nobody else has to stand still
            linux.write(f"{place}/{'tasks' if first and not pid else 'cgroup.procs'}", str(pid))
        except OSError as error:
            if first or sub or not init or error.errno not in (errno.EBUSY, errno.EOPNOTSUPP):
                raise
            linux.write(f"{ROOT}{own_path('', init)}/cgroup.procs", str(pid))


def remove(groups, seconds=PATIENCE):
    """Removes the container's cgroups and what it has made in them. Raises LayerError if in use."""
    if groups.get("unit"):
        from . import systemd
        systemd.stop(groups)
    if "" in groups["paths"] and exists(groups["paths"][""]):
        wait(groups["paths"][""], "populated 0", seconds)
    deadline = time.monotonic() + seconds
    for path in unique(groups):
        pause = 0.0005
        while not removed(path):
            if time.monotonic() > deadline:
                raise LayerError("cgroups", "rmdir", errno.EBUSY, f"{path}: in use by {listed(path)}")
            time.sleep(pause)
            pause = min(pause * 2, 0.05)
    release([path for path in groups.get("made", ()) if path not in groups["paths"].values()])


def removed(path):
    """Tries to remove a directory and all below it; tells whether nothing is left."""
    for place in inside(path):
        try:
            linux.rmdir(place)
        except FileNotFoundError:
            pass
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            return False
    return not os.path.isdir(path)
