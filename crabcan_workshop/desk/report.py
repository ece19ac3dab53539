"""What a check found out, for a reader: on a terminal, and in a notebook."""
import shlex
import sys

from crabcan_steps.layer import printable

from ..words import typed
from . import explore

SIGNS = {"right": ("✓", "32"), "wrong": ("✗", "31"), "harm": ("✗", "31"), "absent": ("–", "33"),
         "untried": ("–", "33"), "unreached": ("–", "33"), "error": ("✗", "31"),
         "raised": ("✗", "31"), "to do": ("·", "33"), "question": ("?", "0")}


def exception(words):
    """What the learner's own code raised: (text, where)."""
    text = f"your code raised {words['type']}: {words['text']}".rstrip(": ")
    if words["file"]:
        text += f" ({words['file']}, line {words['line']})"
    if "NoneType" in words["text"]:
        text += ". None is what a function gives that ends without a return"
    return text


def look(number, line):
    """The command that shows a fact, in the room, where the learner's file is `crabcan`."""
    return f"workshop try {number} {shlex.quote(line)}"


def report(result, progress):
    """What there is to say: (kind, text, details). Kinds: title, exercise, error, raised, to do,
    the states of facts, note, passed, question; details are a word and a text each."""
    chapter = result.chapter
    hint = ("hint", f"workshop hint {chapter.number}")
    yield "title", f"{chapter.called} {chapter.title}".rstrip(), []
    if result.error:
        yield "error", result.error, [hint]
    if result.raised and any(fact["state"] == "unreached" for fact in result.facts):
        first, *others = result.raised
        line = [("line", first["source"])] if first.get("source") else []
        more = [("", f"and {len(others)} more, which may come of it: mend this first")] if others else []
        yield "raised", exception(first), line + more
    said = set()
    for number, exercise in enumerate(chapter.exercises, 1):
        facts = [fact for fact in result.facts if fact["exercise"] == number]
        waits = number in result.waiting and not result.error
        if facts or waits:
            yield "exercise", f"exercise {number}: {exercise['title']}", []
        if waits:
            yield "to do", (f"to be written: {', '.join(exercise['targets'])} (until then ours are "
                            "used)"), []
        for fact in facts:
            yield fact["state"], fact["expected"], details(chapter, fact, said, hint)
    yield from ending(result, progress)


def details(chapter, fact, said, hint):
    """What is told of a fact that is not right; what was told already is not told again."""
    if fact["state"] in ("absent", "untried", "unreached"):
        new = fact["why"] not in said
        said.add(fact["why"])
        return [("", fact["why"])] if new else []
    if fact["state"] not in ("wrong", "harm"):
        return []
    if fact["seen"] in said and not fact["why"]:
        return [("", "the same as above")]
    said.add(fact["seen"])
    because = [("because", fact["why"])] if fact["why"] else []
    see = [("look", look(chapter.number, fact["look"]))] if fact["look"] else []
    return [("seen", fact["seen"][:300]), *because, *see, hint]


def ending(result, progress):
    """What is said below the table."""
    chapter = result.chapter
    if any(fact["state"] == "harm" for fact in result.facts):
        yield "note", ("Nothing has happened to your machine: this ran in a room of its own. The "
                       "rest was not tried."), []
    for text in result.notes if result.facts else ():
        yield "note", f"note: {text}", []
    if any(fact["state"] == "wrong" for fact in result.facts) and chapter.number in explore.MINE:
        yield "note", f"to step through it, yours beside ours: workshop explore mine {chapter.number}", []
    if result.printed:
        lines = result.printed.splitlines()
        yield "note", "your code printed:", [("", line[:200]) for line in lines[:20]] + (
            [("", f"and {len(lines) - 20} lines more")] if len(lines) > 20 else [])
    for number in result.held_up():
        yield "note", (f"exercise {number}: nothing wrong was found, but what could not be tried "
                       "here is not done; on a machine that can, it is one check"), []
    if result.passed:
        plural = "s" if len(result.passed) > 1 else ""
        yield "passed", f"exercise{plural} {' and '.join(map(str, result.passed))} passed", []
        if result.good and "answer" not in progress:
            question = chapter.question
            yield "exercise", f"exercise {len(chapter.exercises)}: {question['title']}", []
            yield "question", question["question"], [
                ("answer", f"workshop check {chapter.number} --answer TEXT")]


def lines(items):
    """What report() says, as printable lines and the code of each one's colour."""
    for kind, text, more in items:
        sign, colour = SIGNS.get(kind, ("", {"title": "1", "passed": "32"}.get(kind, "0")))
        indent = {"title": "", "exercise": " "}.get(kind, "  ")
        text = printable(text)
        yield f"{indent}{sign} {text}" if sign else f"{indent}{text}", colour
        for word, words in more:
            words = printable(words)
            yield f"      {word:9} {words}" if word else f"      {words}", "0"


def show(result, progress, out=None):
    """The table, for a reader."""
    out = out or sys.stdout
    colours = out.isatty()
    for line, colour in lines(report(result, progress)):
        line = typed(line)
        print(f"\033[{colour}m{line}\033[0m" if colours and colour != "0" else line, file=out)
