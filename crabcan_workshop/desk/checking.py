"""check, watch and try: the learner's file is tried, now, whenever it is saved, or by a line of shell."""
import json
import sys
import time

from .. import exercises
from ..words import typed
from . import board, standing
from . import check as checks
from .report import show


def current(place):
    """The first chapter that is not passed."""
    progress = place.progress()
    for number in exercises.CHAPTERS:
        done = progress.get(str(number), {})
        if len(done.get("passed", [])) < 2:
            return number
    return exercises.CHAPTERS[-1]


def checked(place, number, all_mine=False):
    """A check, remembered."""
    result = checks.check(number, place, all_mine=all_mine)
    with place.changing(number) as entry:
        standing.remember(entry, result)
    return result


def check(place, options):
    number = options.chapter or current(place)
    if options.answer is not None:
        right = checks.answer(number, options.answer)
        if right:
            with place.changing(number) as entry:
                entry["answer"] = options.answer
        if options.json:
            print(json.dumps({"chapter": number, "answer": options.answer, "right": right}))
        else:
            print("Right: the kernel says the same." if right else
                  typed(f"The kernel says something else. workshop hint {number} --exercise 3"))
        return 0 if right else 1
    place.must_have(number)
    result = checked(place, number, options.all_mine)
    if options.json:
        print(json.dumps(result.data(), indent=1))
    else:
        show(result, place.progress().get(str(number), {}))
        tell(number)
    return 0 if result.good else 1


def tell(number):
    """What the teacher has said to all."""
    for line in board.news(number):
        print(typed(f"  {line}"))


def watch(place, options):
    """Checks whenever the contents have changed. Never goes on to another chapter by itself."""
    number = options.chapter or current(place)
    chapter = exercises.chapter(number)
    print(f"watching {place.path(chapter)}: save it to check it, Ctrl-C to end", flush=True)
    last = None
    while True:
        text = place.text(chapter)
        if text != last:
            if last is not None:
                time.sleep(0.1)  # an editor may still be writing
                text = place.text(chapter)
            last = text
            print(time.strftime("\n%H:%M:%S"), flush=True)
            show(checked(place, number), place.progress().get(str(number), {}))
            tell(number)
            sys.stdout.flush()
        time.sleep(0.4)


def attempt(place, options):
    """To look for oneself: `crabcan` in the line is made with the learner's file."""
    place.must_have(options.chapter)
    out, errors, status = checks.attempt(options.chapter, options.line, place)
    print(shown(out), end="")
    print(shown(errors), end="", file=sys.stderr)
    return status if status >= 0 else 128 - status


def shown(text):
    """Text of the learner's processes, for a terminal: nothing in it steers one."""
    return "".join(c if c.isprintable() or c in "\n\t" else repr(c)[1:-1] for c in text)
