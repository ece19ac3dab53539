"""Commands and their output, as a reader's terminal would show them."""
import fcntl
import os
import pty
import pwd
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import Problem

USER = "crabcan-weave"
LIMIT = 60    # seconds for one command
AT_ONCE = 2
COPIED = ("crabcan_steps", "crabcan_workshop", "pyseccomp.py", "rich", "pygments", "markdown_it", "mdurl")
UNIFIED = os.path.exists("/sys/fs/cgroup/cgroup.controllers")
SHIM = """#!/bin/sh
case $0:${{1-}} in
    *crabcan:*|*workshop:run|*workshop:step) set -- crabcan_steps "$@" ;;
    *:crabcan) shift; set -- crabcan_steps "$@" ;;
    *) set -- crabcan_workshop "$@" ;;
esac
PYTHONPATH='{path}' exec '{python}' -sP -m "$@"
"""


class Bench:
    """Where commands run: a directory for each block, `crabcan` and `workshop` first on PATH."""

    def __init__(self, checkout, blocks, limit=LIMIT):
        self.checkout, self.limit = checkout, limit
        self.blocks = [b for b in blocks if UNIFIED or "needs" not in b.options]
        self.live, self.stopping = set(), False
        self.count, self.lock = 0, threading.Lock()
        self.ids = (0, 0)

    def __enter__(self):
        if self.blocks and os.geteuid() != 0:
            raise Problem(self.blocks[0].where, "the book's commands are root's: use sudo, or leave "
                                                "them out with --no-run")
        self.base = Path(tempfile.mkdtemp(prefix="weave-", dir="/tmp"))
        self.base.chmod(0o755)
        python = self.checkout / ".venv/bin/python"
        self.shims("root", self.checkout, python if python.exists() else sys.executable)
        self.user = any("user" in block.options for block in self.blocks)
        try:
            if self.user:
                self.make_user()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.stopping = True
        for process in list(self.live):
            os.killpg(process.pid, signal.SIGKILL)
        if self.user:
            subprocess.run(["userdel", USER], capture_output=True)
            self.turn.close()
        shutil.rmtree(self.base)

    def shims(self, who, path, python):
        (self.base / who).mkdir()
        for name in "crabcan", "workshop":
            shim = self.base / who / name
            shim.write_text(SHIM.format(path=path, python=python))
            shim.chmod(0o755)

    def make_user(self):
        """An ordinary user of the host's, and a copy of the code that he may read."""
        self.turn = open("/etc/passwd")  # one weave at a time: the name is fixed, it shows in outputs
        fcntl.flock(self.turn, fcntl.LOCK_EX)
        subprocess.run(["userdel", USER], capture_output=True)  # of a weave that was killed
        made = subprocess.run(["useradd", "--no-create-home", "--shell", "/bin/bash", USER],
                              capture_output=True, text=True)
        if made.returncode:
            raise Problem("weave", f"useradd {USER} failed: {made.stderr.strip()}")
        self.ids = pwd.getpwnam(USER)[2:4]
        copy = self.base / "copy"
        copy.mkdir()
        for folder in self.checkout, *self.checkout.glob(".venv/lib/python*/site-packages"):
            for name in COPIED:
                if (folder / name).is_dir():
                    shutil.copytree(folder / name, copy / name)
                elif (folder / name).exists():
                    shutil.copy(folder / name, copy)
        subprocess.run(["chmod", "-R", "a+rX", copy], check=True)
        self.shims("user", copy, "/usr/bin/python3")

    def all(self, problems):
        """Runs each block's commands, the same ones once; returns {block: lines}."""
        wanted = {}
        for block in self.blocks:
            wanted.setdefault(self.key(block), block)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            try:
                done = {key: pool.submit(self.run, block, len(wanted)) for key, block in wanted.items()}
                texts = {}
                for block in self.blocks:
                    try:
                        texts[block] = done[self.key(block)].result()
                    except Problem as problem:
                        if wanted[self.key(block)] is block:
                            problems.append(problem)
                return texts
            except BaseException:  # Ctrl-C
                pool.shutdown(wait=False, cancel_futures=True)
                self.stopping = True
                for process in list(self.live):
                    os.killpg(process.pid, signal.SIGKILL)
                raise

    def key(self, block):
        return tuple(block.body), tuple(sorted(block.options.items()))

    def run(self, block, total):
        """One block: its commands in a row, each in a shell of its own, in one directory."""
        who = "user" if "user" in block.options else "root"
        with self.lock:
            self.count += 1
            number = self.count
            if sys.stderr.isatty():
                print(f"weave: [{number}/{total}] {block.body[0]}", file=sys.stderr)
        home = self.base / f"{number}"
        home.mkdir()
        if any("./workshop" in command for command in block.body):
            (home / "workshop").symlink_to(self.base / who / "workshop")
        if who == "user":
            os.chown(home, *self.ids)
        lines = []
        for command in block.body:
            expected = block.options.get("exit", 0) if command is block.body[-1] else 0
            status, output = self.shell(command, who, home)
            if status != expected:
                what = f"took longer than {self.limit} s" if status is None else \
                    f"exit status {status}, not {expected}"
                raise Problem(block.where, f"$ {command}\n{output.rstrip()}\nweave: {what}")
            self.check(block, command, output)
            prompt = [] if "bare" in block.options else f"$ {command}".replace("\n", "\n> ").split("\n")
            lines += prompt + output.rstrip("\n").split("\n") * bool(output)
        return lines

    def check(self, block, command, output):
        """Refuses what a book cannot print, or what would show this very machine."""
        for path in str(self.base), str(self.checkout):
            if path in output:
                raise Problem(block.where, f"$ {command}: the output shows a path of this machine "
                                           f"({path}): leave it out (sed, ps -o comm)")
        control = re.search(r"[^\n\t -~\x80-\U0010ffff]|\ufffd", output)
        if control:
            raise Problem(block.where, f"$ {command}: the output has a control character "
                                       f"({control[0]!r}): no book can print it")

    def shell(self, command, who, home):
        """Runs a command on a terminal of 100 columns; returns its status (None: too late), its output.

        On a real one, so that programs flush each line and both streams come in their true order.
        """
        environment = {"PATH": f"{self.base / who}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"
                               ":/sbin:/bin", "HOME": str(home), "LANG": "C.UTF-8", "TERM": "dumb",
                       "NO_COLOR": "1", "PAGER": "cat", "TZ": "UTC"}
        uid, gid = self.ids if who == "user" else (0, 0)
        master, slave = pty.openpty()
        fcntl.ioctl(slave, 0x5414, b"\x1e\x00\x64\x00\x00\x00\x00\x00")  # TIOCSWINSZ: 30 x 100
        os.fchown(slave, uid, gid)
        process = subprocess.Popen(["bash", "-c", command], cwd=home, env=environment, umask=0o022,
                                   stdin=subprocess.DEVNULL, stdout=slave, stderr=slave, user=uid,
                                   group=gid, extra_groups=[gid], start_new_session=True)
        self.live.add(process)
        os.close(slave)
        data, end = b"", time.monotonic() + self.limit
        status = None
        while not self.stopping and select.select([master], [], [], max(0, end - time.monotonic()))[0]:
            try:
                data += os.read(master, 65536)
            except OSError:  # nobody has the other end any more
                status = process.wait()
                break
        self.live.discard(process)
        if status is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        os.close(master)
        text = data.decode("utf-8", "replace").replace("\r\n", "\n")
        return status, re.sub(r"\x1b\[[\d;]*m", "", text)  # colour
