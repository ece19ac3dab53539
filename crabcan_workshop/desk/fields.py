"""`workshop fields`: what each field of config.json is for, and who acts on it (chapter 10)."""
import shutil
import sys
import textwrap

from crabcan_steps.oci.config import TABLE

COMMANDS = {"fields": "the fields of config.json, and which module acts on each"}


def add_arguments(name, parser):
    parser.add_argument("words", nargs="*", metavar="WORD",
                        help="only fields that have it in their path, or whose module is called so")


def main(options):
    """The command; 1 if there is no such field."""
    rows = [("field", "type", "done by", "what it is for"), *chosen(options.words)]
    if not rows[1:]:
        print(f"workshop: no field has {' and '.join(options.words)} in its path", file=sys.stderr)
        return 1
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    room = shutil.get_terminal_size().columns - sum(widths) - 6 if sys.stdout.isatty() else 0
    for row in rows:
        first = "  ".join(word.ljust(width) for word, width in zip(row, widths))
        lines = textwrap.wrap(row[3], room) if room > 20 else [row[3]]
        print(first, lines[0], sep="  ")
        for line in lines[1:]:
            print(" " * len(first), line, sep="  ")
    return 0


def chosen(words):
    """The rows of the table, as text, that have all these words."""
    return [(path, kind, by, does) for path, kind, _, by, does in TABLE
            if all(word.casefold() in path.casefold() or word == by for word in words)]
