"""A file of JSON, as others wrote it: read once, never waited for, never believed to be small."""
import os
import stat

from . import quickjson
from .checks import Invalid

LARGEST = 16 << 20  # bytes; an engine's message to us holds no more
DEEPEST = 100       # objects and lists in each other; the specification needs ten


def load(path, streams=False):
    """Reads a file such as config.json; returns the object in it. Raises Invalid, OSError.

    streams: a pipe may be waited for, as whoever asks has named it: exec --process <(...)."""
    wait = 0 if streams else os.O_NONBLOCK  # in a bundle a FIFO may stand, to which nobody writes
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC | wait)
    except OSError as error:
        error.call = "open"
        raise
    try:
        kind = stat.S_IFMT(os.fstat(fd).st_mode)
        if kind != stat.S_IFREG and not (streams and kind in (stat.S_IFIFO, stat.S_IFCHR)):
            raise Invalid(f"{path}: is no regular file")
        with open(fd, "rb", closefd=False) as file:
            return parse(file.read(LARGEST + 1), path)
    finally:
        os.close(fd)


def parse(data, name="config.json"):
    """The object in some JSON, as bytes; what is null there is left out. Raises Invalid."""
    if len(data) > LARGEST:
        raise Invalid(f"{name}: more than {LARGEST >> 20} MiB")
    try:
        words = quickjson.loads(data.decode(), once)
    except UnicodeDecodeError as error:
        raise Invalid(f"{name}: byte {error.start} is not UTF-8") from None
    except ValueError as error:
        place = f"line {error.lineno} column {error.colno}: " if hasattr(error, "lineno") else ""
        why = "a number has thousands of digits" if "digits" in str(error) else getattr(error, "msg", error)
        raise Invalid(f"{name}: {place}{why}") from None
    except RecursionError:
        raise Invalid(f"{name}: nested too deep") from None
    if data.count(b"[") + data.count(b"{") > DEEPEST and deep([words]):
        raise Invalid(f"{name}: nested too deep")
    if type(words) is not dict:
        raise Invalid(f"{name}: must be an object, not {words!r:.60}")
    return words


def deep(level):
    """Tells whether there is more below than whoever comes after us could print."""
    for _ in range(DEEPEST):
        level = [item for items in level if type(items) in (list, dict)
                 for item in (items.values() if type(items) is dict else items)]
    return bool(level)


def once(pairs):
    """An object, if it says nothing twice: which of the two would count? null is as if not said."""
    words = dict(pairs)
    if len(words) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in words if names.count(name) > 1)
        raise Invalid(f"{twice!r:.60} is said twice in one object")
    if None not in words.values():
        return words
    return {name: value for name, value in pairs if value is not None}


def no_constant(word):
    raise Invalid(f"{word} is no number of JSON's")
