"""events: what a container uses, once or every few seconds, and when it runs out of memory.

A line of JSON each: {"type": "stats" or "oom", "id": ..., "data": ...}."""
import json
import sys
import time

from ...layer import LayerError
from ..cgroups.oom import Watch
from ..cgroups.stats import stats

UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}


def events(state, options):
    """Prints events until the container ends. options: "stats" (one line), "interval" ("5s")."""
    seconds = duration(options.get("interval") or "5s")
    if seconds <= 0:
        raise LayerError("events", "--interval", 0, "duration interval must be greater than 0")
    if state["status"] == "stopped":
        raise LayerError("events", f"container with id {state['id']} is not running", 0)
    groups = state["cgroups"]
    if options.get("stats"):
        say(state, "stats", stats(groups))
        return 0
    watch = Watch(groups)
    try:
        following(state, watch, seconds)
    except BrokenPipeError:
        pass  # nobody reads any more
    finally:
        watch.close()
    return 0


def following(state, watch, seconds):
    """Until the container's cgroup is empty or gone."""
    due = time.monotonic() + seconds
    while (times := watch.wait(due - time.monotonic())) is not None:
        for _ in range(times):
            say(state, "oom")
        if time.monotonic() >= due:
            due += seconds
            try:
                say(state, "stats", stats(state["cgroups"]))
            except FileNotFoundError:
                return  # it has just gone


def say(state, kind, data=None):
    event = {"type": kind, "id": state["id"]} | ({"data": data} if data else {})
    sys.stdout.write(json.dumps(event, separators=(",", ":")) + "\n")
    sys.stdout.flush()


def duration(text):
    """Seconds, from words such as 5s, 1m30s or 100ms; a number alone is refused, as by runc."""
    seconds, digits, rest = 0.0, "", text
    while rest:
        digits = rest[:len(rest) - len(rest.lstrip("0123456789."))]
        rest = rest[len(digits):]
        unit = next((unit for unit in ("ns", "us", "µs", "ms", "s", "m", "h")
                     if rest.startswith(unit)), None)
        if not unit or not digits.replace(".", "", 1).isdigit():
            raise LayerError("events", "--interval", 0, f"'{text}' is no time such as 5s or 1m30s")
        seconds += float(digits) * UNITS[unit]
        rest = rest[len(unit):]
    return seconds
