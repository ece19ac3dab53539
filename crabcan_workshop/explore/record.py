"""Makes recordings: of each chapter's checkpoint, from real runs.

python -m crabcan_workshop.explore.record FOLDER writes FOLDER/2.jsonl, ... 12.jsonl, but for those that
cannot be made here (a bridge, an overlay).
"""
import gzip
import json
import os
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

from .. import chapters
from . import image, reading, strace
from .filters import enriched

STEPS = range(2, chapters.LAST + 1)


def network():
    """The options for a network of its own: what one may make here."""
    return ("--net", "bridge" if os.geteuid() == 0 else "pasta")


def line(step):
    """How one would type what is recorded."""
    more = {11: f" {' '.join(network())}", 12: " --image IMAGE"}.get(step, "")
    return f"crabcan step {step}{more} -- true"


def record(step, command=("true",), options=()):
    """The events of one run of a checkpoint. Raises RuntimeError with what it said if it failed."""
    with tempfile.TemporaryDirectory(prefix="crabcan-recording-") as folder:
        file, env = Path(folder, "events"), dict(os.environ)
        if step == 11 and "--net" not in options:
            options = (*network(), *options)
        if step == 12 and "--image" not in options:
            env["CRABCAN_STORE"] = f"{folder}/store"
            options = ("--image", image.write(f"{folder}/image", command[0]), *options)
        words = ["-P", "-m", "crabcan_steps", "step", str(step), "--trace", file, *options, "--", *command]
        done = subprocess.run([sys.executable, *words], capture_output=True, text=True, env=env)
        if done.returncode or not file.exists():
            raise RuntimeError(done.stderr.strip())
        return read(file)


def read(file):
    """The events of a file: of --trace or of strace, gzip's or not; in their order, filters looked at. Raises Broken."""
    lines = lines_of(file)
    return strace.read(lines, str(file)) if strace.wrote(lines) else parse(lines, str(file))


def lines_of(file):
    """The lines of a file, also of one that gzip(1) has packed. Raises Broken."""
    data = Path(file).read_bytes()
    try:
        data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    except (EOFError, OSError, zlib.error):
        raise reading.Broken(f"{file}: gzip cannot unpack it: is it all of it?") from None
    return data.decode("utf-8", "surrogateescape").split("\n")


def parse(lines, name="it"):
    """The events of lines of JSON. Raises Broken."""
    return ordered(reading.parse(lines, name))


def ordered(events):
    """Events by time: the child's come late, through the parent. `begin` stays the first."""
    events = sorted(events, key=lambda event: event["call"] != "begin" and event.get("at", 0))
    return [enriched(event) for event in events]


def write(events, file):
    """The other half of read()."""
    Path(file).write_text("".join(json.dumps(event) + "\n" for event in events))


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(exist_ok=True)
    for number in STEPS:
        try:
            write(record(number), folder / f"{number}.jsonl")
        except RuntimeError:
            if number <= chapters.WHOLE:
                raise
