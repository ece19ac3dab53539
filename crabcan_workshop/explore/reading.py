"""A recording that comes from a file: looked through before anything is made of it, event by event.

Whatever a file says is data. The page looks at what is dropped on it by the same rules (page/files.js).
"""
import json
import math

FORMAT = 1  # of the recordings that we know; `begin` of a later one says so


class Broken(ValueError):
    """Something in a file is no recording: what, and where, in one line."""


def parse(lines, name="it"):
    """The events of lines of JSON; a last line without its end is left out. Raises Broken."""
    lines = lines[:-1] if cut(lines) else lines
    events = [complete(event, f"{name}, line {number}") for number, line in enumerate(lines, 1)
              if line.strip("\ufeff \t\r\n") for event in [one(line, f"{name}, line {number}")]]
    if not events:
        raise Broken(f"{name} is empty: a recording has a JSON object on each line (crabcan run --trace FILE)")
    form = next((event["options"].get("format") for event in events if event["call"] == "begin"), FORMAT)
    if isinstance(form, int) and form > FORMAT:
        raise Broken(f"{name} is of form {form}, and this explorer knows {FORMAT}: a newer one reads it")
    return events


def cut(lines):
    """Tells whether the last of several lines has no end: whoever wrote it was stopped."""
    return len(lines) > 1 and bool(lines[-1].strip()) and not lines[-1].rstrip().endswith("}")


def one(line, where):
    """A line's value, of which JSON can say all again."""
    try:
        return json.loads(line.strip("\ufeff \t\r\n"), parse_constant=refuse, parse_float=finite)
    except RecursionError:
        raise Broken(f"{where}: nested deeper than any event") from None
    except ValueError:
        raise Broken(f"{where}: no JSON. Is it a recording (crabcan run --trace FILE), and all of it?") from None


def refuse(word):
    raise ValueError(word)


def finite(word):
    number = float(word)
    return number if math.isfinite(number) else refuse(word)


def complete(event, where):
    """An event with every key that is counted on, each of its kind."""
    if not isinstance(event, dict) or not isinstance(event.get("call"), str):
        raise Broken(f'{where}: it names no "call", so it is no event')
    given = {"side": (str, "parent"), "layer": (str, ""), "args": (list, []), "options": (dict, {})}
    words = {key: event[key] if isinstance(event.get(key), kind) else other for key, (kind, other) in given.items()}
    numbers = {key: event[key] if number(event.get(key)) else 0
               for key in ("chapter", "errno", "microseconds", "at")}
    return {"result": None, **event, **words, **numbers, "side": words["side"] or "parent"}


def number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1 << 62
