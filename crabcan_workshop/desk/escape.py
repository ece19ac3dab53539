"""`workshop escape` and `workshop flag`: a container with a hole, and a flag on the far side.

The hole leads into the outer room (room.py), never to the machine. Flags are new at each start;
what is kept of one is its hash.
"""
import fcntl
import hashlib
import json
import os
import secrets
import sys
import tomllib
from pathlib import Path

from crabcan_steps import ch09_runtime
from crabcan_steps.runtime.terminal import Terminal

from ..room import build
from ..room.door import RoomError
from ..words import typed
from . import workspace

DATA = Path(__file__).resolve().parent / "escape.toml"
STATE = ".escape.json"
COMMANDS = {"escape": "a container with a hole: find the flag behind it",
            "flag": "is this the flag of the room?"}


def add_arguments(name, parser):
    parser.add_argument("--dir", help="the workspace (the one you stand in, or ~/my-container)")
    known = list(rooms())
    number = {"type": int, "choices": known, "metavar": "ROOM"}
    if name == "flag":
        parser.add_argument("room", help=f"{known[0]} to {known[-1]}", **number)
        parser.add_argument("value", help="what you have found")
        return
    parser.add_argument("room", nargs="?", **number,
                        help=f"{known[0]} to {known[-1]}; without it: which there are")
    parser.add_argument("--hint", action="store_true", help="only a hint")
    parser.add_argument("--complete", action="store_true",
                        help="the same without the hole: try your attack on the whole runtime")
    parser.add_argument("-c", dest="line", metavar="LINE", help="a line of shell, not a shell")


def rooms():
    with open(DATA, "rb") as file:
        return {int(number): words for number, words in tomllib.load(file).items()}


def main(options):
    try:
        path = state_file(options.dir)
        if options.command == "flag":
            return flag(path, options.room, options.value)
        if options.room is None:
            return show(path)
        return escape(path, rooms()[options.room], options)
    except (workspace.WorkspaceError, RoomError) as error:
        print(typed(f"workshop: {error}"), file=sys.stderr)
        return 1


def state_file(asked):
    """In the workspace; for one who has none, where programs keep their state."""
    place = workspace.find(asked)
    if workspace.there(place.folder / workspace.PROGRESS):
        return place.folder / STATE
    if asked:
        place.need()
    home = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(home).expanduser() / "crabcan" / "escape.json"


def state(path):
    try:
        found = json.loads(workspace.read(path))
    except (OSError, ValueError, RecursionError):
        return {}
    return {key: entry for key, entry in found.items() if isinstance(entry, dict)} \
        if isinstance(found, dict) else {}


def change(path, number, **words):
    """Changes what is kept of one room; two at once wait for each other."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise workspace.WorkspaceError(f"{path.parent}: {error.strerror}: make a workspace, whose rooms are kept "
                                       "in it: workshop start DIR, then --dir DIR") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        kept = state(path)
        kept.setdefault(str(number), {}).update(words)
        workspace.write(path, json.dumps(kept, indent=1) + "\n")
    finally:
        os.close(lock)


def digest(salt, value):
    return hashlib.sha256(f"{salt} {value}".encode()).hexdigest()


def show(path):
    kept = state(path)
    for number, words in rooms().items():
        mark = "●" if kept.get(str(number), {}).get("found") else "·"
        print(f"{number} {mark} {words['title']}\n    {words['story']}")
    print(typed("\nworkshop escape 1   goes in; --hint: a hint. workshop flag 1 VALUE   is this it?"))
    return 0


def escape(path, words, options):
    """Starts a room's container; the learner gets a shell in it, or the line runs there."""
    if options.hint:
        print(words["hint"])
        return 0
    number = options.room
    value, salt = f"crab-{secrets.token_hex(5)}", secrets.token_hex(8)
    change(path, number, salt=salt, hash=digest(salt, value))
    hole = [] if options.complete else words.get("options", [])
    if options.line is None:
        print(typed(f"room {number}: {words['title']}\n{words['story']}\n"
                    f"The flag looks like crab-0123456789. `exit` leaves; then: workshop flag {number} "
                    "VALUE"), flush=True)
    job = {"set_up": words["set_up"], "flag": value, "options": words.get("given", []) + hole,
           "weaken": None if options.complete else words.get("weaken"),
           "command": None if options.line is None else ["/bin/sh", "-c", options.line]}
    return build.live(job, "warden", [Terminal()], ch09_runtime.run)


def flag(path, number, value):
    entry = state(path).get(str(number))
    if not entry or "hash" not in entry:
        print(typed(f"workshop: no flag of room {number} yet: workshop escape {number}"),
              file=sys.stderr)
        return 1
    if not secrets.compare_digest(entry["hash"], digest(entry["salt"], value.strip())):
        print(typed(f"That is not the flag of your last start of room {number}. A hint: workshop "
                    f"escape {number} --hint"))
        return 1
    change(path, number, found=True)
    print(typed(f"Yes: room {number} is open. Try the same with: workshop escape {number} "
                "--complete"))
    return 0
