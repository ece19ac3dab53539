"""The learner's commands: start, check, watch, hint, solution, diff, reset, status."""
import difflib
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from crabcan_steps.layer import printable

from .. import exercises
from ..exercises import source
from ..room.door import RoomError
from ..words import typed
from . import beginning, board, standing, workspace
from . import check as checks
from .report import show

COMMANDS = {
    "start": "make your workspace: a file a chapter",
            "check": "does the kernel see what it should?",
    "watch": "check whenever you save", "try": "run a line of shell with your file, in the room",
            "hint": "a hint, and a better one the next time",
    "solution": "our own code", "diff": "yours beside ours", "reset": "begin a chapter again",
    "status": "how far you are"}


def add_arguments(name, parser):
    """The arguments of one of the commands."""
    parser.add_argument("--dir", help="the workspace (the one you stand in, or ~/my-container)")
    if name == "start":
        parser.add_argument("folder", nargs="?", help="where (~/my-container)")
    elif name != "status":
        optional = {"nargs": "?"} if name in ("check", "watch") else {}
        parser.add_argument("chapter", type=exercises.exercise, metavar="CHAPTER", **optional,
                            choices=(*exercises.CHAPTERS, *exercises.BESIDE),
                            help=f"1 to {exercises.CHAPTERS[-1]}, or {' or '.join(exercises.BESIDE)}")
    if name == "try":
        parser.add_argument("line", help="such as 'crabcan step 3 -- hostname'")
    if name == "hint":
        parser.add_argument("level", type=int, nargs="?", choices=(1, 2, 3),
                            help="1 to 3 (the next)")
        parser.add_argument("--exercise", type=int, choices=(1, 2, 3), help="(the first not done)")
    if name == "check":
        parser.add_argument("--all-mine", action="store_true",
                            help="your other chapters too, not ours")
        parser.add_argument("--answer", metavar="TEXT", help="the answer to the chapter's question")
    if name in ("check", "status"):
        parser.add_argument("--json", action="store_true", help="print JSON")
    if name in ("solution", "diff"):
        parser.add_argument("--yes", action="store_true", help="do not ask")


def main(options):
    try:
        if options.command == "start":
            return start(beginning.place(options.folder if options.folder is not None else options.dir))
        place = workspace.find(options.dir).need()
        names = {"try": attempt}
        return names.get(options.command, globals().get(options.command))(place, options)
    except (workspace.WorkspaceError, RoomError) as error:
        print(typed(f"workshop: {error}"), file=sys.stderr)
        return 1


def start(place):
    new = place.start()
    print(f"{place.folder}: {len(new)} new files" if new else f"{place.folder}: everything is "
          f"there already")
    if said := beginning.findable(place):
        print(said)
    print(typed("Read chapters/01-args.md, write what is missing in ch01_args.py, then: workshop "
                "check 1"))
    return 0


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


def status(place, options):
    """Recomputed by checking, two chapters at a time; those that are not begun cost nothing."""
    rows, progress = [], place.progress()
    asked = [*exercises.CHAPTERS, *(name for name in exercises.BESIDE if name in progress)]
    with ThreadPoolExecutor(2) as pool:
        results = pool.map(lambda number: looked_at(place, number), asked)
        for number, (passed, note) in zip(asked, results):
            entry = place.progress().get(str(number), {})
            done = [*passed, *([3] if "answer" in entry else [])]
            rows.append({"chapter": number, "title": exercises.chapter(number).title, "passed": done,
                         "attempts": entry.get("attempts", 0)})
            if not options.json:
                print(row(rows[-1], note), flush=True)
    total, most = sum(len(row["passed"]) for row in rows), 3 * len(rows)
    if options.json:
        print(json.dumps({"chapters": rows, "passed": total, "of": most}, indent=1))
    else:
        print(f"\n[{'#' * total}{'.' * (most - total)}] {total} of {most}")
    return 0


def looked_at(place, number):
    """(the exercises that are passed, a word about what is in the way)."""
    try:
        result = checks.check(number, place)
    except workspace.WorkspaceError as error:
        return [], str(error)
    harm = [fact["why"] for fact in result.facts if fact["state"] == "harm"]
    begun = result.facts or result.error and not result.waiting
    return result.passed, harm[0] if harm else result.error if begun and result.error else ""


def row(words, note):
    marks = " ".join("●" if n in words["passed"] else "·" for n in (1, 2, 3))
    tries = f"{words['attempts']} checks" if words["attempts"] else ""
    return f"{words['chapter']} {words['title']:12} {marks}  {tries}  {printable(note)[:100]}".rstrip()
