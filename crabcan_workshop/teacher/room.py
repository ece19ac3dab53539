"""Who is where: a row for each learner, and the pace of the room.

It is what learners' own files say, and they may say anything: a teacher looks at it, and marks nobody by it.
"""
import csv
import io
import os
import time
from collections import Counter

from .. import exercises
from ..desk import reports
from . import reading

CHAPTERS = {number: exercises.chapter(number) for number in exercises.CHAPTERS}
COLUMNS = ("who", "chapter", "exercise", "since", "last", "attempts", "passed", "stop", "asks", "note")


def empty(who, note=""):
    return {"who": who, "chapter": 0, "title": "", "exercise": 0, "since": 0, "last": 0, "attempts": 0,
            "passed": {}, "taken": [], "stop": "", "asks": None, "note": note}


def row(who, known, asks):
    """One learner: the chapter of the last check, and the first exercise of it that is not passed."""
    found = empty(who) | {"asks": asks}
    chapters = {number: known.get(str(number), {}) for number in CHAPTERS}
    found["passed"] = {number: entry["passed"] for number, entry in chapters.items() if entry.get("passed")}
    found["taken"] = [number for number, entry in chapters.items() if entry.get("taken")]
    number = max(chapters, key=lambda number: reports.whole(chapters[number], "last"))
    entry = chapters[number]
    if not reports.whole(entry, "last"):
        return found
    passed = entry.get("passed", [])
    return found | {
        "chapter": number, "title": CHAPTERS[number].title,
        "exercise": next((n for n in (1, 2) if n not in passed), 0),  # 0: both are passed
        "since": reports.whole(entry, "since") or reports.whole(entry, "last"),
        "last": reports.whole(entry, "last"), "attempts": reports.whole(entry, "attempts"),
        "stop": entry.get("stop", "")[:300]}


class Room:
    """All learners below some directories, as they were when last looked at."""

    def __init__(self, folders):
        self.folders, self.rows = [os.path.abspath(folder) for folder in folders], {}

    def look(self):
        """Looks again; returns the names of those whose row is another one now."""
        found = {}
        for folder in self.folders:
            try:
                for who, fd, why in reading.workspaces(folder):
                    name = who if who not in found else f"{who} ({os.path.basename(folder)})"
                    found[name] = self.one(name, fd, why)
            except OSError as error:
                found[folder] = empty(folder, f"cannot be read: {error.strerror}")
        changed = {who for who in found.keys() | self.rows.keys() if found.get(who) != self.rows.get(who)}
        self.rows = found
        return changed

    def one(self, who, fd, why):
        if fd is None:
            return empty(who, f"cannot be read: {why}")
        try:
            return row(who, *reading.standing(fd))
        except reading.Unread as error:
            return empty(who, f"cannot be read: {error}")
        finally:
            os.close(fd)

    def work(self, who, number):
        """A learner's file of a chapter, as text. Raises KeyError, reading.Unread."""
        name = CHAPTERS[number].file
        for folder in self.folders:
            for found, fd, _ in reading.workspaces(folder):
                if fd is None:
                    continue
                try:
                    if found == who or f"{found} ({os.path.basename(folder)})" == who:
                        return reading.file(fd, name, reading.LARGE).decode(errors="replace")
                except FileNotFoundError:
                    raise reading.Unread(f"{name}: there is none") from None
                finally:
                    os.close(fd)
        raise KeyError(who)

    def pace(self):
        """How far the room is: for each chapter who is there and who has passed; and what stops most."""
        here = Counter(row["chapter"] for row in self.rows.values() if row["chapter"])
        done = Counter(number for row in self.rows.values()
                       for number, passed in row["passed"].items() if len(passed) == 2)
        stops = Counter((row["chapter"], row["stop"].partition(": seen ")[0])
                        for row in self.rows.values() if row["stop"])
        return {"learners": len(self.rows),
                "chapters": [{"number": number, "title": chapter.title, "here": here[number], "passed": done[number]}
                             for number, chapter in CHAPTERS.items()],
                "stops": [{"chapter": number, "text": text, "times": times}
                          for (number, text), times in stops.most_common(5)]}

    def table(self):
        """CSV. A cell that a spreadsheet would take for a formula is text in it, too."""
        out = io.StringIO()
        writer = csv.DictWriter(out, COLUMNS, extrasaction="ignore")
        writer.writeheader()
        for one in self.rows.values():
            words = one | {key: time.strftime("%Y-%m-%d %H:%M", time.localtime(one[key])) if one[key] else ""
                           for key in ("since", "last")}
            words["passed"] = " ".join(f"{number}.{n}" for number, passed in one["passed"].items() for n in passed)
            words["asks"] = (one["asks"]["text"] or "yes") if one["asks"] else ""
            writer.writerow({key: plain(value) for key, value in words.items()})
        return out.getvalue()


def plain(value):
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
