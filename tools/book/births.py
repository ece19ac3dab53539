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


def place(number):
    """Where in the page a chapter's recording begins."""
    return f"{NAME}#{list(recordings()).index(number) + 1}/1"


def link(number):
    """What leads from a chapter's top to its recording; nothing if it has none."""
    if number not in recordings():
        return ""
    return (f'<p class="birth"><a href="{place(number)}">Step through it: the birth of '
            "this chapter's container, call by call</a></p>")


def frame(number):
    """The recording itself, below the chapter. It is loaded when a reader comes near; on small screens not at all."""
    if number not in recordings():
        return ""
    return (f'<section class="birth" aria-label="The birth of this chapter\'s container">'
            f'<p><strong>Step through it</strong> <a href="{place(number)}">on a page of its own</a>'
            "<span>, or here, with the arrow keys once you are in it</span>.</p>"
            f'<iframe data-src="{place(number)}" title="The explorer: the birth of chapter {number}\'s '
            f'container, call by call"></iframe></section>')
