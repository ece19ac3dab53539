"""The neighbour of escape rooms 11 and 12: a container that is started again and again.

The player's container shares its root, where a log tells what crabcan and the program say.
"""
import os
import subprocess
import sys
import time

CRABCAN = ["-P", "-m", "crabcan_steps"]  # how Python starts it; the warden knows a weaker one
PAUSE = 0.5  # seconds from one end to the next start


def arrive(root, command, python):
    """Makes a root fit for programs; returns the command that starts the container, and its log."""
    add, own = [], sys.base_prefix
    elsewhere = [] if own.startswith("/usr") else [own]
    for path in ("/usr", "/lib", "/lib32", "/lib64", *elsewhere):
        if os.path.islink(path):
            os.symlink(os.readlink(path), root + path)
        elif os.path.exists(path):
            os.makedirs(root + path)
            add += ["--add", f"{path}:{path}:ro"]
    for path in elsewhere:  # as /proc/self/exe, Python looks for its library
        add += ["--env", f"PYTHONHOME={path}"]
    for folder, _, _ in os.walk(root):
        os.chmod(folder, 0o777)  # the player is another user here
    return [python, *CRABCAN, "run", "-m", root, *add, "--", *command], open(f"{root}/log", "wb")


def live(words, log):
    """For ever; whatever Python it is, its library is ours."""
    environment = os.environ | {"PYTHONHOME": f"{sys.base_prefix}:{sys.base_exec_prefix}"}
    while True:
        subprocess.call(words, cwd="/", env=environment,
                        stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        time.sleep(PAUSE)
