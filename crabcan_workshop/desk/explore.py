"""`workshop explore`: a container's birth, call by call, as a page for your browser."""
import argparse
import os
import sys
from pathlib import Path

from .. import chapters
from ..explore import record
from ..explore.document import document, save
from ..explore.reading import Broken
from ..explore.strace import StraceError
from ..explore.strace import record as traced
from ..explore.text import NothingToLeaveOut, fewer, table
from ..room.door import RoomError
from ..words import typed
from . import check, workspace

COMMANDS = {"explore": "step forward and back through a container's birth"}
EXAMPLES = """examples:
  workshop explore                    the whole container of chapter 9 first, then the others, 2 to 12
  workshop explore 4                  chapter 4's, with chapter 5's to compare it with
  workshop explore mine 4             yours, beside ours
  workshop explore FILE               what `crabcan run --trace FILE` has recorded; - is standard input
  workshop explore 9 --text --without pivot_root     what falls open?
  workshop explore --strace -- bwrap --ro-bind / / --unshare-all true
                                      another runtime's, beside ours"""
MINE = range(2, 12)  # of yours; chapter 12's container wants an image, and the room has none
LINE = "crabcan step {} --trace /tmp/explore {} -- true >/tmp/said 2>&1; cat /tmp/explore 2>/dev/null || tail -n 1 /tmp/said >&2"


class ExploreError(Exception):
    """There is nothing to show: one line, with what to do."""


def add_arguments(name, parser):
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    parser.add_argument("what", nargs="*", metavar="N|FILE|mine N", help=f"a chapter, {record.STEPS[0]} to {record.STEPS[-1]}; a recording; or your own")
    parser.add_argument("--strace", action="store_true", help="record the command behind -- with strace")
    parser.add_argument("--text", action="store_true", help="no page: print which event closes what")
    parser.add_argument("--without", metavar="N|CALL|LAYER", help="beside it, the same as if that had not been")
    parser.add_argument("-o", "--output", default="explorer.html", metavar="FILE",
                        help="where the page goes (explorer.html)")
    parser.add_argument("--dir", help="the workspace, for `mine` (the one you stand in, or ~/my-container)")


def main(options):
    try:
        recordings = list(chosen(options))
        if options.without:
            recordings[1:] = [(f"without {options.without}", "", fewer(recordings[0][2], options.without))]
        if options.text:
            print(table(recordings))
            return 0
        two = options.strace or options.without or "mine" in options.what  # are there to be compared
        save(document(recordings, beside=1 if two else None), options.output)
    except (ExploreError, NothingToLeaveOut, StraceError, RoomError, workspace.WorkspaceError,
            RuntimeError) as error:
        print(typed(f"workshop: explore: {error}"), file=sys.stderr)
        return 1
    except FileExistsError:
        print(f"workshop: explore: {options.output} is there, and no page of ours: name another with -o",
              file=sys.stderr)
        return 1
    except OSError as error:
        print(f"workshop: explore: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    show(Path(options.output).resolve())
    return 0


def show(path):
    """Says where the page is, and opens it where there is a screen to open it on."""
    print(f"{path}: open it in a browser; it needs nothing else")
    if sys.stdout.isatty() and (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        import webbrowser  # only now: it takes 5 ms
        webbrowser.open(path.as_uri())


def chosen(options):
    """(name, a word about it, events) of each recording that was asked for."""
    words = list(options.what)
    if options.strace:
        if not words:
            raise ExploreError("--strace wants a command: workshop explore --strace -- bwrap ...")
        events, status = traced(words)
        yield words[0], f"recorded by strace: {' '.join(words)}" + (f" (exit status {status})" if status else ""), events
        yield checkpoint(chapters.WHOLE)
        return
    for word in words:
        if word == "mine":
            continue
        if word.isdigit() and words[words.index(word) - 1:words.index(word)] == ["mine"]:
            yield mine(number(word, MINE), options.dir)
            yield checkpoint(number(word))
        elif word == "-":
            yield "your run", "crabcan run --explore", loaded("/dev/stdin")
        elif word.isdigit():
            yield checkpoint(number(word))
            if len(words) == 1 and int(word) < chapters.WHOLE:
                yield checkpoint(int(word) + 1)
        else:
            yield Path(word).stem, f"from {word}", loaded(word)
    if words[-1:] == ["mine"]:
        raise ExploreError("mine which? workshop explore mine 4")
    if not words:
        yield from all_of_them()


def all_of_them():
    """The whole container first, then those before it; after it those that can be had here."""
    for step in [*reversed(range(record.STEPS[0], chapters.WHOLE + 1)), *range(chapters.WHOLE + 1, chapters.LAST + 1)]:
        try:
            yield checkpoint(step)
        except RuntimeError as error:
            if step <= chapters.WHOLE:
                raise
            print(f"workshop: explore: without chapter {step}: {str(error).splitlines()[-1]}", file=sys.stderr)


def number(word, known=record.STEPS):
    if int(word) not in known:
        raise ExploreError(f"chapter {word} has no recording: those of {known[0]} to {known[-1]} have")
    return int(word)


def checkpoint(step):
    """The recording of a chapter's checkpoint, made now."""
    return f"chapter {step}: {chapters.NAMES[step]}", record.line(step), record.record(step)


def loaded(path):
    """The events of a file. Raises ExploreError if it is no recording."""
    try:
        return record.read(path)
    except Broken as error:
        raise ExploreError(error) from None


def mine(step, folder):
    """The recording of the learner's own file: made in the room, and only to be looked at."""
    place = workspace.find(folder).need()
    place.must_have(step)
    out, errors, _ = check.attempt(step, LINE.format(step, "--net bridge" if step == 11 else ""), place)
    try:
        events = record.parse(out.splitlines())
    except Broken:
        events = []
    if not events:
        said = errors.strip().removeprefix("workshop: ").splitlines()
        raise ExploreError(f"your chapter {step} has recorded nothing: {said[-1] if said else 'it ended first'}; "
                           f"look with workshop check {step}")
    return f"yours: chapter {step}", "your own file, in the room", events
