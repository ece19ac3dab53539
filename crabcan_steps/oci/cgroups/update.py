"""Sets the limits of a container's cgroup, when it is made and later: all of them, or none."""
import errno

from ... import linux
from ...layer import LayerError
from . import limits
from .words import refused


def apply(groups, resources):
    """Sets what linux.resources asks for in new cgroups. Raises LayerError, naming the option."""
    write(list(limits.steps(groups, resources)))


def update(groups, resources, user=False):
    """Changes the limits of a container that lives. One that cannot be had leaves all as it was.

    Rules about devices are let be unless there are any: another program may have set its own."""
    steps = list(limits.steps(groups, resources))
    before = [(option, path, line) for option, path, _ in steps for line in current(path)]
    if groups.get("unit"):
        from . import systemd
        systemd.change(groups, resources)
    try:
        write(steps)
        if resources.get("devices"):
            from . import devices
            devices.apply(groups, resources["devices"])
    except (LayerError, OSError):
        restore(before)
        raise


def current(path):
    """A file as lines that could be written to it again; those with more in them are let be."""
    try:
        lines = linux.read(path).splitlines()
    except OSError:
        return []  # not there, or not to be read: the write will tell
    return lines if len(lines) == 1 else []


def restore(steps):
    """Puts old values back, as far as possible: twice, as one may have to wait for another."""
    for _, path, line in steps + steps:
        try:
            linux.write(path, line)
        except OSError:
            pass


def write(steps):
    """Writes lines to files. What the kernel calls invalid may only have to wait for another.

    So a quota larger than its period allows now, or a memory limit above that of memory and swap:
    which one goes first depends on what was there, and the kernel knows best."""
    while steps:
        waiting = []
        for option, path, line in steps:
            try:
                linux.write(path, line)
                if path.endswith("/cpu.shares"):
                    kept(option, path, int(line))
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise explained(option, path, line, error) from error
                waiting.append((option, path, line))
                failure = error
        if len(waiting) == len(steps):
            raise explained(*waiting[-1], failure) from failure
        steps = waiting


def kept(option, path, shares):
    """Version 1 takes what it can of cpu.shares, in silence."""
    now = int(linux.read(path))
    if now != shares:
        most = "maximum" if shares > now else "minimum"
        raise refused(option, f"the {most} allowed cpu-shares is {now}")


def explained(option, path, line, error):
    """The error of a write, with the option that it was for."""
    directory, _, file = path.rpartition("/")
    if error.errno == errno.EBUSY and file == "memory.limit_in_bytes":
        usage, peak = (linux.read(f"{directory}/memory.{name}_in_bytes").strip()
                       for name in ("usage", "max_usage"))
        return refused(option, f"unable to set memory limit to {line} "
                                      f"(current usage: {usage}, peak usage: {peak})")
    if error.errno in (errno.ENOENT, errno.EACCES) and file.partition(".")[0] != "cgroup":
        return refused(option, f"{path}: does this kernel have it, and may we?", error.errno)
    return refused(option, f"{path}: {line}", error.errno)
