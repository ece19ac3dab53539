"""hint, solution, diff and reset: what a learner asks for who does not get on."""
import difflib
import sys

from .. import exercises
from ..exercises import source


def hint(place, options):
    chapter = exercises.chapter(options.chapter)
    entry = place.progress().get(str(chapter.number), {})
    done = entry.get("passed", []) + ([3] if "answer" in entry else [])
    which = options.exercise or next((n for n in (1, 2, 3) if n not in done), 1)
    seen = entry.get("hints", {}).get(str(which), 0)
    level = options.level or min(3, seen + 1)
    with place.changing(chapter.number) as changed:
        changed.setdefault("hints", {})[str(which)] = max(level, seen)
    exercise = chapter.exercise(which)
    print(f"{chapter.called}, exercise {which}: {exercise['title']} (hint {level} of 3)\n")
    print(exercise["hints"][level - 1])
    return 0


def allowed(place, chapter, options):
    """Our code is free for who has passed; others are asked once."""
    entry = place.progress().get(str(chapter.number), {})
    if options.yes or entry.get("seen") or len(entry.get("passed", [])) == 2:
        return True
    if not sys.stdin.isatty():
        print("workshop: you have not passed yet: with --yes we show it all the same",
              file=sys.stderr)
        return False
    if input("You have not passed yet. Show it all the same? "
             "[y/N] ").strip().lower() not in ("y", "yes"):
        return False
    with place.changing(chapter.number) as changed:
        changed["seen"] = True
    return True


def solution(place, options):
    chapter = exercises.chapter(options.chapter)
    if not allowed(place, chapter, options):
        return 1
    lines, known = chapter.text.splitlines(), source.functions(chapter.text)
    for name in chapter.targets:
        node = known[name]
        print(f"# {name}\n" + "\n".join(lines[node.lineno - 1:node.end_lineno]) + "\n")
    return 0


def diff(place, options):
    place.must_have(options.chapter)
    chapter = exercises.chapter(options.chapter)
    if not allowed(place, chapter, options):
        return 1
    theirs = place.text(chapter)
    for line in difflib.unified_diff(theirs.splitlines(), chapter.text.splitlines(),
                                     f"yours/{chapter.file}", f"ours/{chapter.file}", lineterm=""):
        print(line)
    return 0


def reset(place, options):
    chapter = exercises.chapter(options.chapter)
    kept = place.reset(chapter)
    print(f"{place.path(chapter)} is the starter again" + (f"; yours is {kept}" if kept else ""))
    return 0
