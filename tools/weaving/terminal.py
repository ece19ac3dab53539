"""A shell script on a terminal of its own: what a reader sees who types it."""
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

SIZE = 30, 100
WORLD = Path(__file__).with_name("world.py")
# The script comes through a pipe: in bash's arguments it would be found by `pgrep -f`.
READ = 'IFS= read -rd "" -u {0} __script; exec {0}<&-; eval "unset __script; $__script"'


def run(script, limit, started=lambda process: None, user=0, group=0, world=False, **options):
    """Returns a script's exit status (None: it took too long) and all that it printed.

    On a real terminal, so that programs flush each line and both streams come in their true order.
    """
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, SIZE)
    os.fchown(slave, user, group)
    text, pen = os.pipe()
    os.write(pen, script.encode())
    os.close(pen)
    command, who = ["bash", "-c", READ.format(text)], {"user": user, "group": group, "extra_groups": [group]}
    if world:  # root makes it, and becomes that user in there
        command, who = [sys.executable, "-I", WORLD, str(user), str(group), *command], {}
    process = subprocess.Popen(command, pass_fds=[text], umask=0o022, stdin=subprocess.DEVNULL, stdout=slave,
                               stderr=slave, start_new_session=True, **who, **options)
    os.close(slave)
    os.close(text)
    started(process)
    data, ended = read(master, process.pid, time.monotonic() + limit)
    os.killpg(process.pid, signal.SIGKILL)  # also what it left in the background
    status = process.wait()
    os.close(master)
    output = data.decode("utf-8", "replace").replace("\r\n", "\n")
    output = re.sub(r"\x1b\[[\d;]*m", "", output)  # without colours
    output = re.sub(r"^bash: line \d+: ", "bash: ", output, flags=re.M)  # as it speaks to people
    return status if ended else None, output


def read(master, pid, end):
    """Reads until the process has ended; tells whether it has, in time."""
    data, pidfd = b"", os.pidfd_open(pid)
    sources = [master, pidfd]
    while ready := select.select(sources, [], [], max(0, end - time.monotonic()))[0]:
        if master not in ready:
            break
        try:
            data += os.read(master, 65536)
        except OSError:  # it has closed its terminal, but may still run
            sources = [pidfd]
    os.close(pidfd)
    return data, bool(ready)
