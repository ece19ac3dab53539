"""State that is never changed: each step makes a new one, and shares with the old what is the same."""


class Unknown(ValueError):
    """An event that makes no sense here: the state stays as it was."""


def put(state, *path):
    """A state with another value at a path: put(state, "processes", "child", "umask", 18)."""
    key, *rest = path
    value = rest[0] if len(rest) == 1 else put(state.get(key, {}), *rest)
    return {**state, key: value}


def drop(state, *path):
    """A state without what stood at a path."""
    key, *rest = path
    if rest:
        return {**state, key: drop(state[key], *rest)}
    return {k: v for k, v in state.items() if k != key}


def number(value):
    """A whole number of an event. Raises Unknown if it is none."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise Unknown(f"no number: {value!r}")


def text(value):
    """A text of an event. Raises Unknown if it is none."""
    if isinstance(value, str):
        return value
    raise Unknown(f"no text: {value!r}")


def numbers(values):
    """A list of whole numbers."""
    if isinstance(values, (list, tuple)):
        return [number(value) for value in values]
    raise Unknown(f"no list: {values!r}")


def arg(event, place, default=None):
    """An argument of a call, by its place."""
    args = event["args"]
    return args[place] if place < len(args) else default


def option(event, name, place=None, default=None):
    """An argument that was given by name, or else by its place."""
    if name in event["options"]:
        return event["options"][name]
    return arg(event, place, default) if place is not None else default


def new_id(things, prefix=""):
    """The next free id among things: "mnt:3", or "17"."""
    used = [int(name.removeprefix(prefix)) for name in things
            if name.startswith(prefix) and name.removeprefix(prefix).isdigit()]
    return f"{prefix}{max(used, default=-1) + 1}"
