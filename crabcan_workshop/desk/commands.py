"""The learner's commands: what they take, and who does them."""
import sys

from .. import exercises
from ..room.door import RoomError
from ..words import typed
from . import beginning, checking, helping, status, workspace

COMMANDS = {
    "start": "make your workspace: a file a chapter", "check": "does the kernel see what it should?",
    "watch": "check whenever you save", "try": "run a line of shell with your file, in the room",
    "hint": "a hint, and a better one the next time", "solution": "our own code", "diff": "yours beside ours",
    "reset": "begin a chapter again", "status": "how far you are"}
WHO = {"check": checking.check, "watch": checking.watch, "try": checking.attempt, "hint": helping.hint,
       "solution": helping.solution, "diff": helping.diff, "reset": helping.reset, "status": status.status}


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
            return beginning.start(options.folder if options.folder is not None else options.dir)
        return WHO[options.command](workspace.find(options.dir).need(), options)
    except (workspace.WorkspaceError, RoomError) as error:
        print(typed(f"workshop: {error}"), file=sys.stderr)
        return 1
