"""Runs inside the outer room, as its PID 1: hides a flag, then starts a container with a hole."""
import json
import os
import signal
import subprocess
import sys

from . import hiding, neighbour

# A shell with job control would leave the group in which room 9 plays; this one stays.
SHELL = """printf 'in > ' >&2; while IFS= read -r line; do eval "$line"; printf 'in > ' >&2; done"""


def main():
    with open("/course/job.json") as file:
        job = json.load(file)
    os.unlink("/course/job.json")  # room 4 can look at it
    signal.signal(signal.SIGINT, lambda *_: None)  # Ctrl-C is for the container
    if job["weaken"]:
        neighbour.CRABCAN[-1:] = ["crabcan_workshop.room.weak", job["weaken"]]
    words = getattr(hiding, job["set_up"])(job["flag"]) or {}
    options = [word.format(flag=job["flag"], **words) for word in job["options"]]
    if not os.listdir("/sys/fs/cgroup"):  # none that anybody in here could miss
        options = ["--memory", "max", "--pids", "max", *options]
    shell = job["command"] or (["/bin/sh", "-c", SHELL] if job["set_up"] == "watchman" else [])
    status = subprocess.call([sys.executable, *neighbour.CRABCAN, "run", *options, "--", *shell],
                             cwd="/", close_fds=False)  # what a room leaves open, crabcan closes
    os._exit(status if status >= 0 else 128 - status)


if __name__ == "__main__":
    main()
