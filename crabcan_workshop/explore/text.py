"""The explorer as text: for a terminal, a pipe, and whoever has it read aloud."""
from .questions import OF_LAYER, without, without_layer
from .properties import TESTS
from .reducer import fold

WIDTH = 30


class NothingToLeaveOut(Exception):
    """A recording has no such event: which words would have been possible."""


def fewer(events, word):
    """A recording without what a word names: an event by its number (from 1), a call, or a layer."""
    layers = {event["layer"] for event in events} - {""} | OF_LAYER.keys() & {"clone"}
    if word in layers:
        return without_layer(events, word)
    if word.isdigit() and 0 < int(word) <= len(events):
        return without(events, [int(word) - 1])
    found = [n for n, event in enumerate(events) if event["call"] == word]
    if not found:
        raise NothingToLeaveOut(f"no event {word}: a number up to {len(events)}, a call, or a layer "
                                f"({', '.join(sorted(layers))})")
    return without(events, found)


def table(recordings):
    """Which event closes which property, a column for each (name, a word about it, events)."""
    columns = [(name, closings(events)) for name, _, events in recordings]
    rows = [["", *(name for name, _ in columns)]]
    for name in columns[0][1]:
        rows.append([name, *(cells[name] for _, cells in columns)])
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def closings(events):
    """{property: the event that closed it, as a cell}."""
    found = fold(events)["properties"] or dict.fromkeys(TESTS, {"closed": False})
    return {name: cell(events, now) for name, now in found.items()}


def cell(events, now):
    if not now["closed"]:
        return "open"
    event = events[now["by"]]
    text = f"#{now['by'] + 1:<4}{event['side']} {event['call']}"
    return "".join(c if c.isprintable() else "?" for c in text)[:WIDTH]
