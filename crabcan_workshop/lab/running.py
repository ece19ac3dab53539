"""Containers for a notebook: start() starts one, to look at it while it waits."""
import contextlib
import os
import subprocess
import time
import weakref
from pathlib import Path

from ..chapters import WHOLE
from ..measure import observe
from .containers import SECONDS, arguments, command_line, ended
from .show import Table, Text


class StartError(Exception):
    """The container did not come up. Shown as its one line, without a traceback."""

    def _render_traceback_(self):
        return [f"The container did not start: {self}"]


class Ended(Exception):
    """The container has ended, so there is nothing of it in /proc. Shown as its one line."""

    def _render_traceback_(self):
        return [str(self)]


class Running:
    """A container that waits to be looked at, until stop(), the end of the notebook, or until
    nothing bears its name any more."""

    def __init__(self, step, words):
        self.step = step
        # In a session of its own: Jupyter's interrupt is for a cell, and not for this.
        self.process = subprocess.Popen(words, text=True, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        start_new_session=True)
        self.stop = weakref.finalize(self, ended, self.process)
        self.pid = self.begun()
        self.folder = os.open(f"/proc/{self.pid}", os.O_RDONLY | os.O_DIRECTORY)
        weakref.finalize(self, os.close, self.folder)

    def begun(self):
        """The container's first process, as soon as it is the command. Raises StartError."""
        runtime, end = self.process.pid, time.monotonic() + SECONDS
        before = None
        while self.process.poll() is None and time.monotonic() < end:
            with contextlib.suppress(observe.ObserveError, OSError):
                now = Path(f"/proc/{runtime}/cmdline").read_bytes()
                if b"crabcan_steps" in now:
                    before = now
                pid = runtime if self.step == 1 else observe.child_of(runtime)
                words = Path(f"/proc/{pid}/cmdline").read_bytes()
                if before and words and words != before:
                    return pid
            time.sleep(0.002)
        said = self.process.stderr.read().strip() if self.process.poll() is not None else ""
        self.stop()
        raise StartError(said or f"it has ended already, with status {self.process.returncode}")

    def __repr__(self):
        if self.process.poll() is not None:
            return f"a container of step {self.step}, stopped"
        return f"a container of step {self.step}; its first process is {self.pid} on the host"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def need(self):
        """Raises Ended if it has: its number may be somebody else's by now."""
        if self.process.poll() is not None:
            raise Ended(f"This container has ended (exit status {self.process.returncode}): start() "
                        "another one")

    def proc(self, file):
        """The text of /proc/PID/FILE, as the host sees it."""
        self.need()
        try:
            with open(os.open(file, os.O_RDONLY, dir_fd=self.folder)) as text:
                return Text(text.read())
        except ProcessLookupError:
            raise Ended("This container has just ended") from None

    def status(self, *names):
        """Lines of /proc/PID/status, by the names that they begin with."""
        return Text("".join(line for line in self.proc("status").splitlines(keepends=True)
                            if line.split(":")[0] in names))

    def looked(self):
        """The namespaces: ours, and its."""
        self.need()
        return observe.look("self")["namespaces"], observe.look(self.pid)["namespaces"]

    def own(self):
        """The names of the namespaces that are its own; the others it shares with us."""
        ours, its = self.looked()
        return {name for name in its if its[name] != ours.get(name)}

    def namespaces(self):
        """The namespaces of its first process, beside ours."""
        ours, its = self.looked()
        return Table(f"/proc/{self.pid}/ns and /proc/self/ns", ["namespace", "container", "we", ""],
                     [(name, its[name], ours.get(name, ""),
                       "shared" if its[name] == ours.get(name) else "its own") for name in its])


def start(command="cat", step=WHOLE, **options):
    """Starts a container in the background, to be looked at; the default only waits.

    stop() ends it; so does giving its name to another."""
    return Running(step, command_line(step, command, arguments(options)))
