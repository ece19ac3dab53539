"""The words of the command `workshop`: its sub-commands, in one table, and how it is called here.

The table is commands.txt, which ./workshop prints as it is. As a program, this one tells which
sub-command a misspelt one might mean: it needs nothing but Python itself.
"""
import argparse
import difflib
import os
import re
import sys

TABLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "commands.txt")
LINE = re.compile(r"  ([a-z]+)( \S.*?|)  +(\S.*)")
NAME = os.environ.get("CRABCAN_CALLED", "workshop")  # what was typed: from a clone, ./workshop


def table():
    """{sub-command: (its arguments, what it does)}, in order."""
    with open(TABLE, encoding="utf-8") as file:
        found = filter(None, map(LINE.fullmatch, file.read().splitlines()))
    return {name: (arguments.strip(), text) for name, arguments, text in map(re.Match.groups, found)}


COMMANDS = table()
MENTIONED = re.compile(rf"(?<![\w./-])workshop (?={'|'.join(COMMANDS)}\b)")


def typed(text):
    """The text with its `workshop COMMAND` as the reader has to type it here."""
    return MENTIONED.sub(lambda _: f"{NAME} ", text)


def meant(word, known):
    """": did you mean ...?", or nothing."""
    plain = {one.lstrip("-"): one for one in known}
    near = difflib.get_close_matches(word.lstrip("-"), plain, 1)
    return f": did you mean {plain[near[0]]}?" if near else ""


class Parser(argparse.ArgumentParser):
    """argparse, with errors of one line and a suggestion for a misspelt option."""

    def __init__(self, **words):
        super().__init__(**{"allow_abbrev": False} | words)

    @classmethod
    def of(cls, name):
        """That of one sub-command, which has no arguments yet."""
        return cls(prog=f"{NAME} {name}", description=COMMANDS[name][1])

    def format_help(self):
        return typed(super().format_help())

    def error(self, message):
        if message.startswith("unrecognized arguments: "):
            first = message.removeprefix("unrecognized arguments: ").split()[0]
            known = [option for action in self._actions for option in action.option_strings]
            what = "unknown option" if first.startswith("-") else "one word too many:"
            message = f"{what} {first}{meant(first.partition('=')[0], known)}"
        self.exit(2, f"workshop: {self.prog.split()[-1]}: {message} (see {self.prog} --help)\n")


if __name__ == "__main__":
    print(meant(sys.argv[1], COMMANDS))
