"""Are the checks sharp? Leaves out each statement of each target in turn: the check must fail.

    tools/mutate.py [CHAPTER ...]        prints the survivors and the score; 0 if there are none
    tools/mutate.py --more [CHAPTER ...]   also: constants changed, neighbours exchanged, errors
                                         swallowed; prints the survivors, for somebody to think about
    tools/mutate.py --more --keep FILE   takes hours: keeps what it has found, and goes on there
    tools/mutate.py --table FILE         how many of each exercise's changes are noticed, so far

A survivor that no check can see is listed with its reason in crabcan_workshop/exercises/*.toml.
"""
import argparse
import collections
import hashlib
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from crabcan_workshop import exercises  # noqa: E402
from crabcan_workshop.desk import check  # noqa: E402
from crabcan_workshop.exercises import source  # noqa: E402

KINDS = {"left out": "statement left out", "is": "constant changed", "after": "order turned",
         "swallowed": "error swallowed"}


def dead(chapter, text):
    """Whether the check refuses a text."""
    return not check.check(chapter.number, text=text, quick=True).good


def survivors(chapter):
    """Runs a chapter's mutants; yields (function, statement, killed, the reason if not)."""
    reasons = {(entry["function"], entry["statement"]): entry["reason"]
               for entry in chapter.equivalent}
    for function, statement, text in source.mutants(chapter.text, chapter.targets):
        yield function, statement, dead(chapter, text), reasons.get((function, statement))


def everything(chapter):
    """(kind, function, what was done, the text with it), for all changes that there are."""
    for function, statement, text in source.mutants(chapter.text, chapter.targets):
        yield "left out", function, statement, text
    for function, what, text in source.variants(chapter.text, chapter.targets):
        kind = what.partition(":")[0].partition(" ")[0]
        yield kind if kind in KINDS else "is", function, what, text


def more(numbers, keep):
    """The survivors of all changes: each is a fact to add, or says the same in another way."""
    known = recorded(keep) if keep else {}
    for chapter in map(exercises.chapter, numbers):
        for kind, function, what, text in everything(chapter):
            key = hashlib.sha256(text.encode()).hexdigest()[:16]
            if key in known:
                continue
            known[key] = {"key": key, "chapter": chapter.number, "kind": kind, "function": function,
                          "what": what, "killed": dead(chapter, text)}
            if not known[key]["killed"]:
                print(f"chapter {chapter.number}: {function}: {kind}: {what}", flush=True)
            if keep:
                with open(keep, "a") as file:
                    file.write(json.dumps(known[key]) + "\n")
    print(f"{sum(entry['killed'] for entry in known.values())} of {len(known)} changes noticed")
    return 0


def recorded(path):
    """What a file has of earlier runs, by a change's key. The last word counts."""
    lines = Path(path).read_text().splitlines() if os.path.exists(path) else ()
    return {entry["key"]: entry for entry in map(json.loads, lines)}


def table(path):
    """For each exercise: how many changes of each kind are noticed, of how many tried."""
    counts = collections.defaultdict(lambda: [0, 0])
    for entry in recorded(path).values():
        places = [place for place, exercise in enumerate(exercises.chapter(entry["chapter"]).exercises, 1)
                  if entry["function"] in exercise.get("targets", ())]
        for kind in (entry["kind"], "all"):
            count = counts[entry["chapter"], *places, kind]
            count[0] += entry["killed"]
            count[1] += 1
    print(f"| exercise | {' | '.join(KINDS.values())} | all |\n|{'---|' * (len(KINDS) + 2)}")
    for number, place in sorted({key[:2] for key in counts}):
        cells = ("{} of {}".format(*counts[number, place, kind]) for kind in (*KINDS, "all"))
        print(f"| {number}.{place} | {' | '.join(cells)} |")
    return 0


def main(numbers):
    total = killed = excused = 0
    for number in numbers:
        for function, statement, gone, reason in survivors(exercises.chapter(number)):
            total, killed, excused = total + 1, killed + gone, excused + bool(reason and not gone)
            if not gone and not reason:
                print(f"chapter {number}: {function}: without `{statement}` the check still passes",
                      flush=True)
            if gone and reason:
                print(f"chapter {number}: {function}: `{statement}` is caught, and need not be "
                      f"excused", flush=True)
    print(f"{killed} of {total} deletions noticed, {excused} equivalent: "
          f"{100 * killed / max(1, total - excused):.0f} %")
    return 0 if killed + excused == total else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Are the checks sharp?")
    parser.add_argument("chapters", nargs="*", type=exercises.asked, default=exercises.CHAPTERS)
    parser.add_argument("--more", action="store_true", help="more kinds of changes")
    parser.add_argument("--keep", metavar="FILE", help="where to keep what --more finds")
    parser.add_argument("--table", metavar="FILE", help="what was kept there, counted")
    words = parser.parse_args()
    if words.table:
        sys.exit(table(words.table))
    sys.exit(more(words.chapters, words.keep) if words.more else main(words.chapters))
