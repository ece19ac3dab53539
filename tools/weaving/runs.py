"""Commands and their output, as a reader's terminal would show them."""
import contextlib
import fcntl
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import Problem, terminal

USER = "crabcan-weave"
NUMBERS = ["--uid", "5000", "-K", "SUB_UID_MIN=500000", "-K", "SUB_GID_MIN=500000"]
LIMIT = 120   # seconds for one command
AT_ONCE = 2
COPIED = ("crabcan_steps", "crabcan_workshop", "pyseccomp.py", "rich", "pygments", "markdown_it",
          "mdurl")
UNIFIED = os.path.exists("/sys/fs/cgroup/cgroup.controllers")
MARK = "\x1e"  # between the outputs of two commands; $? passes over it
SESSION = "__next() { local status=$?; printf '\\036'; return $status; }\n"
SHIM = """#!/bin/sh
case $0:${{1-}} in
    *crabcan:*|*workshop:run|*workshop:step) set -- crabcan_steps "$@" ;;
    *:crabcan) shift; set -- crabcan_steps "$@" ;;
    *crabcan-oci:*) exec '{python}' -I -S '{path}/crabcan_steps/runtime/launcher.py' oci "$@" ;;
    *workshop:bench) shift; exec '{python}' -I '{path}/benchmarks/bench.py' "$@" ;;
    *) set -- crabcan_workshop "$@" ;;
esac
PYTHONPATH='{path}' exec '{python}' -sPB -m "$@"
"""


def has(need):
    """Tells whether this host has what a command needs: cgroup v2, some programs, or nothing."""
    return need is None or (UNIFIED if need == "cgroup v2" else all(map(shutil.which, need.split())))


class Fault(Exception):
    """A command that did not do what the page says of it."""


class Bench:
    """Where commands run: a directory for each block, `crabcan`, `crabcan-oci` and `workshop` first on PATH."""

    def __init__(self, checkout, blocks, limit=LIMIT):
        self.checkout, self.limit = checkout, limit
        self.blocks = [b for b in blocks if has(b.options.get("needs"))]
        self.live, self.stopping = [], False
        self.count, self.lock = 0, threading.Lock()
        self.ids = (0, 0)

    def __enter__(self):
        if self.blocks and os.geteuid() != 0:
            raise Problem(self.blocks[0].where, "the book's commands are root's: use sudo, or "
                                                "leave them out with --no-run")
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
        if self.user:
            gone = subprocess.run(["userdel", USER], capture_output=True, text=True)
            if gone.returncode:
                print(f"weave: the user {USER} stays: {gone.stderr.strip()}", file=sys.stderr)
            os.close(self.turn)
        shutil.rmtree(self.base)

    def shims(self, who, path, python):
        (self.base / who).mkdir()
        for name in "crabcan", "crabcan-oci", "workshop":
            shim = self.base / who / name
            shim.write_text(SHIM.format(path=path, python=python))
            shim.chmod(0o755)

    def make_user(self):
        """An ordinary user of the host's, and a copy of the code that he may read."""
        self.turn = os.open("/etc", os.O_RDONLY)  # one weave at a time has this user
        fcntl.flock(self.turn, fcntl.LOCK_EX)
        subprocess.run(["userdel", "--force", USER], capture_output=True)  # a killed weave's
        made = subprocess.run(["useradd", *NUMBERS, "--no-create-home", "--shell", "/bin/bash",
                               USER], capture_output=True, text=True)
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
                done = {key: pool.submit(self.run, block, len(wanted))
                        for key, block in wanted.items()}
                texts = {}
                for block in self.blocks:
                    try:
                        texts[block] = done[self.key(block)].result()
                    except Fault as fault:
                        problems.append(Problem(block.where, fault))
                return texts
            except BaseException:  # Ctrl-C
                pool.shutdown(wait=False, cancel_futures=True)
                self.stop()
                raise

    def key(self, block):
        return tuple(block.body), tuple(sorted(block.options.items()))

    def run(self, block, total):
        """One block: its commands in a row, in one shell, as a reader would type them."""
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
        if any(" tests/" in command for command in block.body):  # the reader stands in a clone
            for name in ".venv", "tests":
                (home / name).symlink_to(self.checkout / name)
        for program in self.checkout.glob("chapters/*/*.py"):  # one that the reader has typed
            if any(program.name in command for command in block.body):
                shutil.copy(program, home)
        if who == "user":
            os.chown(home, *self.ids)
        commands = block.body
        script = SESSION + "".join(f"{command}\n__next\n" for command in commands)
        status, output = self.shell(script, who, home, "world" in block.options)
        parts = output.split(MARK)
        expected = block.options.get("exit", 0)
        if status != expected or len(parts) < len(commands):
            what = f"took longer than {self.limit} s" if status is None else \
                f"exit status {status}, not {expected}" if status != expected else "ended early"
            at = commands[min(len(parts), len(commands)) - 1]
            raise Fault(f"$ {at}\n{''.join(parts).rstrip()}\nweave: {what}")
        lines = []
        for command, part in zip(commands, parts):
            self.check(command, part)
            if "bare" not in block.options:
                lines += f"$ {command}".replace("\n", "\n> ").split("\n")
            if part:
                lines += part.removesuffix("\n").split("\n")
        return lines

    def check(self, command, output):
        """Refuses what a book cannot print, or what would show this very machine."""
        for path in str(self.base), str(self.checkout):
            if path in output:
                raise Fault(f"$ {command}: the output shows a path of this machine "
                            f"({path}): leave it out (sed, ps -o comm)")
        control = re.search(r"[^\n\t -~\x80-\U0010ffff]|\ufffd", output)
        if control:
            raise Fault(f"$ {command}: the output has a control character "
                        f"({control[0]!r}): no book can print it")

    def shell(self, script, who, home, world):
        """Runs a block's commands; their environment holds nothing of ours."""
        uid, gid = self.ids if who == "user" else (0, 0)
        path = f"{self.base / who}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        environment = {"PATH": path, "HOME": str(home), "LANG": "C.UTF-8", "TERM": "dumb",
                       "NO_COLOR": "1", "PAGER": "cat", "TZ": "UTC"}
        return terminal.run(script, self.limit, self.started, uid, gid, world, cwd=home, env=environment)

    def started(self, process):
        self.live.append(process)
        if self.stopping:
            self.stop()

    def stop(self):
        """Ends all commands that still run."""
        self.stopping = True
        for process in self.live:
            with contextlib.suppress(ProcessLookupError):
                if process.returncode is None:
                    os.killpg(process.pid, signal.SIGKILL)
