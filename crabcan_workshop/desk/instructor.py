"""For the instructor: `workshop schedule`, an agenda, and `workshop report`, who is where.

The minutes stand in front of each chapter. In a workshop the instructor shows what others read, in
about half the time, and one exercise is done of the three.
"""
import csv
import re
import sys
import time
from argparse import ArgumentTypeError
from pathlib import Path

from .. import exercises
from . import escape, workspace

COMMANDS = {"schedule": "an agenda for a day or more", "report": "many workspaces in one table"}
CHAPTERS = Path(__file__).resolve().parents[2] / "chapters"
HEAD = re.compile(r"---\nminutes: \{(.+)\}\n---\n+# (.+)\n")
SHOWN = [("read", "show", 0.5), ("do", "lab, exercise 1", 1), ("discuss", "discuss", 1)]
ALL = [("read", "read", 1), ("do", "lab, exercise 1", 1), ("do", "exercise 2", 1),
       ("do", "exercise 3", 1), ("discuss", "discuss", 1)]
TRACKS = {  # chapters; which of their minutes go to what, how many times; days; a day's minutes
    "fast": ((0, 2, 4, 5, 9), [("fast", "read", 1)], 1, 120),
    "workshop": (range(10), SHOWN, 1, 510),
    "full": (range(10), ALL, 3, 510)}
SITTING, BREAK, LUNCH, NOON = 90, 15, 60, 12 * 60  # minutes


class ScheduleError(Exception):
    """The agenda cannot be had, or is too long."""


def add_arguments(name, parser):
    if name == "schedule":
        parser.add_argument("--start", type=clock, default="9:00", metavar="H:MM", help="(9:00)")
        parser.add_argument("--track", choices=TRACKS, default="workshop", help="(workshop)")
        parser.add_argument("--length", type=int, metavar="MINUTES",
                            help="a day's, with breaks (fast 120, else 510)")
        return
    parser.add_argument("folders", nargs="+", metavar="DIR",
                        help="a workspace, or a directory with one for each participant")
    parser.add_argument("--csv", action="store_true", help="print CSV")


def clock(text):
    hours, _, minutes = text.partition(":")
    if not re.fullmatch(r"[0-9]{1,2}:[0-9]{2}", text) or int(hours) > 23 or int(minutes) > 59:
        raise ArgumentTypeError(f"'{text}': must be a time such as 9:00")
    return int(hours) * 60 + int(minutes)


def main(options):
    try:
        return schedule(options) if options.command == "schedule" else report(options)
    except (ScheduleError, workspace.WorkspaceError) as error:
        print(f"workshop: {error}", file=sys.stderr)
        return 1


# ---------------------------------------------------------------- schedule

def chapter(number):
    """A chapter's title and its minutes, from its front matter."""
    path = next(CHAPTERS.glob(f"{number:02}-*.md"))
    found = HEAD.match(path.read_text())
    if not found:
        raise ScheduleError(f"{path}: has no `minutes: {{read: N, do: N, discuss: N}}` in front")
    minutes = {key.strip(): int(value) for key, value in
               (pair.split(":") for pair in found[1].split(","))}
    return found[2].split(":")[0], minutes


def items(track):
    """What is to be done, in order: (minutes, text)."""
    chapters, parts, _, _ = TRACKS[track]
    for number in chapters:
        title, minutes = chapter(number)
        for part, word, times in parts:
            needed = -(-minutes.get(part, 0) * times // 5) * 5  # in steps of five minutes
            if needed:
                yield int(needed), f"{title}: {word}"


def agenda(track, start, length):
    """The days, each a list of (begin, end, text). Raises ScheduleError if there are too many."""
    _, _, most, usual = TRACKS[track]
    length, days = length or usual, [[]]
    now = sat = start
    for minutes, text in items(track):
        pause = pause_before(minutes, now, sat, days[-1], length)
        if now + pause + minutes > start + length:
            if minutes > length:
                raise ScheduleError(f"{text} takes {minutes} minutes, and a day has {length}")
            days.append([])
            now = sat = start
        elif pause:
            days[-1].append((now, now + pause, "lunch" if pause == LUNCH else "break"))
            now = sat = now + pause
        days[-1].append((now, now + minutes, text))
        now += minutes
    if len(days) > most:
        over = sum(end - begin for day in days[most:] for begin, end, _ in day)
        raise ScheduleError(f"track {track} exceeds its length, {most} x {length} minutes, by "
                            f"{over}: shorten a chapter's minutes, or give it a longer --length")
    return days


def pause_before(minutes, now, sat, day, length):
    """Lunch at noon on a long day; a break when they would sit too long, but none in mid-talk."""
    if not day:
        return 0
    if length > 240 and now + minutes / 2 > NOON and minutes > 10 and day[0][0] < NOON - 60 and \
            not any(text == "lunch" for _, _, text in day):
        return LUNCH
    return BREAK if now + minutes - sat > SITTING and minutes > 10 else 0


def schedule(options):
    days = agenda(options.track, options.start, options.length)
    show = lambda minutes: f"{minutes // 60 % 24:02}:{minutes % 60:02}"
    for number, day in enumerate(days, 1):
        if len(days) > 1:
            print(f"{chr(10) if number > 1 else ''}day {number}")
        for begin, end, text in day:
            print(f"{show(begin)}  {end - begin:3} min  {text}")
        print(f"{show(day[-1][1])}  end")
    return 0


# ---------------------------------------------------------------- report

def places(folders):
    """The workspaces that are meant: each itself, or what is in a directory of them."""
    for folder in map(Path, folders):
        inside = [folder] if (folder / workspace.PROGRESS).exists() else sorted(
            path.parent for path in folder.glob(f"*/{workspace.PROGRESS}"))
        if not inside:
            raise workspace.WorkspaceError(f"{folder}: neither a workspace nor a directory of them")
        yield from map(workspace.Workspace, inside)


def row(place):
    """One participant: a chapter counts when both its exercises passed at the last check."""
    progress = place.progress()
    chapters = {number: progress.get(str(number), {}) for number in exercises.CHAPTERS}
    passed = [number for number, entry in chapters.items() if entry.get("passed") == [1, 2]]
    attempts = {number: whole(entry, "attempts") for number, entry in chapters.items()}
    times = {number: whole(entry, "last") for number, entry in chapters.items()}
    latest = max(times, key=times.get)
    last = times[latest]
    rooms = escape.state(place.folder / escape.STATE)
    return {"who": place.folder.name, "passed": " ".join(map(str, passed)),
            "at": latest if last else "", "attempts there": attempts[latest] if last else 0,
            "attempts": sum(attempts.values()),
            "rooms": sum(1 for entry in rooms.values() if entry.get("found")),
            "last": time.strftime("%Y-%m-%d %H:%M", time.localtime(last)) if last else ""}


def whole(entry, key):
    """A number from a file that people can edit: one spoilt file must not hide all others."""
    value = entry.get(key)
    return value if type(value) is int and 0 <= value < 1 << 40 else 0


def report(options):
    rows = [row(place) for place in places(options.folders)]
    if options.csv:
        writer = csv.DictWriter(sys.stdout, rows[0])
        writer.writeheader()
        writer.writerows(rows)
        return 0
    lines = [list(rows[0]), *(list(map(str, words.values())) for words in rows)]
    widths = [max(map(len, column)) for column in zip(*lines)]
    for line in lines:
        print("  ".join(word.ljust(width) for word, width in zip(line, widths)).rstrip())
    return 0
