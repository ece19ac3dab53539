"""A recording made now, and the states that a learner's reducer makes of it: for the explorer's exercise.

The recording is made here, outside of the room, of a container that stands still after each event while
/proc is read (explore/stepper.py). In the room the learner's reducer folds it, and says each state.
"""
import json
import os
import sys
import tempfile

from ..explore import truth
from ..explore.filters import enriched
from .facts import Absent, Wrong, came_up, must

# A world in which mounts are shared, as systemd leaves them; for an ordinary user all of it is new.
WORLD = ["unshare", "--mount", "--propagation", "shared", *(
    () if os.geteuid() == 0 else ("--user", "--map-root-user", "--uts", "--net")), "--"]
FOLD = """
import json
from crabcan_workshop.explore.reducer import initial, reduce
with open("/tmp/events") as file:
    events, told, when = json.load(file), [], "{when}"
def tell(state, shown={{}}):
    try:
        now = {{(name, key): json.dumps(value) for name, part in state.items()
               for key, value in (part.items() if isinstance(part, dict) else [("", part)])}}
    except (TypeError, ValueError, RecursionError) as error:
        return say(json.dumps(f"a state is not plain JSON: {{error}}"))
    say(json.dumps([[*where, text] for where, text in now.items() if shown.get(where) != text]
                   + [[*where, None] for where in shown if where not in now]))
    shown.clear()
    shown.update(now)
def folded(shown):
    state = initial()
    for event in events:
        before = json.dumps(event)
        state = reduce(state, event)
        if json.dumps(event) != before:
            say(json.dumps(f"the event is changed: {{before[:200]}}"))
        if not isinstance(state, dict):
            say(json.dumps(f"reduce() has returned a {{type(state).__name__}}"))
        shown(state)
if when == "again":
    folded(lambda state: None)
folded(told.append if when == "late" else tell)
for state in told:
    tell(state)
"""
CAUSES = {"reduce()": "a state is a dict: the next one is to be returned, whatever the event is",
          "a state": "dicts with texts for keys, lists, texts, numbers, True, False and None",
          "the event": "an event has happened, and whoever steps back folds it again: it is not to be changed"}


def recording(machine):
    """[(event, what the kernel said)] of a container of chapter 4's, made now."""
    if "recording" not in machine.kept:
        words = [sys.executable, "-P", "-m", "crabcan_steps", "step", "4", "--trace"]
        with tempfile.TemporaryDirectory(prefix="crabcan-recording-") as folder:
            file = os.path.join(folder, "events")
            try:
                machine.kept["recording"] = truth.stepped(file, [*words, file, "--", "sleep", "100"], WORLD)
            except RuntimeError as error:
                raise Absent(f"no container could be watched here: {error}") from None
    return machine.kept["recording"]


def events_of(machine):
    return [enriched(event) for event, _ in recording(machine)]


def folded(machine, events, when=""):
    """The states after each event, by the learner's reducer in the room.

    when: told as they come; "late": when all is done; "again": all is folded once more, and those told."""
    machine.put("/tmp/events", json.dumps(events))
    told, parts, answer = [], {}, outcome(machine, when)
    try:
        for said in map(json.loads, answer.out.splitlines()):
            if isinstance(said, str):
                raise Wrong(said, next((why for sign, why in CAUSES.items() if said.startswith(sign)), ""))
            for name, key, text in said:
                parts.pop((name, key), None)
                if text is not None:
                    parts[name, key] = json.loads(text)
            told.append(built(parts))
    except (TypeError, ValueError, RecursionError):
        raise Wrong("a state is not plain JSON", CAUSES["a state"]) from None
    came_up(answer)
    must(len(told) == len(events), f"{len(told)} states of {len(events)} events", "")
    return told


def outcome(machine, when):
    """What the room says. Nothing but states is said there, so it is they if it is too much."""
    try:
        return machine.script(FOLD.format(when=when))
    except Wrong as error:
        raise Wrong(f"states of {error.seen.removesuffix(' of output')}",
                    "what was so before is not kept in a state: that is what the events are for") from None


def built(parts):
    state = {}
    for (name, key), value in parts.items():
        if key == "":
            state[name] = value
        else:
            state.setdefault(name, {})[key] = value
    return {**{name: {} for name in ("cgroups", "layers", "properties")}, **state}


def first_other(one, other):
    """(index, slice) where two lists of states part, or None."""
    for index, (ours, theirs) in enumerate(zip(one, other)):
        for name in ours:
            if json.dumps(ours[name], sort_keys=True) != json.dumps(theirs.get(name), sort_keys=True):
                return index, name
    return None
