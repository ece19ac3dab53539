"""Runs inside the room, as its PID 1: puts things there that a container must not reach, and waits.

No code of the learner's runs in here, and nothing that it says later is believed: it says one line,
before any learner's code is in the room.
"""
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys

from crabcan_steps import linux
from crabcan_steps.mounts.parts import FileSystem

from ..measure.observe import Canaries

MS_SHARED = 1 << 20
FOLDER = "/course/helpers"
HOME = "/home/you"
PRECIOUS = f"{HOME}/thesis"


def helpers():
    """newuidmap and newgidmap, if there are any, with the power that they have outside."""
    names = [name for name in ("newuidmap", "newgidmap") if os.path.exists(f"/usr/bin/{name}")]
    os.mkdir(FOLDER)
    tree = FileSystem("tmpfs", FOLDER, 0, mode="0755").open()
    linux.move_mount(tree, linux.open(FOLDER, os.O_PATH))
    for name in names:
        shutil.copyfile(f"/usr/bin/{name}", f"{FOLDER}/{name}")
        os.chmod(f"{FOLDER}/{name}", 0o4755)
        copy = linux.open_tree(f"{FOLDER}/{name}", linux.OPEN_TREE_CLONE)
        linux.move_mount(copy, linux.open(f"/usr/bin/{name}", os.O_PATH))
    return len(names) == 2


def user(uid):
    """An ordinary user of the machine's, who has ids in /etc/subuid."""
    with open("/etc/passwd", "a") as file:
        file.write(f"you:x:{uid}:{uid}::/home/you:/bin/sh\n")
    with open("/etc/group", "a") as file:
        file.write(f"you:x:{uid}:\n")


def main():
    with open("/course/job.json") as file:
        job = json.load(file)
    helped = False
    with contextlib.suppress(OSError):
        user(job["you"])
        helped = helpers()
    os.makedirs(HOME, exist_ok=True)  # of no less power than a home outside: not nosuid
    linux.move_mount(FileSystem("tmpfs", HOME, 0, mode="0755").open(), linux.open(HOME, os.O_PATH))
    linux.mount_setattr("/", linux.AT_RECURSIVE, propagation=MS_SHARED)  # as systemd does
    with open(PRECIOUS, "w") as file:
        file.write("years of work\n")
    with contextlib.suppress(OSError):  # a number that no container of a few processes has, too
        with open("/proc/sys/kernel/ns_last_pid", "w") as file:
            file.write(str(random.randrange(10_000, 30_000)))
    sleeper = subprocess.Popen(["/bin/sleep", "infinity"])
    with contextlib.suppress(OSError):
        with open("/proc/sys/kernel/ns_last_pid", "w") as file:
            file.write(str(sleeper.pid + 10))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel collects who ends in here
    with Canaries() as canaries:
        print(json.dumps(canaries | {"pid": sleeper.pid, "helped": helped}), flush=True)
        os.close(1)
        while True:
            signal.pause()


if __name__ == "__main__":
    sys.exit(main())
