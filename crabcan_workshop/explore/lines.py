"""Lines of `strace -f -ttt -T -y -X raw`, as calls: who made one, with which arguments, and when."""
import re
from typing import NamedTuple

HEAD = re.compile(r"(\d+) +(\d+\.\d+) (.*)")
BEGUN = re.compile(r"(\w+)\((.*?)(?:,? ?<unfinished \.\.\.>)?$", re.S)
RESUMED = re.compile(r"<\.\.\. (\w+) resumed>(.*)", re.S)
ENDED = re.compile(r"\+\+\+ (exited with|killed by) (\w+).*\+\+\+")
TAIL = re.compile(r"\)\s+= (\?|-?\w+)(?:<(.*?)>)?(?: /\* (\d+) in strace's PID NS \*/)?(?: (E\w+)? ?\(.*\))?(?: <(\d+\.\d+)>)?$", re.S)
NUMBER = re.compile(r"-?(?:0[xX][0-9a-fA-F]+|0[0-7]+|\d+)")
ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{2}|[0-7]{1,3}|.)", re.S)
LETTERS = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"v": b"\v", b"f": b"\f"}


class Call(NamedTuple):
    """One call, or the end of a process (name "exit"). Times in seconds."""
    pid: int
    begun: float
    name: str
    args: list
    result: object
    errno: str
    seconds: float


class File(int):
    """A descriptor, and where it leads (-y)."""
    path = ""


def calls(lines):
    """The calls of strace's lines, each when it has returned."""
    waiting = {}
    for line in lines:
        match = HEAD.match(line.rstrip("\n"))
        if not match:
            continue
        pid, at, text = int(match[1]), float(match[2]), match[3]
        if ended := ENDED.match(text):
            yield Call(pid, at, "exit", [ended[2]], None, "", 0.0)
        elif resumed := RESUMED.match(text):
            begun, head = waiting.pop(pid, (at, f"{resumed[1]}("))
            yield from one(pid, begun, head + resumed[2])
        elif text.endswith("<unfinished ...>"):
            waiting[pid] = at, text.removesuffix("<unfinished ...>").rstrip(" ")
        else:
            yield from one(pid, at, text)


def one(pid, at, text):
    """The call that a whole line tells of, or nothing."""
    tail = TAIL.search(text)
    head = re.match(r"(\w+)\(", text)
    if not tail or not head or tail[1] == "?":
        return
    args = list(values(text[head.end():tail.start()]))
    result = file(whole(tail[1]), tail[2]) if NUMBER.fullmatch(tail[1]) else tail[1]
    if tail[3]:
        result = int(tail[3])  # a process: by the number that everybody here knows
    yield Call(pid, at, head[1], args, result, tail[4] if result == -1 and tail[4] else "", float(tail[5] or 0))


def file(number, path):
    found = File(number)
    found.path = path or ""
    return found


def values(text):
    """The values of a list, separated by commas outside of quotes and brackets."""
    for word in split(text):
        word = word.strip()
        if word:
            yield value(word)


def split(text):
    """The parts between commas that stand outside of quotes and brackets."""
    depth, begin, at = 0, 0, 0
    while at < len(text):
        letter = text[at]
        if letter == '"':
            at = closing(text, at)
        elif letter in "{[(<":
            depth += 1
        elif letter in "}])" or letter == ">" and text[at - 1] != "=":
            depth -= 1
        elif letter == "," and depth == 0:
            yield text[begin:at]
            begin = at + 1
        at += 1
    yield text[begin:]


def closing(text, at):
    """Where a quoted text ends."""
    at += 1
    while at < len(text) and text[at] != '"':
        at += 2 if text[at] == "\\" else 1
    return at


def value(word):
    """A value as Python has it: a number, a text, None, a File, a list or a dict; else the word itself."""
    if word == "NULL":
        return None
    if word.startswith('"'):
        return unquoted(word[1:closing(word, 0)])
    if word.startswith("[") and word.endswith("]"):
        return list(values(word[1:-1]))
    if word.startswith("{") and word.endswith("}"):
        return dict(pair for part in split(word[1:-1]) if (pair := named(part.strip())))
    if match := re.match(r"(-?\d+)<(.*)>(?:\(deleted\))?$", word, re.S):
        return file(int(match[1]), match[2])
    if all(NUMBER.fullmatch(part) for part in word.split("|")):
        total = 0
        for part in word.split("|"):
            total |= whole(part)
        return total
    key = named(word)
    return key[1] if key else word


def named(part):
    """(key, value) of key=value, or None."""
    key, equals, rest = part.partition("=")
    return (key, value(rest)) if equals and key.isidentifier() else None


def whole(word):
    """A number; a leading zero is octal."""
    return int(word, 8) if re.fullmatch(r"0[0-7]+", word) else int(word, 0)


def unquoted(text):
    """A text without strace's escapes."""
    def letter(match):
        code = match[1]
        if code[:1] == b"x" and len(code) == 3:
            return bytes([int(code[1:], 16)])
        return bytes([int(code, 8) & 255]) if code.isdigit() else LETTERS.get(code, code)
    return ESCAPE.sub(letter, text.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")
