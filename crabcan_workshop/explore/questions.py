"""What one may ask of recordings: what if this had not happened, and what does the other do differently?"""
from collections import Counter

from .namespaces import FLAGS
from .properties import TESTS
from .reducer import fold

OF_LAYER = {"clone": ("pid",), "hostname": ("uts",), "mounts": ("mnt",),
            "namespaces": ("user", "ipc", "net", "cgroup", "time")}
TALK = ("begin", "execve", "send", "recv")  # without them there would be no container to speak of


def without(events, indices):
    """The same events, of which some have not happened. Their places stay, so that indices still count."""
    gone = set(indices)
    return [{**event, "skipped": True} if n in gone else event for n, event in enumerate(events)]


def without_layer(events, layer):
    """The same, without what a layer asked of the kernel: its calls, and its flags of clone3."""
    mine = sum(FLAGS[kind] for kind in OF_LAYER.get(layer, ()))
    left = []
    for event in events:
        if event["call"] == "clone3" and event["args"]:
            event = {**event, "args": [event["args"][0] & ~mine, *event["args"][1:]]}
        elif event["layer"] == layer and event["call"] not in TALK:
            event = {**event, "skipped": True}
        left.append(event)
    return left


def skip(events, indices):
    """{property: index of the event that had closed it} of those that fall open without some events."""
    return fallen(events, without(events, indices))


def skip_layer(events, layer):
    """The same for a layer."""
    return fallen(events, without_layer(events, layer))


def fallen(events, fewer):
    whole, rest = fold(events)["properties"], fold(fewer)["properties"]
    return {name: found["by"] for name, found in whole.items()
            if found["closed"] and not rest[name]["closed"]}


def compare(one, other):
    """What is different in the end: which event closes which property, and how often each calls what.

    {"properties": {name: (call or None, call or None)}, "calls": {call: (times, times)}}"""
    calls = [Counter(event["call"] for event in events if not event["errno"]) for events in (one, other)]
    closed = [closers(events) for events in (one, other)]
    return {"properties": {name: (closed[0][name], closed[1][name]) for name in TESTS
                           if (closed[0][name] is None) != (closed[1][name] is None)},
            "calls": {call: (calls[0][call], calls[1][call]) for call in sorted({*calls[0], *calls[1]})
                      if calls[0][call] != calls[1][call]}}


def closers(events):
    """{property: the call that closed it, or None if it is open in the end}."""
    found = fold(events)["properties"] or dict.fromkeys(TESTS, {"closed": False})
    return {name: events[now["by"]]["call"] if now["closed"] else None for name, now in found.items()}
