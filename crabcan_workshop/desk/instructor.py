"""For the instructor: `workshop schedule`, an agenda, and `workshop report`, who is where.

The minutes stand in front of each chapter. In a workshop the instructor shows what others read, in
about half the time, and one exercise is done of the three.
"""
import re
import sys
from argparse import ArgumentTypeError
from pathlib import Path

from .. import chapters
from . import reports, workspace

COMMANDS = {"schedule": "an agenda for a day or more", "report": "many workspaces in one table"}
CHAPTERS = Path(__file__).resolve().parents[2] / "chapters"
HEAD = re.compile(r"---\nminutes: \{(.+)\}\n---\n+# (.+)\n")
ALL_OF_THEM = (0, *chapters.NUMBERS)
LAYERED = (0, *chapters.LAYERED)
FAST = [("fast", "show", 1)]
SHOWN = [("read", "show", 0.5), ("do", "lab, exercise 1", 1), ("discuss", "discuss", 1)]
READ = [("read", "read", 1), ("do", "lab, exercise 1", 1), ("do", "exercise 2", 1)]
DISCUSSED = ("discuss", "discuss", 1)
TRACKS = {  # chapters; which of their minutes go to what, how many times; days; a day's minutes
    "talk": ((0, 2, 4, 5), FAST, 1, 90),
    "fast": ((0, 2, 4, 5, chapters.WHOLE), FAST, 1, 120),
    "morning": ((0, 2, 4, 5), SHOWN, 1, 180),
    "workshop": (LAYERED, SHOWN, 1, 510),
    "two-days": (LAYERED, [*READ, DISCUSSED], 2, 510),
    "full": (ALL_OF_THEM, [*READ, ("do", "exercise 3", 1), DISCUSSED], 4, 510)}
SITTING, BREAK, LUNCH, NOON, DAY = 90, 15, 60, 12 * 60, 24 * 60  # minutes


class ScheduleError(Exception):
    """The agenda cannot be had, or is too long."""


def add_arguments(name, parser):
    if name == "schedule":
        parser.add_argument("--start", type=clock, default="9:00", metavar="H:MM", help="(9:00)")
        parser.add_argument("--track", choices=TRACKS, help="(workshop; with --length or --chapters "
                            "the one with the most in it that fits)")
        parser.add_argument("--length", type=minutes, metavar="MINUTES",
                            help="a day's, with breaks, such as 90 or 180 (the track's own)")
        parser.add_argument("--days", type=days, default=1, metavar="N", help="without --track (1)")
        parser.add_argument("--chapters", type=some, metavar="N,N,...", help="only these")
        return
    reports.add_arguments(parser)


def clock(text):
    hours, _, minutes = text.partition(":")
    if not re.fullmatch(r"[0-9]{1,2}:[0-9]{2}", text) or int(hours) > 23 or int(minutes) > 59:
        raise ArgumentTypeError(f"'{text}': must be a time such as 9:00")
    return int(hours) * 60 + int(minutes)


def whole_number(text, most):
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= most:
        raise ArgumentTypeError(f"'{text}': must be a number from 1 to {most}")
    return int(text)


def minutes(text):
    return whole_number(text, DAY)


def days(text):
    return whole_number(text, max(days for _, _, days, _ in TRACKS.values()))


def some(text):
    """Chapters: 3,4,6."""
    for word in text.split(","):
        if word not in map(str, ALL_OF_THEM):
            raise ArgumentTypeError(f"'{text}': must be numbers from 0 to {chapters.LAST}, such as 3,4,6")
    return sorted(map(int, text.split(",")))


def main(options):
    try:
        return schedule(options) if options.command == "schedule" else reports.report(options)
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


def items(track, only=None):
    """What is to be done, in order: (minutes, text)."""
    numbers, parts, _, _ = TRACKS[track]
    for number in only or numbers:
        title, minutes = chapter(number)
        minutes.setdefault("fast", minutes["read"] * 0.7)  # where the chapter does not say
        for part, word, times in parts:
            needed = -(-minutes.get(part, 0) * times // 5) * 5  # in steps of five minutes
            if needed:
                yield int(needed), f"{title}: {word}"


def agenda(track, start, length=None, only=None):
    """The days, each a list of (begin, end, text). Raises ScheduleError if there are too many."""
    _, _, most, usual = TRACKS[track]
    length, days = length or usual, [[]]
    if start + length > DAY:
        raise ScheduleError(f"a day of {length} minutes from {shown(start)} on goes past midnight")
    now = sat = start
    for minutes, text in items(track, only):
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
                            f"{over}: take fewer --chapters, or a longer --length")
    return days


def fitting(options):
    """The agenda of the track that was asked for; else of the fullest that fits."""
    asked = options.length, options.chapters
    if options.track or not any(asked) and options.days == 1:
        return agenda(options.track or "workshop", options.start, *asked)
    error = None
    for track, (_, _, days, _) in reversed(TRACKS.items()):
        if days <= options.days:
            try:
                return agenda(track, options.start, *asked)
            except ScheduleError as problem:
                error = problem
    raise error


def pause_before(minutes, now, sat, day, length):
    """Lunch at noon on a long day; a break when they would sit too long, but none in mid-talk."""
    if not day:
        return 0
    if length > 240 and now + minutes / 2 > NOON and minutes > 10 and day[0][0] < NOON - 60 and \
            not any(text == "lunch" for _, _, text in day):
        return LUNCH
    return BREAK if now + minutes - sat > SITTING and minutes > 10 else 0


def shown(minutes):
    return f"{minutes // 60:02}:{minutes % 60:02}"


def schedule(options):
    days = fitting(options)
    for number, day in enumerate(days, 1):
        if len(days) > 1:
            print(f"{chr(10) if number > 1 else ''}day {number}")
        for begin, end, text in day:
            print(f"{shown(begin)}  {end - begin:3} min  {text}")
        print(f"{shown(day[-1][1])}  end")
    return 0
