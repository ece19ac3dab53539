"""What a chapter's exercises are: crabcan_workshop/exercises/NN-name.toml, read.

    [[exercise]]     1: the layer itself, 2: a variation, each with its targets; 3: an investigation
    [[wrong]]        a planted wrong answer, and what the check must say about it
    [[equivalent]]   a statement whose deletion no check can see, and why

`cgroups = 1` or `2` in the latter two: so only on hosts with that version.
"""
import os
import tomllib
from pathlib import Path

from ..chapters import NUMBERS as CHAPTERS
from . import source

FOLDER = Path(__file__).resolve().parent
VERSION = 2 if os.path.exists("/sys/fs/cgroup/cgroup.controllers") else 1


class Chapter:
    """One chapter's exercises."""

    def __init__(self, number):
        path = next(FOLDER.glob(f"{number:02}-*.toml"))
        with open(path, "rb") as file:
            words = tomllib.load(file)
        self.number, self.title = number, path.stem[3:]
        self.exercises = words["exercise"]
        self.wrong, self.equivalent = ([entry for entry in words.get(kind, ())
                                        if entry.get("cgroups", VERSION) == VERSION]
                                       for kind in ("wrong", "equivalent"))
        self.file, self.text = source.of(number, words.get("file"))

    def exercise(self, number):
        return self.exercises[number - 1]

    @property
    def question(self):
        """The investigation: the exercise that wants an answer, not code."""
        return next(exercise for exercise in self.exercises if "question" in exercise)

    @property
    def targets(self):
        return [name for exercise in self.exercises for name in exercise.get("targets", ())]

    def starter(self):
        return source.starter(self.text, self.targets)


def chapter(number):
    return Chapter(number)
