"""Cgroups that a killed crabcan has left: found by name, known to be nobody's, emptied and removed.

Who makes one holds a lock on its directory (flock(2)), which the kernel drops with its last holder.
"""
import fcntl
import os
import time

from .. import linux
from ..layer import attempt, exists, named, warn


def hold(path):
    """Makes a directory and locks it for as long as we live; returns the descriptor.

    The lock tells sweep() that there is somebody: a number would say nothing to whoever lives in
    another PID namespace. Until it is ours a sweep may take the directory, so we look again."""
    while True:
        linux.mkdir(path)
        try:
            fd = linux.open(path, os.O_RDONLY | os.O_DIRECTORY)
            named(path, linux.flock, fd, fcntl.LOCK_EX)
            if exists(path) and linux.lstat(path).st_ino == linux.fstat(fd).st_ino:
                return fd
            linux.close(fd)
        except FileNotFoundError:
            continue
        except OSError:
            attempt(linux.rmdir, path)
            raise


def sweep(base):
    """Ends and removes what a killed crabcan has left here: nobody holds its lock any more."""
    for name in linux.listdir(base) if os.path.isdir(base) else ():
        words = name.split("-")
        if len(words) != 3 or words[0] != "crabcan" or not words[1].isdigit() or len(words[2]) != 8:
            continue  # not ours: chapter 10's have names that anybody may choose
        if exists(f"/proc/{words[1]}"):
            continue  # perhaps alive; if only its number is, it is the next one's
        try:
            fd = named(f"{base}/{name}", os.open, f"{base}/{name}", os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            continue  # another sweep was quicker
        try:
            linux.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if exists(f"{base}/{name}/cgroup.kill"):  # version 2: all at once
                linux.write(f"{base}/{name}/cgroup.kill", "1")
            if empty(f"{base}/{name}"):
                remove(f"{base}/{name}")
        except (BlockingIOError, FileNotFoundError):
            pass  # somebody of another PID namespace has it, or has just removed it
        finally:
            linux.close(fd)


def empty(path):
    """Ends what runs in a cgroup whose crabcan is dead, and removes the cgroups in it.

    Tells whether all of it could be: who has no number in our PID namespace is for others to end."""
    whole = True
    for name in [entry.name for entry in linux.scandir(path) if entry.is_dir()]:
        if empty(f"{path}/{name}"):
            remove(f"{path}/{name}")
        else:
            whole = False
    for pid in linux.read(f"{path}/cgroup.procs").split():
        if pid == "0":
            whole = False
        else:
            end(int(pid), path)
    return whole


def end(pid, path):
    """Ends a process, if it is still the one that was seen in the cgroup."""
    try:
        process = named(path, os.pidfd_open, pid)
    except ProcessLookupError:
        return
    try:
        if str(pid) in linux.read(f"{path}/cgroup.procs").split():
            linux.pidfd_send_signal(process, linux.SIGKILL)
    except ProcessLookupError:
        pass
    finally:
        linux.close(process)


def remove(path):
    """Removes a cgroup; waits a little for processes that are just ending."""
    for _ in range(100):
        try:
            return linux.rmdir(path)
        except FileNotFoundError:
            return None
        except OSError:
            time.sleep(0.01)
    return warn(f"{path} is still in use, and stays until the next run")
