"""The explorer's exercise: the facts about a reducer. Its states are held to what the kernel says.

The recording is made here and now, outside of the room, of a container that stands still after each
event while /proc is read (explore/stepper.py). In the room the learner's reducer folds it, and says
each state; what is right is decided here.
"""
import functools
import json
import os
import sys
import tempfile

from ..explore import truth
from ..explore.filters import enriched
from ..explore.properties import TESTS
from ..explore.reducer import states
from .facts import Absent, Wrong, came_up, collector, must

FACTS, fact = collector()
OF_MOUNTS = ("mounts", "root", "cwd")
# A world in which mounts are shared, as systemd leaves them; for an ordinary user all of it is new.
WORLD = ["unshare", "--mount", "--propagation", "shared", *(
    () if os.geteuid() == 0 else ("--user", "--map-root-user", "--uts", "--net")), "--"]
FOLD = """
import json
from crabcan_workshop.explore.reducer import initial, reduce
with open("/tmp/events") as file:
    state, events, told, late = initial(), json.load(file), [], {late}
def tell(state, shown={{}}):
    now = {{(name, key): json.dumps(value) for name, part in state.items()
           for key, value in (part.items() if isinstance(part, dict) else [("", part)])}}
    say(json.dumps([[*where, text] for where, text in now.items() if shown.get(where) != text]
                   + [[*where, None] for where in shown if where not in now]))
    shown.clear()
    shown.update(now)
for event in events:
    state = reduce(state, event)
    told.append(state) if late else tell(state)
for state in told:
    tell(state)
"""


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


def folded(machine, events, late=False):
    """The states after each event, by the learner's reducer in the room. late: told when all is done."""
    machine.put("/tmp/events", json.dumps(events))
    answer = came_up(machine.script(FOLD.format(late=late)))
    told, parts = [], {}
    try:
        for line in answer.out.splitlines():
            for name, key, text in json.loads(line):
                parts.pop((name, key), None)
                if text is not None:
                    parts[name, key] = json.loads(text)
            told.append(built(parts))
    except (TypeError, ValueError, RecursionError):
        raise Wrong("a state is not plain JSON", "") from None
    must(len(told) == len(events), f"{len(told)} states of {len(events)} events", "")
    return told


def built(parts):
    state = {}
    for (name, key), value in parts.items():
        if key == "":
            state[name] = value
        else:
            state.setdefault(name, {})[key] = value
    return {**{name: {} for name in ("cgroups", "layers", "properties")}, **state}


def kernel(machine, chosen, why):
    """Raises Wrong at the first event after which the states and the kernel part."""
    run = recording(machine)
    told = folded(machine, events_of(machine))
    for index, side, what, ours, theirs in truth.differences(run, told):
        if chosen(what):
            event = run[index][0]
            raise Wrong(f"after event {index + 1}, the {event['side']}'s {event['call']}, of the {side}: {what}: "
                        f"{short(ours)}; the kernel says {short(theirs)}", why(event, what, ours, theirs))
    return f"{sum(len(seen) for _, seen in run)} looks at /proc"


def short(seen):
    text = " ".join(map(str, seen[0])) if isinstance(seen, list) and seen and isinstance(seen[0], tuple) else str(seen)
    return text[:120] or "nothing"


def first_other(one, other):
    """(index, slice) where two lists of states part, or None."""
    for index, (ours, theirs) in enumerate(zip(one, other)):
        for name in ours:
            if json.dumps(ours[name], sort_keys=True) != json.dumps(theirs.get(name), sort_keys=True):
                return index, name
    return None


@fact(1, "a state is never changed: the next one is made", "")
def pure(machine):
    events = events_of(machine)
    at = first_other(folded(machine, events), folded(machine, events, late=True))
    must(at is None, at and f"the state after event {at[0] + 1} is another when all is done: its {at[1]}",
         "it was changed by a later event: whoever kept it to step back has lost it. {**state, ...} makes a new one")
    return f"{len(events)} states, told at once and at the end"


@fact(1, "after each event, but for mounts, it is what the kernel says", "")
def deeds(machine):
    def why(event, *_):
        return "this call has failed (errno): the kernel has done nothing, and neither may the state" \
            if event["errno"] else ""
    return kernel(machine, lambda what: what not in OF_MOUNTS, why)


NONSENSE = [{"call": "frobnicate"}, {"call": "close", "args": ["x"]}, {"call": "sethostname", "args": [7]},
            {"call": "close", "args": None}, {"call": "close", "options": 3}, {"call": "close", "side": "nobody"},
            {"call": ["x"]}, {"call": "clone3", "args": [0x20000], "result": "?"}, {"call": "umask", "args": {}},
            {"call": "write", "args": ["/proc/self/uid_map", "0 0 99999999999999999999999\n"]}]


