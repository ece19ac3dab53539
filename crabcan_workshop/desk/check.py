"""One check: the learner's file in place of ours, in the room, and what a judge finds there."""
import ast
import contextlib
import warnings
from pathlib import Path

from .. import exercises
from ..exercises import source
from ..room import door
from .result import Result

SHELL = """crabcan() { "$PYTHON" -P -m crabcan_workshop.room.learner crabcan "$@"; }
mkdir -p /home/you/bin 2> /dev/null && PATH=/home/you/bin:$PATH &&
printf '#!/bin/sh\\nexec "$PYTHON" -P -m crabcan_workshop.room.learner oci "$@"\\n' > /home/you/bin/crabcan-oci &&
chmod +x /home/you/bin/crabcan-oci
"""  # dash has no functions with a - in their name


def unreadable(file, text):
    """What is wrong with a text that is not Python, in one line; None if it is."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "invalid escape sequence": the learner's own affair
            source.stubs(text, ())
        return None
    except SyntaxError as error:
        line = (error.text or "").strip()[:200]
        return f"{file}, line {error.lineno}: {error.msg}{line and f': {line}'}"
    except (RecursionError, MemoryError):
        return f"{file}: an expression in it is nested too deep for Python"
    except ValueError as error:  # a NUL byte
        return f"{file}: {error}"


def begun(chapter, text):
    """(the exercises to check, those to be written, the text with our code in the latter)."""
    wanted, waiting = [], []
    for place, exercise in enumerate(chapter.exercises, 1):
        targets = exercise.get("targets", [])
        if targets and len(source.stubs(text, targets)) < len(targets):
            wanted.append(place)
        elif targets:
            waiting.append(place)
            text = source.filled(text, chapter.text, targets)
    return wanted, waiting, text


def check(number, workspace=None, text=None, all_mine=False, **job):
    """Checks the learner's file of a chapter, or a text in its place."""
    chapter = exercises.chapter(number)
    result, sources = Result(chapter), {}
    if all_mine:
        for other in map(exercises.chapter, exercises.CHAPTERS):
            sources[other.place] = workspace.text(other)
    text = workspace.text(chapter) if text is None else text
    result.error = unreadable(chapter.file, text)
    if result.error:
        return result
    wanted, result.waiting, filled = begun(chapter, text)
    if not wanted:
        first = chapter.exercises[0]["targets"]
        if gone := [name for name in first if name not in source.bound(ast.parse(text).body)]:
            result.error = (f"{chapter.file} has no {' and no '.join(gone)} any more: "
                            f"workshop reset {number} puts it there again, and what is there into attic/")
            return result
        result.error = f"nothing is written yet: begin with {' and '.join(first)} in {chapter.file}"
        return result
    text = text if all_mine else filled
    sources |= around(chapter) if number in exercises.BESIDE else apart(chapter, text, wanted)
    beside = number in exercises.BESIDE
    job |= {"file": "" if all_mine else chapter.file, "both": len(wanted) > 1 and not beside}
    # Side by side, each exercise in a room of its own: in one, the runs would see each other.
    groups = [wanted] if job.get("quick") else [[place] for place in wanted]
    with contextlib.ExitStack() as rooms:
        try:
            sittings = [rooms.enter_context(contextlib.closing(door.Sitting(
                number, sources | {chapter.place: alone(chapter, text, group) if beside else text},
                exercises=group, **job))) for group in groups]
            for sitting in sittings:
                for found in sitting.found():
                    result.add(found)
        except door.RoomError as error:
            result.error = str(error)
    result.settle()
    quote(result, chapter.file, text)
    return result


def apart(chapter, text, wanted):
    """The file with the functions of one exercise only, and ours for the other: for each of both."""
    if len(wanted) < 2:
        return {}
    return {f"alone{place}/{chapter.place}": alone(chapter, text, [place]) for place in wanted}


def alone(chapter, text, places):
    """The file with the functions of some exercises only, and ours for the others."""
    return source.filled(text, chapter.text, [
        name for place, exercise in enumerate(chapter.exercises, 1) if place not in places
        for name in exercise.get("targets", ())])


def around(chapter):
    """What stands beside a file that is no chapter's: our own modules, which a room has not."""
    folder = (source.STEPS / chapter.place).parent
    return {str(Path(chapter.place).with_name(path.name)): path.read_text() for path in folder.glob("*.py")}


def quote(result, file, text):
    """Adds the line that an exception came from."""
    rows = text.splitlines()
    for words in result.raised:
        if words["file"] == file and 0 < (words["line"] or 0) <= len(rows):
            words["source"] = rows[words["line"] - 1].strip()[:200]


def answer(number, text):
    """Whether an answer is the one that the kernel gives, when asked in the room."""
    question = exercises.chapter(number).question
    said = door.ask(number, {}, SHELL + question["answer_of"])
    truth = said["out"].strip()
    if not truth:
        raise door.RoomError(f"the question cannot be tried here: {said['err'].strip()[-200:]}")
    return exercises.matches(text, [truth, *question.get("also", [])])


def attempt(number, line, workspace):
    """Runs a line of shell in the room, with the learner's file: (output, errors, status)."""
    chapter = exercises.chapter(number)
    text = workspace.text(chapter)
    if error := unreadable(chapter.file, text):
        return "", f"workshop: {error}\n", 1
    sources = around(chapter) if number in exercises.BESIDE else {}
    said = door.ask(number, sources | {chapter.place: begun(chapter, text)[2]}, SHELL + line)
    return said["out"], said["err"], said["status"]
