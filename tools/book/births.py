"""The explorer in the book: each chapter from 2 on, recorded now and here, in one page beside the others."""
import functools
import os
import subprocess
import sys
import tempfile
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(CHECKOUT)]

from crabcan_workshop import chapters  # noqa: E402
from crabcan_workshop.explore import record  # noqa: E402
from crabcan_workshop.explore.document import document  # noqa: E402

NAME = "explorer.html"


@functools.cache
def recordings():
    """{chapter: (name, a word about it, events)}; none where no container runs."""
    with tempfile.TemporaryDirectory(prefix="crabcan-births-") as folder:
        bare = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        done = subprocess.run([sys.executable, "-m", record.__name__, folder], cwd=CHECKOUT, env=bare,
                              stdin=subprocess.DEVNULL, capture_output=True)
        if done.returncode:
            return {}
        files = {n: Path(folder, f"{n}.jsonl") for n in record.STEPS}
        return {n: (f"Chapter {n}: {chapters.NAMES[n]}", f"{record.line(n)}, when this book was made",
                    record.read(file)) for n, file in files.items() if file.exists()}


def page():
    """The page, as text."""
    return document(recordings().values(), book="")


def link(number):
    """What leads from a chapter to its recording; nothing if it has none."""
    if number not in recordings():
        return ""
    return (f'<p class="birth"><a href="{NAME}#{list(recordings()).index(number) + 1}/1">Step through it: the birth of '
            "this chapter's container, call by call</a></p>")
