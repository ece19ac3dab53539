"""Whether a value has the form that a table of fields gives it (fields.py).

An error names the place: `linux.namespaces[2].type: 'netwrok' is none of cgroup, ipc, ...`. Fields
that are in no table are let be, as the specification wants it.
"""
from .checks import refuse

RANGES = {"uint16": range(1 << 16), "uint32": range(1 << 32), "uint64": range(1 << 64),
          "int32": range(-1 << 31, 1 << 31), "int64": range(-1 << 63, 1 << 63)}
NOUNS = {"string": "a string", "text": "a string", "absolute": "an absolute path",
         "bool": "true or false", "object": "an object", **dict.fromkeys(RANGES, "a whole number")}


class Form:
    """A table, sorted by objects."""

    def __init__(self, table):
        self.shapes = {}    # path of an object -> name of a field -> (type, of what, allowed values, path)
        self.required = {}  # path of an object -> names that may not be missing
        for path, kind, allowed, _, _ in table:
            above, _, name = path.rpartition(".")
            outer, _, inner = kind.rstrip("!").rpartition(" of ")
            below = path + {"": "", "list": "[]", "map": ".*"}[outer]
            self.shapes.setdefault(above, {})[name] = outer, inner, allowed, below
            if kind.endswith("!"):
                self.required.setdefault(above, []).append(name)

    def walk(self, shape, words, at):
        """Checks an object: each field that the table knows, and whether one is missing."""
        known = self.shapes.get(shape, {})
        prefix = f"{at}." if at else ""
        for name, value in words.items():
            field = known.get(name)
            if field is None or value is None:
                continue
            outer, inner, allowed, below = field
            place = prefix + name
            if outer == "list":
                if type(value) is not list:
                    refuse(place, f"must be a list, not {value!r:.60}")
                for i, item in enumerate(value):
                    self.one(inner, allowed, below, item, place, i)
            elif outer == "map":
                if type(value) is not dict:
                    refuse(place, f"must be an object, not {value!r:.60}")
                for key, item in value.items():
                    self.one("string", None, below, key, place)
                    self.one(inner, allowed, below, item, f"{place}.{key}")
            else:
                optional = name not in self.required.get(shape, ())
                self.one(inner, allowed, below, value, place, optional=optional)
        for name in self.required.get(shape, ()):
            if words.get(name) is None:
                refuse(prefix + name, "is missing")

    def one(self, kind, allowed, shape, value, at, index=None, optional=False):
        """Checks a single value; `index` if it is one of a list's. "" may be as if not said."""
        if index is not None and (kind == "object" or not type(value) is str):
            at, index = f"{at}[{index}]", None
        if kind == "object":
            return self.walk(shape, value, at) if type(value) is dict else refuse(at, must(kind, value))
        if kind == "bool":
            return type(value) is bool or refuse(at, must(kind, value))
        if kind in RANGES:
            whole = RANGES[kind] if allowed is None else allowed
            if type(value) is not int or value not in whole:  # True is an int to isinstance
                refuse(at, must(f"{NOUNS[kind]} from {whole[0]} to {whole[-1]}", value))
            return None
        problem = string(kind, allowed, value, optional)
        return problem and refuse(at if index is None else f"{at}[{index}]", problem)


def string(kind, allowed, value, optional):
    """What is wrong with what should be a string; None if nothing is."""
    if type(value) is not str:
        return must(kind, value)
    if not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
        return f"{value!r:.60} has half a character, which is not UTF-8"
    if "\0" in value and kind != "text":  # C would read only as far as that
        return f"{value!r:.60} contains NUL"
    if kind == "absolute" and not value.startswith("/"):
        return must(kind, value)
    if allowed is not None and value not in allowed and (value or not optional):
        names = f"none of {', '.join(allowed)}" if allowed else "not known: there is none"
        return f"{value!r:.60} is {names}"
    return None


def must(kind, value):
    return f"must be {NOUNS.get(kind, kind)}, not {value!r:.60}"
