"""Containers for a notebook: run() one to its end, or start() one and look at it while it waits."""
import atexit
import os
import shlex
import subprocess
import sys
from pathlib import Path

from crabcan_steps.ch09_runtime import UsageError, selected

from ..chapters import LAST
from ..measure import observe
from .show import NAMES, Table, Text, badges, box, pre

PYTHON = [sys.executable, "-P"]  # -P: nothing in the notebook's folder takes our modules' place
OWN = (2, 125, 126, 127)  # exit statuses of the runtime's own errors
NOT_MADE = (2, 125)       # those of them without a container
SECONDS = 60


class Result:
    """How a container ended: what it printed (stdout, stderr), and its exit status."""

    def __init__(self, step, stdout, stderr, status, lit):
        self.step, self.status = step, status
        lines = stderr.splitlines(keepends=True)
        ours = [line for line in lines if line.startswith("crabcan")]
        self.stdout, self.stderr = stdout, stderr
        self.error = ours.pop().strip() if ours and status in OWN else ""
        self.lit = [] if self.error and status in NOT_MADE else lit
        self.notes = [line.strip() for line in ours]
        self.others = "".join(line for line in lines if not line.startswith("crabcan"))

    def __repr__(self):
        layers = ", ".join(self.lit) or "no container"
        end = f"[step {self.step}: {layers}; exit status {self.status}]"
        return "\n".join(filter(None, [self.stdout.rstrip(), self.stderr.rstrip(), end]))

    def _repr_html_(self):
        parts = [badges(self.lit)]
        parts += [box(note.removeprefix("crabcan: "), "#888", "Note:") for note in self.notes]
        if self.stdout:
            parts.append(pre(self.stdout))
        if self.others:
            parts.append(f"<div><small>on stderr:</small>{pre(self.others)}</div>")
        if self.error:
            parts.append(box(self.error, "#c62828", "Error:"))
        parts.append(f"<div><small>exit status {self.status}</small></div>")
        return "".join(parts)


def run(command, step=LAST, stdin="", check=False, timeout=SECONDS, raw=(), **options):
    """Runs a command in the container of a chapter; returns the Result.

    The command is a list, or a string quoted as in a shell. The options are the command line's:
    hostname="x", memory="64M", layers="all,-caps", cap_add=["NET_RAW"], env={"A": "b"},
    read_only=True; `raw` are more of them, as words. With check=True an exit status other than 0
    is an exception."""
    words = command_line(step, command, [*arguments(options), *raw])
    stdout, stderr, status = finish(words, stdin, timeout)
    if check and status:
        error = subprocess.CalledProcessError(status, words, stdout, stderr)
        error.add_note(stderr.strip())
        raise error
    layers = words[words.index("--layers") + 1] if "--layers" in words else "all"
    return Result(step, stdout, stderr, status, standing(step, layers))


def finish(words, stdin="", timeout=SECONDS):
    """Runs a program to its end, or to the end of our patience: (stdout, stderr, status)."""
    try:
        done = subprocess.run(words, input=stdin, capture_output=True, text=True, timeout=timeout,
                              errors="replace")
    except subprocess.TimeoutExpired as late:
        stdout = (late.stdout or b"").decode(errors="replace")
        return stdout, f"crabcan: no end after {timeout} s, so the lab ended it\n", 125
    # Step 1 becomes the command; a signal's number as a shell counts it.
    status = done.returncode if done.returncode >= 0 else 128 - done.returncode
    return done.stdout, done.stderr, status


def command_line(step, command, options):
    """The command line of a container, beginning with the interpreter that starts it."""
    words = shlex.split(command) if isinstance(command, str) else [str(word) for word in command]
    return [*PYTHON, "-m", "crabcan_steps", "step", str(step), *options, "--", *words]


def arguments(options):
    """Keywords as options: cap_add=["CHOWN"] is --cap-add CHOWN, read_only=True is --read-only."""
    words = []
    for name, value in options.items():
        option = "--" + name.replace("_", "-")
        if isinstance(value, dict):
            value = [f"{key}={word}" for key, word in value.items()]
        for one in value if isinstance(value, (list, tuple)) else [value]:
            if one is True:
                words.append(option)
            elif one is not None and one is not False:
                words += [option, str(one)]
    return words


def standing(step, layers):
    """The chapters whose layers stand in a container, by name."""
    try:
        wanted = selected(layers)
    except UsageError:
        return []
    wanted |= {"args"} | ({"runtime"} if "terminal" in wanted else set())  # the layer of chapter 9
    return [name for name in NAMES[:step] if name in wanted]


def can_limit():
    """Tells whether this user can have limits on this machine, by trying (chapter 8)."""
    return run("true", 8, memory="64M").status == 0


class StartError(Exception):
    """The container did not come up. Shown as its one line, without a traceback."""

    def _render_traceback_(self):
        return [f"The container did not start: {self}"]


class Running:
    """A container that waits to be looked at, until stop() or the end of the notebook."""

    def __init__(self, step, words):
        self.step = step
        self.process = subprocess.Popen(words, text=True, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        atexit.register(self.stop)
        if self.process.stdout.readline() != "up\n":
            self.process.kill()
            raise StartError(self.process.communicate()[1].strip())
        self.pid = self.process.pid if step == 1 else observe.child_of(self.process.pid)

    def __repr__(self):
        if self.process.poll() is not None:
            return f"a container of step {self.step}, stopped"
        return f"a container of step {self.step}; its first process is {self.pid} on the host"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def proc(self, file):
        """The text of /proc/PID/FILE, as the host sees it."""
        return Text(Path(f"/proc/{self.pid}", file).read_text())

    def status(self, *names):
        """Lines of /proc/PID/status, by the names that they begin with."""
        return Text("".join(line for line in self.proc("status").splitlines(keepends=True)
                            if line.split(":")[0] in names))

    def own(self):
        """The names of the namespaces that are its own; the others it shares with us."""
        ours, its = observe.look("self")["namespaces"], observe.look(self.pid)["namespaces"]
        return {name for name in its if its[name] != ours.get(name)}

    def namespaces(self):
        """The namespaces of its first process, beside ours."""
        ours, its = observe.look("self")["namespaces"], observe.look(self.pid)["namespaces"]
        return Table(f"/proc/{self.pid}/ns and /proc/self/ns", ["namespace", "container", "we", ""],
                     [(name, its[name], ours.get(name, ""),
                       "shared" if its[name] == ours.get(name) else "its own") for name in its])

    def stop(self):
        """Ends it; again does nothing."""
        atexit.unregister(self.stop)
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()


def start(command="cat", step=LAST, **options):
    """Starts a container in the background, to be looked at; the default only waits."""
    words = shlex.split(command) if isinstance(command, str) else list(command)
    words = ["sh", "-c", 'echo up; exec "$@"', "sh", *words]
    return Running(step, command_line(step, words, arguments(options)))
