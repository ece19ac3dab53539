"""What came of one run: the program's output, the runtime's words, and what the kernel showed.

All of it is text from processes that run the learner's code, so it is bounded, and printable.
"""
import json
import os
import re

from crabcan_steps.layer import printable

from ..exercises.facts import Wrong
from .learner import MARK

MOST = 4 << 20  # bytes of output, of each kind
OURS = re.compile(r"crabcan(?: [a-z0-9 ]+)?: ")
WORDS = {"raised": ("type", "text", "file"), "printed": ("text",),
         "failed": ("layer", "call", "about")}


class Answer:
    """Text and status; `outside` is what /proc said while it ran."""
    outside = None

    def __init__(self, out, err, status, pid):
        self.out, self.status, self.pid = out.decode(errors="replace"), status, pid
        lines = err.decode(errors="replace").split("\n")
        self.told = [found for line in lines if line.startswith(MARK) and (found := note(line[1:]))]
        self.err = "\n".join(line for line in lines if not line.startswith(MARK))
        self.raised = [words for words in self.told if words["kind"] == "raised"]
        self.printed = "".join(words["text"] for words in self.told if words["kind"] == "printed")
        failed = [words for words in self.told if words["kind"] == "failed"]
        self.failed = failed[-1] if failed else None

    @property
    def lines(self):
        """What the runtime says: its lines on stderr."""
        return [line for line in self.err.splitlines() if OURS.match(line)]

    @property
    def error(self):
        """The last of them; if there is none, the last line on stderr."""
        lines = self.lines or self.err.strip().splitlines()
        return printable(OURS.sub("", lines[-1], 1)) if lines else ""

    @property
    def seen(self):
        """Why there is nothing good to see, as far as it was seen. No cause is guessed."""
        if self.failed:
            words = self.failed
            text = os.strerror(words["errno"]) if words["errno"] else ""
            about = re.sub(r"/proc/[0-9]+/", "/proc/PID/", words["about"])
            return printable(": ".join(filter(None, (words["call"], text, about))))
        return self.error or f"exit status {self.status}" + (
            ", and the program did not run" if self.status in (0, 125) and not self.out else "")

    def names(self, *words):
        """Whether the one line of an error names all of these (an option, a path, a word)."""
        return all(word in self.error for word in words)

    def json(self):
        """What the probe inside reported. If it did not, what was seen of the start."""
        try:
            found = json.loads(self.out.splitlines()[0])
        except (ValueError, IndexError, RecursionError):
            raise Wrong(self.seen, "") from None
        if type(found) is not dict:
            raise Wrong(printable(self.out[:60]), "")
        return found


def note(line):
    """A line of learner.py's, if it has the form of one."""
    try:
        words = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if type(words) is not dict or words.get("kind") not in WORDS:
        return None
    if not all(isinstance(words.get(key), (str, type(None))) for key in WORDS[words["kind"]]):
        return None
    number = words.get("errno" if words["kind"] == "failed" else "line") or 0
    if type(number) is not int or not 0 <= number < 1 << 20:
        return None
    return {key: printable(value)[:400] if isinstance(value, str) and words["kind"] != "printed"
            else value for key, value in words.items()}
