"""JSON, read and written by what the json module is made of.

That compiles regular expressions first, for its messages: 5 ms, half of what `start` may take. What
does the work is in C (_json), and it loads the rest itself when there is an error to tell.
"""
import _json

BLANKS = " \t\r\n"


class Reading:
    """What the scanner asks for (json.JSONDecoder has the same names)."""
    strict, object_hook, object_pairs_hook = True, None, None
    parse_float, parse_int = float, int
    memo = {}

    def parse_constant(self, word):
        """NaN and Infinity, which Python lets through."""
        raise ValueError(f"{word} is no number")


def loads(text, pairs=None):
    """The value of a text. Raises ValueError; RecursionError if it is nested too deep."""
    if isinstance(text, bytes):
        text = text.decode()
    reading = Reading()
    reading.object_pairs_hook = pairs
    begin = len(text) - len(text.lstrip(BLANKS))
    try:
        value, end = _json.make_scanner(reading)(text, begin)
    except StopIteration as error:
        raise misread("Expecting value", text, error.value) from None
    if text[end:].strip(BLANKS):
        raise misread("Extra data", text, end + len(text[end:]) - len(text[end:].lstrip(BLANKS)))
    return value


def misread(message, text, place):
    """An error as the json module has them: with a line and a column."""
    error = ValueError(message)
    error.msg, error.lineno = message, text.count("\n", 0, place) + 1
    error.colno = place - text.rfind("\n", 0, place)
    return error


def load(file):
    """The value of what a file holds."""
    return loads(file.read())


def dumps(value, comma=", ", colon=": "):
    """The text of a value."""
    encoder = _json.make_encoder({}, refuse, _json.encode_basestring_ascii, None, colon, comma,
                                 False, False, True)
    return "".join(encoder(value, 0))


def refuse(value):
    raise TypeError(f"{type(value).__name__} is nothing that JSON can say")
