"""Are the checks sharp? Deletes each statement of each target in turn: the check must fail.

    tools/mutate.py [CHAPTER ...]        prints the survivors and the score; 0 if there are none
    tools/mutate.py --more [CHAPTER ...]   constants changed, neighbours exchanged, errors swallowed:
                                         prints the survivors, for somebody to think about

A survivor that no check can see is listed with its reason in crabcan_workshop/exercises/*.toml.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from crabcan_workshop import exercises  # noqa: E402
from crabcan_workshop.desk import check  # noqa: E402
from crabcan_workshop.exercises import source  # noqa: E402


def survivors(chapter):
    """Runs a chapter's mutants; yields (function, statement, killed, the reason if not)."""
    reasons = {(entry["function"], entry["statement"]): entry["reason"]
               for entry in chapter.equivalent}
    for function, statement, text in source.mutants(chapter.text, chapter.targets):
        killed = not check.check(chapter.number, text=text, quick=True).good
        yield function, statement, killed, reasons.get((function, statement))


def more(numbers):
    """The survivors of source.variants(): each is a fact to add, or says the same in another way."""
    total = killed = 0
    for chapter in map(exercises.chapter, numbers or exercises.CHAPTERS):
        for function, what, text in source.variants(chapter.text, chapter.targets):
            dead = not check.check(chapter.number, text=text, quick=True).good
            total, killed = total + 1, killed + dead
            if not dead:
                print(f"chapter {chapter.number}: {function}: {what}", flush=True)
    print(f"{killed} of {total} changes noticed")
    return 0


def main(numbers):
    total = killed = excused = 0
    for number in numbers or exercises.CHAPTERS:
        for function, statement, dead, reason in survivors(exercises.chapter(number)):
            total, killed, excused = total + 1, killed + dead, excused + bool(reason and not dead)
            if not dead and not reason:
                print(f"chapter {number}: {function}: without `{statement}` the check still passes",
                      flush=True)
            if dead and reason:
                print(f"chapter {number}: {function}: `{statement}` is caught, and need not be "
                      f"excused", flush=True)
    print(f"{killed} of {total} deletions noticed, {excused} equivalent: "
          f"{100 * killed / max(1, total - excused):.0f} %")
    return 0 if killed + excused == total else 1


if __name__ == "__main__":
    words = sys.argv[1:]
    deed = more if "--more" in words else main
    sys.exit(deed([int(word) for word in words if word != "--more"]))
