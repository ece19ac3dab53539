"""`crabcan step 10`: chapter 9's container, written down as a bundle, and run from nothing but that."""
import fcntl
import os
import signal
import sys

from .. import ch01_args, linux
from ..layer import LayerError, warn
from .interpreter import shelter
from .last import NONE, no_program
from .log import Log
from .place import FOLDER, Refused

PREFIX = "crabcan-step-"


def step(argv):
    """The command. Returns the exit status of the container's program, or 125 to 127."""
    shelter(["run"])
    exploring = None
    try:
        spec = ch01_args.parse(argv, "crabcan step 10")
        if spec.explore:
            from ..runtime import exploring
            exploring.begin(spec)
        if spec.debug or spec.trace:
            from ..trace import record
            record(spec)
        return from_file(spec)
    except LayerError as error:
        if error.layer == "program" or error.call == "execve":
            warn(no_program(error))
            return 127 if error.errno in NONE else 126
        from .known import LAYERS
        warn(error.explain(LAYERS))
    except (OSError, Refused, ValueError) as error:
        warn(error)
    finally:
        if exploring:
            exploring.finish(spec)
    return 125


def from_file(spec):
    """Writes the bundle into a directory of its own, runs it as an engine would, and takes it away."""
    from . import verbs, writing
    from ..clone.signals import DEADLY
    for number in DEADLY:
        if signal.getsignal(number) == signal.SIG_DFL:  # it would end us at once, and our directory would stay
            signal.signal(number, lambda number, _: sys.exit(128 + number))
    base = linux.open(os.environ.get("TMPDIR") or "/tmp", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    sweep(base)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, DEADLY)  # or one could end us between two lines
    name, lock = own(base)
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        folder = os.readlink(f"/proc/self/fd/{lock}")
        writing.write(spec, f"{folder}/box")
        if sys.stderr.isatty():
            warn(f"the container is {folder}/box/config.json")
        return verbs.do("run", f"{folder}/state", {"bundle": f"{folder}/box", "log": Log()}, [name])
    finally:
        clear(base, name, lock)


def own(base):
    """Makes a directory, and locks it for as long as we live; returns its name and the descriptor.

    Until the lock is ours somebody's sweep may take the directory, so we look again."""
    while True:
        name = f"{PREFIX}{os.urandom(4).hex()}"  # no other step's: its cgroup is called so
        os.mkdir(name, 0o700, dir_fd=base)
        try:
            lock = linux.open(name, FOLDER, dir_fd=base)
        except FileNotFoundError:
            continue
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.fstat(lock).st_nlink:
            return name, lock
        linux.close(lock)


def sweep(base):
    """Clears what steps that were killed have left: nobody holds its lock any more (see chapter 8)."""
    for name in [name for name in os.listdir(base) if name.startswith(PREFIX)]:
        try:
            folder = linux.open(name, FOLDER, dir_fd=base)
        except OSError:
            continue  # gone by now, or no directory: anybody may write here
        try:
            status = os.fstat(folder)
            if status.st_uid == os.geteuid() and not status.st_mode & 0o077:  # nobody else has put it there
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
                clear(base, name, folder)
        except (BlockingIOError, FileNotFoundError):
            pass  # its step still runs, or another sweep was quicker
        except (OSError, Refused) as error:
            warn(f"{name} was left by a step that was killed, and stays: {error}")
        finally:
            linux.close(folder)


def clear(base, name, folder):
    """Ends the container, if it has not ended, and removes its directory."""
    import shutil
    from . import verbs
    verbs.do("delete", f"/proc/self/fd/{folder}/state", {"force": True, "log": Log()}, [name])
    for inner in os.listdir(folder):
        shutil.rmtree(inner, dir_fd=folder)
    os.rmdir(name, dir_fd=base)
