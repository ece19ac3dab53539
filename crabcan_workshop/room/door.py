"""The door of the room: a job goes in, what was found comes out. Whoever asks may have threads."""
import contextlib
import json
import os
import select
import subprocess
import sys
import time

from . import patience
from .build import PACKAGES

MOST = 8 << 20  # bytes that we hear of a check; it says far less


class RoomError(Exception):
    """The room could not be had, or what is in it has outlived its time."""


class Sitting:
    """A judge at work in a new room with these files as crabcan_steps (judge.py). Several may be so at
    once: it begins when it is made, and close() ends it."""

    def __init__(self, chapter, sources, seconds=40, **job):
        slowness = patience.factor()
        job |= {"chapter": chapter, "sources": sources, "slowness": slowness, "caller": os.getpid()}
        command = [sys.executable, "-P", "-m", "crabcan_workshop.room.judge"]
        self.seconds, self.tried = seconds * slowness, ""
        self.end = time.monotonic() + self.seconds
        self.process = subprocess.Popen(command, env=environment(), start_new_session=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE)
        with contextlib.suppress(BrokenPipeError):  # then its end tells
            self.process.stdin.write(json.dumps(job).encode())
            self.process.stdin.close()

    def found(self):
        """Yields what the judge finds. Raises RoomError."""
        try:
            for found in lines(self.process, self.end):
                if "trying" in found:
                    self.tried = f", while it looked whether this is so: {found['trying']};"
                else:
                    yield found
            if self.process.wait(5):
                text = self.process.stderr.read(1 << 16).decode(errors="replace").strip().splitlines()
                raise RoomError("the room for the check did not come up: "
                                f"{text[-1] if text else f'exit status {self.process.returncode}'}")
        except (subprocess.TimeoutExpired, TimeoutError):
            raise RoomError(f"the check was not done after {self.seconds:.0f} s{self.tried or ','} so we "
                            "ended it") from None

    def close(self):
        leave(self.process)


def enter(chapter, sources, seconds=40, **job):
    """Yields what one judge finds."""
    with contextlib.closing(Sitting(chapter, sources, seconds, **job)) as sitting:
        yield from sitting.found()


def lines(process, end):
    """The objects that the judge prints, a line each. Raises TimeoutError."""
    text, heard = b"", 0
    while select.select([process.stdout], [], [], max(0, end - time.monotonic()))[0]:
        part = os.read(process.stdout.fileno(), 1 << 16)
        heard += len(part)
        if not part or heard > MOST:
            return
        *whole, text = (text + part).split(b"\n")
        yield from map(json.loads, whole)
    raise TimeoutError


def leave(process):
    """Ends a room that is still there; SIGTERM lets it clean up."""
    for deed in (process.terminate, process.kill):
        if process.poll() is None:
            deed()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                pass
    for pipe in (process.stdout, process.stderr):
        pipe.close()


def environment():
    """Ours comes first; an empty entry would be the directory that we happen to stand in."""
    paths = [str(PACKAGES), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def ask(chapter, sources, line):
    """Runs a line of shell in a new room: {"out", "err", "status"}."""
    for found in enter(chapter, sources, shell=line):
        if "said" in found:
            return found["said"]
    raise RoomError("the room said nothing")
