"""Makes recordings: of each chapter's checkpoint, from real runs.

python -m crabcan_workshop.explore.record FOLDER writes FOLDER/2.jsonl, ... 9.jsonl.
"""
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from .. import chapters
from .filters import enriched

STEPS = range(2, chapters.WHOLE + 1)


def record(step, command=("true",), options=()):
    """The events of one run of a checkpoint. Raises RuntimeError with what it said if it failed."""
    with tempfile.TemporaryDirectory(prefix="crabcan-recording-") as folder:
        file = Path(folder, "events")
        words = ["-P", "-m", "crabcan_steps", "step", str(step), "--trace", file, *options, "--", *command]
        done = subprocess.run([sys.executable, *words], capture_output=True, text=True)
        if done.returncode or not file.exists():
            raise RuntimeError(done.stderr.strip())
        return read(file)


def read(file):
    """The events of a --trace file, in the order in which they were; filters looked at."""
    return parse(Path(file).read_text().splitlines())


def parse(lines):
    """The events of lines of JSON."""
    return ordered(map(json.loads, lines))


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
        write(record(number), folder / f"{number}.jsonl")
