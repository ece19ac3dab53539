"""One check: the learner's file in place of ours, in the room; the result as data and as text."""
import ast
import shlex
import sys

from . import exercises, room, source

SHELL = 'crabcan() { "$PYTHON" -P -m crabcan_steps "$@"; }\n'
SIGNS = {"right": ("✓", "32"), "wrong": ("✗", "31"), "harm": ("✗", "31"), "absent": ("–", "33"),
         "untried": ("–", "33")}


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
        result.error = f"{chapter.file}, line {error.lineno}: {error.msg}"
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


def show(result, progress, out=None):
    """The table, for a reader."""
    out = out or sys.stdout
    colours = out.isatty()

    def line(text, code="0"):
        print(f"\033[{code}m{text}\033[0m" if colours and code != "0" else text, file=out)
    chapter = result.chapter
    line(f"chapter {chapter.number} {chapter.title}", "1")
    if result.error:
        line(f"  ✗ {result.error}", "31")
        line(f"      hint      workshop hint {chapter.number}")
    for number, exercise in enumerate(chapter.exercises, 1):
        facts = [fact for fact in result.facts if fact["exercise"] == number]
        if facts or number in result.waiting and not result.error:
            line(f" exercise {number}: {exercise['title']}")
        if number in result.waiting and not result.error:
            line(f"  · to be written: {', '.join(exercise['targets'])} (until then ours are used)",
                 "33")
        for fact in facts:
            sign, colour = SIGNS[fact["state"]]
            line(f"  {sign} {fact['expected']}", colour)
            if fact["state"] in ("wrong", "harm"):
                line(f"      seen      {fact['seen'][:300]}")
                line(f"      because   {fact['why']}")
                line(f"      look      {look(chapter.number, fact['look'])}")
                line(f"      hint      workshop hint {chapter.number}")
            elif fact["state"] in ("absent", "untried"):
                line(f"      {fact['why']}")
    if any(fact["state"] == "harm" for fact in result.facts):
        line("  Nothing has happened to your machine: this ran in a room of its own. The rest was "
             "not tried.")
    if result.good:
        line(f"  exercises {' and '.join(map(str, result.passed))} passed", "32")
        if "answer" not in progress:
            line(f" exercise {len(chapter.exercises)}: {chapter.question['title']}")
            line(f"  ? {chapter.question['question']}")
            line(f"      answer    workshop check {chapter.number} --answer TEXT")
