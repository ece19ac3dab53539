"""config.json, held against the table of its fields. What it must mean, checks.py looks at.

An error names the place: `linux.namespaces[2].type: 'netwrok' is none of cgroup, ipc, ...`. Fields
that are in no table are let be, as the specification wants it.
"""
from . import checks, checks_linux, fields, fields_linux, fields_resources
from .checks import Invalid, refuse  # noqa: F401: Invalid, for those who call us
from .reading import load, parse  # noqa: F401

RANGES = {"uint16": range(1 << 16), "uint32": range(1 << 32), "uint64": range(1 << 64),
          "int32": range(-1 << 31, 1 << 31), "int64": range(-1 << 63, 1 << 63)}
NOUNS = {"string": "a string", "text": "a string", "absolute": "an absolute path",
         "bool": "true or false", "object": "an object", **dict.fromkeys(RANGES, "a whole number")}
TABLE = fields.FIELDS + fields_linux.FIELDS + fields_resources.FIELDS
SHAPES = {}    # path of an object -> name of a field -> (type, of what, allowed values, path)
REQUIRED = {}  # path of an object -> names that may not be missing
NOBODYS = set()  # paths of what we do not do
for path, kind, allowed, by, _ in TABLE:
    above, _, name = path.rpartition(".")
    outer, _, inner = kind.rstrip("!").rpartition(" of ")
    below = path + {"": "", "list": "[]", "map": ".*"}[outer]
    SHAPES.setdefault(above, {})[name] = outer, inner, allowed, below
    if kind.endswith("!"):
        REQUIRED.setdefault(above, []).append(name)
    if by == fields.NOBODY:
        NOBODYS.add(path)


def check(config, startable=True):
    """Checks a whole configuration; returns warnings, a line each. Raises Invalid.

    To be created a container needs no `process` yet; to be startable it does."""
    walk("", config, "")
    if startable and config.get("process") is None:
        refuse("process", "is missing")
    spaces, warnings = checks.everything(config)
    linux = config.get("linux") or {}
    checks_linux.everything(linux, spaces, config)
    for name, value in linux.items():
        if value and f"linux.{name}" in NOBODYS:
            refuse(f"linux.{name}", "is known, but nothing here acts on it")
    return warnings


def check_process(process):
    """Checks what is the `process` of a configuration, for `exec`. Raises Invalid."""
    one("object", None, "process", process, "process")
    checks.process(process)


def check_resources(resources):
    """Checks what is the `linux.resources` of a configuration, for `update`. Raises Invalid."""
    one("object", None, "linux.resources", resources, "linux.resources")
    checks_linux.resources(resources, "linux.resources")


def walk(shape, words, at):
    """Checks an object: each field that the table knows, and whether one is missing."""
    known = SHAPES.get(shape, {})
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
                one(inner, allowed, below, item, place, i)
        elif outer == "map":
            if type(value) is not dict:
                refuse(place, f"must be an object, not {value!r:.60}")
            for key, item in value.items():
                one("string", None, below, key, place)
                one(inner, allowed, below, item, f"{place}.{key}")
        else:
            one(inner, allowed, below, value, place, optional=name not in REQUIRED.get(shape, ()))
    for name in REQUIRED.get(shape, ()):
        if words.get(name) is None:
            refuse(prefix + name, "is missing")


def one(kind, allowed, shape, value, at, index=None, optional=False):
    """Checks a single value; `index` if it is one of a list's. "" may be as if not said."""
    if index is not None and (kind == "object" or not type(value) is str):
        at, index = f"{at}[{index}]", None
    if kind == "object":
        return walk(shape, value, at) if type(value) is dict else refuse(at, must(kind, value))
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
