"""One check: the learner's file in place of ours, in the room; the result as data and as text."""
import ast
import shlex
import sys

from .. import exercises
from ..exercises import source
from ..room import door as room
from ..words import typed

SHELL = 'crabcan() { "$PYTHON" -P -m crabcan_steps "$@"; }\n'
SIGNS = {"right": ("✓", "32"), "wrong": ("✗", "31"), "harm": ("✗", "31"), "absent": ("–", "33"),
         "untried": ("–", "33"), "error": ("✗", "31"), "to do": ("·", "33"), "question": ("?", "0")}


class Result:
    """What a check found out about a chapter."""

    def __init__(self, chapter):
        self.chapter, self.facts, self.error, self.waiting = chapter, [], None, []

    @property
    def passed(self):
        """The numbers of the exercises that are done (the investigation is not ours to say)."""
        done = set()
        for number, exercise in enumerate(self.chapter.exercises, 1):
            states = [fact["state"] for fact in self.facts if fact["exercise"] == number]
            if states and number not in self.waiting and not self.error:
                if all(state in ("right", "absent") for state in states):
                    done.add(number)
        if any(fact["state"] == "harm" for fact in self.facts):
            return []
        return sorted(done)

    @property
    def good(self):
        return len(self.passed) == sum("targets" in exercise for exercise in self.chapter.exercises)

    def data(self):
        return {"chapter": self.chapter.number, "good": self.good, "passed": self.passed,
                "error": self.error, "to do": self.waiting, "facts": self.facts}


def check(number, workspace=None, text=None, all_mine=False, **job):
    """Checks the learner's file of a chapter, or a text in its place."""
    chapter = exercises.chapter(number)
    result = Result(chapter)
    sources = {}
    if all_mine:
        for other in map(exercises.chapter, exercises.CHAPTERS):
            theirs = workspace.text(other)
            sources[other.file] = theirs
    text = workspace.text(chapter) if text is None else text
    try:
        ast.parse(text)
    except SyntaxError as error:
        line = (error.text or "").strip()
        result.error = f"{chapter.file}, line {error.lineno}: {error.msg}{line and f': {line}'}"
        return result
    except ValueError as error:  # a NUL byte
        result.error = f"{chapter.file}: {error}"
        return result
    wanted = []
    for place, exercise in enumerate(chapter.exercises, 1):
        targets = exercise.get("targets", [])
        if targets and len(source.stubs(text, targets)) < len(targets):
            wanted.append(place)
        elif targets:
            result.waiting.append(place)
            if not all_mine:
                text = source.filled(text, chapter.text, targets)
    if not wanted:
        first = chapter.exercises[0]["targets"]
        result.error = f"nothing is written yet: begin with {' and '.join(first)} in {chapter.file}"
        return result
    try:
        result.facts = room.enter(number, sources | {chapter.file: text}, exercises=wanted, **job)
    except room.RoomError as error:
        result.error = str(error)
    return result


def answer(number, text):
    """Whether an answer is the one that the kernel gives, when asked in the room."""
    question = exercises.chapter(number).question
    said = room.enter(number, {}, shell=SHELL + question["answer_of"])
    plain = lambda words: " ".join(words.split()).casefold().strip(".'\"")
    truth = plain(said["out"])
    if not truth:
        raise room.RoomError(f"the question cannot be tried here: {said['err'].strip()[-200:]}")
    return plain(text) in {truth, *map(plain, question.get("also", []))}


def look(number, line):
    """The command that shows a fact, in the room, where the learner's file is `crabcan`."""
    return f"workshop try {number} {shlex.quote(line)}" if "crabcan" in line else line


def attempt(number, line, workspace):
    """Runs a line of shell in the room, with the learner's file: (output, errors, status)."""
    chapter = exercises.chapter(number)
    text = workspace.text(chapter)
    for exercise in chapter.exercises:
        targets = exercise.get("targets", [])
        if len(source.stubs(text, targets)) == len(targets):
            text = source.filled(text, chapter.text, targets)
    said = room.enter(number, {chapter.file: text}, shell=SHELL + line)
    return said["out"], said["err"], said["status"]


def report(result, progress):
    """What there is to say: (kind, text, details). Kinds: title, exercise, error, to do, the states
    of facts, note, passed, question; details are a word and a text each."""
    chapter = result.chapter
    hint = ("hint", f"workshop hint {chapter.number}")
    yield "title", f"chapter {chapter.number} {chapter.title}", []
    if result.error:
        yield "error", result.error, [hint]
    for number, exercise in enumerate(chapter.exercises, 1):
        facts = [fact for fact in result.facts if fact["exercise"] == number]
        waits = number in result.waiting and not result.error
        if facts or waits:
            yield "exercise", f"exercise {number}: {exercise['title']}", []
        if waits:
            yield "to do", (f"to be written: {', '.join(exercise['targets'])} (until then ours are "
                            "used)"), []
        for fact in facts:
            details = []
            if fact["state"] in ("wrong", "harm"):
                details = [("seen", fact["seen"][:300]), ("because", fact["why"]),
                           ("look", look(chapter.number, fact["look"])), hint]
            elif fact["state"] in ("absent", "untried"):
                details = [("", fact["why"])]
            yield fact["state"], fact["expected"], details
    if any(fact["state"] == "harm" for fact in result.facts):
        yield "note", ("Nothing has happened to your machine: this ran in a room of its own. The "
                       "rest was not tried."), []
    if result.passed:
        plural = "s" if len(result.passed) > 1 else ""
        yield "passed", f"exercise{plural} {' and '.join(map(str, result.passed))} passed", []
        if result.good and "answer" not in progress:
            question = chapter.question
            yield "exercise", f"exercise {len(chapter.exercises)}: {question['title']}", []
            yield "question", question["question"], [
                ("answer", f"workshop check {chapter.number} --answer TEXT")]


def lines(items):
    """What report() says, as lines and the code of each one's colour."""
    for kind, text, details in items:
        sign, colour = SIGNS.get(kind, ("", {"title": "1", "passed": "32"}.get(kind, "0")))
        indent = {"title": "", "exercise": " "}.get(kind, "  ")
        yield f"{indent}{sign} {text}" if sign else f"{indent}{text}", colour
        for word, more in details:
            yield f"      {word:9} {more}" if word else f"      {more}", "0"


def show(result, progress, out=None):
    """The table, for a reader."""
    out = out or sys.stdout
    colours = out.isatty()
    for line, colour in lines(report(result, progress)):
        line = typed(line)
        print(f"\033[{colour}m{line}\033[0m" if colours and colour != "0" else line, file=out)
