"""Containers for a notebook: run() runs one to its end."""
import contextlib
import os
import selectors
import shlex
import subprocess
import sys
import time

from crabcan_steps.ch09_runtime import UsageError, selected

from ..chapters import WHOLE
from .show import NAMES, badges, box, pre

PYTHON = [sys.executable, "-P"]  # -P: nothing in the notebook's folder takes our modules' place
OWN = (2, 125, 126, 127)  # exit statuses of the runtime's own errors
NOT_MADE = (2, 125)       # those of them without a container
SECONDS = 60
MOST = 4 << 20  # bytes of output; a notebook keeps all of it, and its page shows it


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


def run(command, step=WHOLE, stdin="", check=False, timeout=SECONDS, raw=(), **options):
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
    """Runs a program to its end, or to the end of our patience: (stdout, stderr, status).

    In a session of its own: whoever interrupts the cell interrupts this one container, by us."""
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, start_new_session=True)
    end, left = time.monotonic() + timeout, stdin.encode()
    text = {process.stdout: bytearray(), process.stderr: bytearray()}
    why = None
    try:
        with selectors.DefaultSelector() as ready:
            for pipe in text:
                ready.register(pipe, selectors.EVENT_READ)
            ready.register(process.stdin, selectors.EVENT_WRITE)
            while ready.get_map() and not why:
                for key, _ in ready.select(max(0, end - time.monotonic())):
                    if key.fileobj is process.stdin:
                        left = written(process.stdin, left)
                        part = left
                    else:
                        part = os.read(key.fd, 1 << 16)
                        text[key.fileobj] += part
                    if not part:
                        ready.unregister(key.fileobj)
                        key.fileobj.close()
                if max(map(len, text.values())) > MOST:
                    why = f"more than {MOST >> 20} MB of output"
                elif time.monotonic() > end:
                    why = f"no end after {timeout} s"
        if not why:
            process.wait(max(1, end - time.monotonic()))
    except subprocess.TimeoutExpired:
        why = f"no end after {timeout} s"
    finally:
        ended(process)
    stdout, stderr = (bytes(kept[:MOST]).decode(errors="replace") for kept in text.values())
    if why:
        return stdout, f"crabcan: {why}, so the lab ended it\n", 125
    # Step 1 becomes the command; a signal's number as a shell counts it.
    return stdout, stderr, process.returncode if process.returncode >= 0 else 128 - process.returncode


def written(pipe, text):
    """Gives a program some of its input; returns what is left."""
    try:
        return text[os.write(pipe.fileno(), text[:4096]):] if text else b""
    except BrokenPipeError:
        return b""


def ended(process):
    """Ends a program that is still there, kindly first: crabcan cleans up."""
    for deed in (process.terminate, process.kill):
        if process.poll() is None:
            deed()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                pass
    for pipe in (process.stdin, process.stdout, process.stderr):
        with contextlib.suppress(OSError):
            pipe.close()


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
