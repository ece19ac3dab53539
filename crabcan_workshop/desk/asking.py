"""The learner's side of the teacher's page: `workshop ask`, and `workshop take`."""
import json
import os
import sys
import time

from .. import exercises
from ..words import typed
from . import board, workspace

ASKS = ".ask.json"
COMMANDS = {"ask": "your teacher sees that you want help", "take": "an answer that the teacher gave to all"}


def add_arguments(name, parser):
    parser.add_argument("--dir", help="the workspace (the one you stand in, or ~/my-container)")
    if name == "ask":
        parser.add_argument("text", nargs="*", metavar="TEXT", help="what about, if you like")
        parser.add_argument("--done", action="store_true", help="you have been helped")
    else:
        parser.add_argument("chapter", type=int, choices=exercises.CHAPTERS, metavar="CHAPTER",
                            help=f"1 to {exercises.CHAPTERS[-1]}")


def main(options):
    try:
        return {"ask": ask, "take": take}[options.command](workspace.find(options.dir).need(), options)
    except workspace.WorkspaceError as error:
        print(typed(f"workshop: {error}"), file=sys.stderr)
        return 1


def ask(place, options):
    """A file in the workspace: the teacher's page reads it."""
    path = place.folder / ASKS
    if options.done:
        path.unlink(missing_ok=True)
        print("your hand is down again")
        return 0
    text = " ".join(options.text)[:300]
    workspace.write(path, json.dumps({"at": int(time.time()), "text": text}) + "\n")
    print(typed("your teacher sees it. When you have been helped: workshop ask --done"
                if os.path.exists(board.place()) else
                "your hand is up, but no teacher's page is open on this machine: call, too"))
    return 0


def take(place, options):
    """Our file in the place of the learner's."""
    chapter = exercises.chapter(options.chapter)
    done = place.progress().get(str(chapter.number), {}).get("passed", [])
    if not board.given(chapter.number) and len(done) < 2:
        raise workspace.WorkspaceError(f"chapter {chapter.number} was not given to the room: for you alone: "
                                       f"workshop solution {chapter.number}")
    kept = place.put(chapter, chapter.text)
    with place.changing(chapter.number) as entry:
        entry["taken"] = True
    print(f"{place.path(chapter)} is ours" + (f"; yours is {kept}" if kept else ""))
    return 0
