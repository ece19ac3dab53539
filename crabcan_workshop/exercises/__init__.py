"""What a chapter's exercises are: crabcan_workshop/exercises/NN-name.toml, read.

    [[exercise]]     1: the layer itself, 2: a variation, each with its targets; 3: an investigation
    [[wrong]]        a planted wrong answer, and what the check must say about it
    [[equivalent]]   a statement whose deletion no check can see, and why

`cgroups = 1` or `2` in the latter two: so only on hosts with that version.
"""
import argparse
import os
import re
import tomllib
from pathlib import Path

from ..chapters import NAMES
from ..chapters import NUMBERS as CHAPTERS
from ..words import meant
from . import source

FOLDER = Path(__file__).resolve().parent
BESIDE = ("explorer",)  # exercises of pages that are no chapter: they have names instead of numbers
VERSION = 2 if os.path.exists("/sys/fs/cgroup/cgroup.controllers") else 1


class Chapter:
    """One chapter's exercises."""

    def __init__(self, number):
        path = FOLDER / f"{number}.toml" if number in BESIDE else next(FOLDER.glob(f"{number:02}-*.toml"))
        with open(path, "rb") as file:
            words = tomllib.load(file)
        self.number, self.title = number, "" if number in BESIDE else path.stem[3:]
        self.exercises = words["exercise"]
        self.wrong, self.equivalent = ([entry for entry in words.get(kind, ())
                                        if entry.get("cgroups", VERSION) == VERSION]
                                       for kind in ("wrong", "equivalent"))
        path, self.text = source.of(number, words.get("file"))
        self.file, self.place = path.name, str(path)  # the learner's, and where it stands in ours

    def exercise(self, number):
        return self.exercises[number - 1]

    @property
    def question(self):
        """The investigation: the exercise that wants an answer, not code."""
        return next(exercise for exercise in self.exercises if "question" in exercise)

    @property
    def targets(self):
        return [name for exercise in self.exercises for name in exercise.get("targets", ())]

    @property
    def called(self):
        """As one says it: "chapter 4", or "explorer"."""
        return f"chapter {self.number}" if self.number in CHAPTERS else self.number

    def starter(self):
        return source.starter(self.text, self.targets)


def chapter(number):
    return Chapter(number)


def exercise(word):
    """What somebody typed: a number, or a name in any of the forms that a chapter has ("mounts",
    "04-mounts", "ch04_mounts.py"). Raises ArgumentTypeError."""
    plain = re.sub(r"^(ch)?0*(?=\d)|(?<=\D)\.\w+$", "", word).replace("_", "-")
    for number in CHAPTERS:
        if plain in (str(number), NAMES[number], f"{number}-{NAMES[number]}"):
            return number
    if word in BESIDE:
        return word
    raise argparse.ArgumentTypeError(f"no chapter '{word}': they are {CHAPTERS[0]} to {CHAPTERS[-1]}, and {' and '.join(BESIDE)}"
                                     + meant(plain, [*NAMES.values(), *BESIDE]))


def module(number):
    """The name of the module with the facts."""
    return f"{__name__}.{number}" if number in BESIDE else f"{__name__}.ch{number:02}"


def plain(words):
    return " ".join(words.split()).casefold().strip(".'\"`")


def matches(text, truths):
    """Whether an answer is one of these, in any of the forms that people copy: "EROFS (30)",
    "[Errno 30] Read-only file system", "--cap-add CHOWN", "CAP_CHOWN"."""
    truths = set(map(plain, truths))
    said = plain(text)
    if said in truths:
        return True
    for pattern in FORMS:
        if (found := re.fullmatch(pattern, said)) and plain(found[1]) in truths:
            return True
    return False


FORMS = (r"\[errno [0-9]+\] ([^:]+)(?:: .*)?", r"([a-z0-9 _-]+?) ?\([a-z0-9 _-]+\)",
         r"[a-z0-9 _-]+ \(([a-z0-9 _-]+)\)", r"--?[a-z-]+[ =](.+)", r"(?:errno|cap_)[ :=]*(.+)",
         r"([a-z]+): .*", r".*: ([a-z0-9 -]+)", r"(.+?) (?:bytes?|files?|descriptors?|characters?)")
