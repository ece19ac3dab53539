"""The explorer's exercise: the facts about a reducer. Its states are held to what the kernel says."""
import functools
import json

from ..explore import truth
from ..explore.properties import TESTS
from ..explore.reducer import states
from .facts import Wrong, collector, must
from .folding import events_of, first_other, folded, recording

FACTS, fact = collector()
OF_MOUNTS = ("mounts", "root", "cwd")


def kernel(machine, chosen, why):
    """Raises Wrong at the first event after which the states and the kernel part."""
    run = recording(machine)
    told, right = folded(machine, events_of(machine)), list(states(events_of(machine)))[1:]
    for index, side, what, ours, theirs in truth.differences(run, told):
        if chosen(what):
            event = run[index][0]
            known = event["errno"] or told[index].get("unknown") == right[index]["unknown"]
            must(known, f"event {index + 1}, {event['call']}, is not "
                 "known", "something is raised for it, so it counts as unknown; not each event has all keys (`skipped`)")
            raise Wrong(f"after event {index + 1}, the {event['side']}'s {event['call']}, of the {side}: {what}: "
                        f"{short(ours)}; the kernel says {short(theirs)}", why(event, what, ours, theirs))
    return f"{sum(len(seen) for _, seen in run)} looks at /proc"


def short(seen):
    text = " ".join(map(str, seen[0])) if isinstance(seen, list) and seen and isinstance(seen[0], tuple) else str(seen)
    return text[:120] or "nothing"


@fact(1, "a state is never changed: the next one is made", "")
def pure(machine):
    events = events_of(machine)
    once, again, late = (folded(machine, events, when) for when in ("", "again", "late"))
    at = first_other(once, again)
    must(at is None, at and f"the state after event {at[0] + 1} is another when all is folded once more: its {at[1]}",
         "a state and an event make the same next state each time: nothing else has a say, no clock and no counter")
    at = first_other(once, late)
    must(at is None, at and f"the state after event {at[0] + 1} is another when all is done: its {at[1]}",
         "it was changed by a later event: whoever kept it to step back has lost it. {**state, ...} makes a new one")
    return f"{len(events)} states, told at once, at the end, and of a second time"


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
    last = len(real) - 1
    for state, right, event in zip(told[last + 1:], ours[last + 1:], odd):
        for name in {**state, **right}:
            wanted = right.get(name)
            if wanted == ours[last].get(name):  # what it was to them before, right or wrong
                wanted = told[last].get(name)
            must(state.get(name) == wanted, f"{name} after {json.dumps(event)[:120]}",
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
           "umount2": lambda *_: "the uppermost mount there goes, with all that hangs from it; and "
                                  "what nobody holds any more is forgotten"}


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
    made += [{**call, "call": "mount_setattr", "args": ["/", 0], "options": {"attr_clr": 2, "propagation": 1 << 18}}]
    both = [("clone", [0]), ("mount", ["v", "/e", "tmpfs", 0, None]), ("pivot_root", ["/e", "/e/f"])]  # they share all
    made += [{**call, "call": name, "args": args, "result": 9, **({"makes": "child"} if name == "clone" else {})}
             for name, args in both]
    told, right = folded(machine, made), list(states(made))[1:]
    for event, state, ours in zip(made, told, right):
        if first_other([state], [ours]):
            why = REASONS.get(event["call"], lambda *_: "")("", (), ())
            must(False, f"{event['side']}: {event['call']}{tuple(event['args'])}", "refused: it makes no sense there, so "
                 "raise Unknown" if state["unknown"] < ours["unknown"] else why)
    return f"{right[-1]['unknown']} of {len(made)}"
