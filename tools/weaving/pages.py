"""A Markdown page: the comments that ask for something, and the fenced blocks below them."""
import difflib
import os
import re
import shutil
import tempfile

from . import Problem

FENCE = re.compile(r"([ >]*)(`{3,}|~{3,})([^`]*)$")
COMMENT = re.compile(r"([ >]*)<!--(.*)", re.S)
REQUEST = re.compile(r"\s*(quote|run)\b([^:\n]*):(.*)", re.S)
RUN_OPTION = re.compile(r"exit (\d{1,3})|user|bare|world|needs (cgroup v2|[\w-]+(?: [\w-]+)*)")


class Block:
    """One fenced block that the tool fills, and the request above it."""

    def __init__(self, where, kind, options, body, indent):
        self.where, self.kind, self.options = where, kind, options
        self.body = body       # a reference, or a list of commands
        self.indent = indent   # of the fence: blocks may stand in lists and notes
        self.source = None     # of a quote: (module, first line, last line)

    def __repr__(self):
        return f"{self.where} ({self.kind})"


class Page:
    """A file, its blocks in order, and what is wrong with it."""

    def __init__(self, path, name):
        self.path, self.name = path, name
        self.blocks, self.problems = [], []
        try:
            with open(path, encoding="utf-8", newline="") as file:
                self.lines = file.read().split("\n")
        except (OSError, UnicodeDecodeError) as error:
            self.lines = []
            self.problems.append(Problem(name, getattr(error, "strerror", None) or "is not UTF-8"))
        number = 0
        while number < len(self.lines):
            try:
                number = self.step(number)
            except Problem as problem:
                self.problems.append(problem)
                number += 1

    def where(self, number):
        return f"{self.name}:{number + 1}"

    def step(self, number):
        """Reads what begins in a line; returns the number of the line after it."""
        if FENCE.match(self.lines[number]):
            return self.fence_end(number) + 1
        comment = COMMENT.match(self.lines[number])
        if not comment:
            return number + 1
        last = number
        while "-->" not in self.lines[last]:
            last += 1
            if last == len(self.lines):
                raise Problem(self.where(number), "this comment has no end (-->)")
        text = "\n".join([comment[2], *self.lines[number + 1:last + 1]])
        inner, _, rest = text.rpartition("-->")
        word = re.match(r"\s*(\w*)", inner)[1]
        below = FENCE.match(self.lines[last + 1]) if last + 1 < len(self.lines) else None
        if word.lower() not in ("quote", "run"):
            likely = difflib.get_close_matches(word.lower(), ("quote", "run"), cutoff=0.7)
            if below and likely:
                raise Problem(self.where(number), f"'{word}': did you mean {likely[0]}?")
            return last + 1
        block = self.request(number, inner, comment[1])
        if rest.strip():
            raise Problem(self.where(number), f"text after the comment: {rest.strip()}")
        if not below or below[1] != comment[1]:
            raise Problem(self.where(number), f"a {block.kind} needs a fenced block (```) in the "
                                              "line below it, as far from the margin")
        end = self.fence_end(last + 1)
        block.first, block.end, block.fence = last + 2, end, below[2]
        block.old = [line.removeprefix(block.indent) if line.strip() else ""
                     for line in self.lines[block.first:end]]
        self.blocks.append(block)
        return end + 1

    def fence_end(self, number):
        """The line that closes the fence of a line."""
        fence = FENCE.match(self.lines[number])[2]
        for end in range(number + 1, len(self.lines)):
            line = self.lines[end].strip(" >\r")
            if len(line) >= len(fence) and set(line) == {fence[0]}:
                return end
        self.lines = self.lines[:number]  # what follows is anybody's guess
        raise Problem(self.where(number), f"this fence ({fence}) is never closed")

    def request(self, number, text, indent):
        """Makes a Block of a comment's text."""
        where = self.where(number)
        match = REQUEST.fullmatch(text)
        if not match:
            raise Problem(where, "must be `quote: MODULE.py::NAME` or `run: COMMAND`, with a colon")
        kind, said, body = match[1], match[2].strip(), match[3].strip()
        if kind == "quote":
            if said:
                raise Problem(where, f"unknown option '{said}': quote knows none")
            return Block(where, kind, {}, body, indent)
        options = {}
        words = said[1:-1].split(",") if said[:1] == "(" and said[-1:] == ")" else [said]
        for word in filter(None, map(str.strip, words if said else ())):
            option = RUN_OPTION.fullmatch(word) if said[0] == "(" else None
            if not option:
                raise Problem(where, f"unknown option '{word}': run knows (exit N), (user), (world), "
                                     "(bare), (needs cgroup v2) or (needs PROGRAM ...); separate them by commas")
            options[word.split()[0]] = int(option[1]) if option[1] else option[2] or True
        commands = [c.strip() for c in re.split(r"(?<!\\)\n", body) if c.strip()]
        if not commands:
            raise Problem(where, "run names no command")
        return Block(where, kind, options, commands, indent)

    def write(self, texts):
        """Puts new lines into blocks; the file is the old one or the new one, never half of it."""
        lines = list(self.lines)
        for block in reversed(self.blocks):
            if block in texts:
                new = [block.indent + line if line else block.indent.rstrip()
                       for line in texts[block]]
                lines[block.first:block.end] = new
        path = os.path.realpath(self.path)
        owner = os.stat(path)
        fd, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".weave-")
        try:
            with open(fd, "w", encoding="utf-8", newline="") as file:
                file.write("\n".join(lines))
            shutil.copymode(path, temporary)
            os.chown(temporary, owner.st_uid, owner.st_gid)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise


def check_fence(block, lines):
    """Refuses a text that would close its own fence."""
    if any(line.strip().startswith(block.fence) for line in lines):
        raise Problem(block.where, f"the text itself has a line that begins with {block.fence}: "
                                   f"use a longer fence ({block.fence}{block.fence[0]})")
