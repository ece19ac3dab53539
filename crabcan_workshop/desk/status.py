"""status: how far a learner is."""
import json
from concurrent.futures import ThreadPoolExecutor

from crabcan_steps.layer import printable

from .. import exercises
from . import check as checks
from . import workspace


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
