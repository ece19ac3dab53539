"""`workshop report`: many workspaces in one table, for whoever teaches."""
import csv
import os
import pwd
import sys
import time
from pathlib import Path

from .. import exercises
from . import escape, workspace

USUAL = "my-container"  # says nothing about whose it is


def add_arguments(parser):
    parser.add_argument("folders", nargs="+", metavar="DIR",
                        help="a workspace; or a directory with one for each participant, or with "
                        "their homes, such as /home")
    parser.add_argument("--csv", action="store_true", help="print CSV")


class Unread(Exception):
    """A place that we may not look into; the first argument is the path, the second why."""


def entries(folder):
    """The directories in a directory. Raises Unread."""
    try:
        with os.scandir(folder) as found:
            return sorted(folder / entry.name for entry in found if entry.is_dir())
    except OSError as error:
        raise Unread(folder, error.strerror) from error


def holds_progress(folder):
    """Whether this is a workspace. Raises Unread."""
    try:
        os.stat(folder / workspace.PROGRESS)
        return True
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise Unread(folder, error.strerror) from error


def places(folder, depth=2):
    """The workspaces at or below a directory: paths, and an Unread for each that we may not see."""
    try:
        if holds_progress(folder):
            yield folder
        elif depth:
            for inner in entries(folder):
                if depth == 2 or inner.name == USUAL:
                    yield from places(inner, depth - 1)
    except Unread as error:
        yield error


def owner(path):
    """The name of whoever a workspace belongs to; its own name, if that says more than the usual."""
    if path.name != USUAL:
        return path.name
    try:
        return pwd.getpwuid(os.stat(path).st_uid).pw_name
    except (OSError, KeyError):
        return path.parent.name


def row(path):
    """One participant: a chapter counts when both its exercises passed at the last check."""
    empty = {"who": owner(path), "passed": "", "at": "", "attempts there": 0, "attempts": 0, "rooms": 0,
             "last": "", "note": ""}
    place = workspace.Workspace(path)
    try:
        (path / workspace.PROGRESS).read_bytes()
    except OSError as error:
        return empty | {"note": f"{path}: cannot be read: {error.strerror}"}
    progress = place.progress()
    chapters = {number: progress.get(str(number), {}) for number in exercises.CHAPTERS}
    passed = [number for number, entry in chapters.items() if entry.get("passed") == [1, 2]]
    attempts = {number: whole(entry, "attempts") for number, entry in chapters.items()}
    times = {number: whole(entry, "last") for number, entry in chapters.items()}
    latest = max(times, key=times.get)
    last = times[latest]
    rooms = escape.state(path / escape.STATE)
    return empty | {"passed": " ".join(map(str, passed)), "at": latest if last else "",
                    "attempts there": attempts[latest] if last else 0, "attempts": sum(attempts.values()),
                    "rooms": sum(1 for entry in rooms.values() if entry.get("found")),
                    "last": time.strftime("%Y-%m-%d %H:%M", time.localtime(last)) if last else ""}


def whole(entry, key):
    """A number from a file that people can edit: one spoilt file must not hide all others."""
    value = entry.get(key)
    return value if type(value) is int and 0 <= value < 1 << 40 else 0


def rows(folders):
    """A row each; of those that may not be read, too, for a learner left out is one not helped."""
    found = []
    for folder in map(Path, folders):
        inside = list(places(folder.absolute())) if os.path.lexists(folder) else []
        if not inside:
            raise workspace.WorkspaceError(f"{folder}: neither a workspace nor a directory of them")
        for one in inside:
            if isinstance(one, Unread):
                path, why = one.args
                name = path.parent.name if path.name == USUAL else path.name
                blank = dict.fromkeys(("passed", "at", "attempts there", "attempts", "rooms", "last"), "")
                found.append({"who": name, **blank, "note": f"{path}: cannot be read: {why}"})
            else:
                found.append(row(one))
    return found


def report(options):
    """Prints the table. 1 if there was something that cannot be read."""
    found = rows(options.folders)
    if options.csv:
        writer = csv.DictWriter(sys.stdout, found[0])
        writer.writeheader()
        writer.writerows(found)
    else:
        lines = [list(found[0]), *(list(map(str, words.values())) for words in found)]
        widths = [max(map(len, column)) for column in zip(*lines)]
        for line in lines:
            print("  ".join(word.ljust(width) for word, width in zip(line, widths)).rstrip())
    return 1 if any(words["note"] for words in found) else 0