@fact(1, "an event that nobody knows changes nothing, and is counted", "")
def total(machine):
    real = events_of(machine)[:60]
    odd = [{**real[-1], **change} for change in NONSENSE]
    told = folded(machine, [*real, *odd])
    ours = list(states([*real, *odd]))[1:]
    for state, right, event in zip(told[len(real) - 1:], ours[len(real) - 1:], [real[-1], *odd]):
        for name in right:
            must(state.get(name) == right[name], f"{name} after {json.dumps(event)[:120]}",
                 "an event that makes no sense leaves all as it was, but for `unknown` and `events`, which count")
    return f"{len(odd)} of no sense, among {len(real)} real ones"


@fact(1, "who failed, what was left out, which layer stands: counted as they are", "")
def counted(machine):
    events = events_of(machine)
    events = [{**event, "skipped": True} if n % 7 == 6 else event for n, event in enumerate(events)]
    told, right = folded(machine, events)[-1], list(states(events))[-1]
    for name, why in (("events", "each event counts, whatever it is"),
                      ("failed", "an event with an errno is counted as failed, unless it is left out"),
                      ("unknown", "what is left out (skipped) has not happened: it is not even unknown"),
                      ("layers", "a layer stands from its first call that worked; close, send and recv say nothing")):
        must(told.get(name) == right[name], f"{name}: {str(told.get(name))[:100]}", f"{why}: {str(right[name])[:100]}")
    open_ = [name for name in TESTS if told.get("properties", {}).get(name) != right["properties"][name]]
    must(not open_, f"closed otherwise: {', '.join(open_)}", "after each event the walls are looked at again: judged()")
    return f"{told['failed']} failed, {told['events']} in all"


@fact(2, "after each event the tree of mounts is the kernel's", "")
def trees(machine):
    def why(event, what, ours, theirs):
        if event["errno"]:
            return "this call has failed (errno): the kernel has done nothing"
        return REASONS.get(event["call"], functools.partial(str, ""))(what, ours, theirs)
    return kernel(machine, lambda what: what in OF_MOUNTS, why)


def of_setattr(what, ours, theirs):
    pairs = list(zip(ours, theirs)) if what == "mounts" else []
    if any(one[5] != other[5] for one, other in pairs):
        return "propagation: each mount of the subtree gets it where AT_RECURSIVE is among the flags"
    return "attributes that are set, and those that are cleared; the others stay"


REASONS = {"mount_setattr": of_setattr,
           "pivot_root": lambda *_: "the new root takes the old one's place, the old one hangs in the new, and whoever "
                                    "stood in the old root stands in the new one",
           "umount2": lambda *_: "the uppermost mount there goes, with all that hangs from it"}


@fact(2, "and with some calls left out it is what ours says", "")
def without(machine):
    events = events_of(machine)
    for number in 5, 9:
        fewer = [{**event, "skipped": True} if n % number == number - 1 else event for n, event in enumerate(events)]
        at = first_other(folded(machine, fewer), list(states(fewer))[1:])
        must(at is None, at and f"{at[1]} after event {at[0] + 1}, {fewer[at[0]]['call']}, if each {number}th had not been",
             "")
    return "every 5th, every 9th"


@fact(2, "what the kernel would refuse is refused", "")
def refused(machine):
    begin = events_of(machine)[0]
    call = {**begin, "side": "parent", "layer": "mounts", "options": {}, "result": None, "errno": 0}
    new = [("mount", [name, place, "tmpfs", 0, None]) for name, place in (("x", "/a"), ("y", "/a/b"), ("z", "/c"), ("w", "/c/d"))]
    tries = [("unshare", [0x20000]), *new, ("pivot_root", ["/c", "/c/d"]), ("unshare", [0x20000]), ("umount2", ["/d", 2]),
             ("umount2", ["/no/mount", 2]), ("umount2", ["/", 2]), ("pivot_root", ["/no", "/no"]), ("pivot_root", ["/", "/"]),
             *new, ("umount2", ["/a/x", 2]), ("mount_setattr", ["/c", 0, 1, 1 << 19]), ("mount_setattr", ["/c", 0, 0, 7]),
             ("mount_setattr", ["/a", 0, 1 << 20]), ("mount_setattr", ["/", 0x8000, 2]), ("open", ["/a", 0]),
             ("pivot_root", ["/a/b", "/c"]), ("chroot", ["/c"]), ("chdir", ["/"]),
             ("pivot_root", ["/proc/self/fd/9", "/proc/self/fd/9/b"]), ("pivot_root", ["/d", "/d"]), ("umount2", [".", 2]),
             ("chroot", ["/proc/self/fd/9"]), ("umount2", ["/b", 8]), ("umount2", ["/proc/self/fd/9", 2])]
    made = [begin, *({**call, "call": name, "args": args, "result": 9} for name, args in tries)]
    made += [{**call, "call": "mount_setattr", "args": ["/", 0], "options": {"attr_clr": 1, "propagation": 1 << 18}}]
    told, right = folded(machine, made), list(states(made))[1:]
    for event, state, ours in zip(made, told, right):
        if first_other([state], [ours]):
            must(False, f"{event['call']}{tuple(event['args'])}", "refused: it makes no sense there, so raise Unknown"
                 if state["unknown"] < ours["unknown"] else "")
    return f"{right[-1]['unknown']} of {len(made)}"
