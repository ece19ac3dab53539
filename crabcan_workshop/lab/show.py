"""How things look: as HTML in a notebook, as text everywhere else.

Styles stand at each element, so that a page made of a notebook shows them too, and no colour says
anything that a word or a sign does not say.
"""
import html
import re
import sys

from ..measure.matrix import CHAPTERS

NAMES = CHAPTERS[1:]
MONO = "font-family:monospace;white-space:pre-wrap;overflow-wrap:break-word;margin:.2em 0"
HIDDEN = "position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)"
CELL = "border:1px solid #8886;padding:.15em .5em;text-align:left;vertical-align:top"


class Text(str):
    """A text that shows itself as it is, not in quotes."""

    def __repr__(self):
        return str(self).rstrip("\n")


class Table:
    """Rows under headings; the first word of each row is its name."""

    def __init__(self, caption, columns, rows):
        self.caption, self.columns, self.rows = caption, columns, [list(row) for row in rows]

    def __repr__(self):
        lines = [[str(word) for word in row] for row in [self.columns, *self.rows]]
        widths = [max(map(len, column)) for column in zip(*lines)]
        rows = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]
        return "\n".join([self.caption, *rows])

    def _repr_html_(self):
        head = "".join(f'<th scope="col" style="{CELL}">{escape(word)}</th>'
                       for word in self.columns)
        body = ""
        for name, *words in self.rows:
            cells = "".join(f'<td style="{CELL};{MONO}">{escape(word)}</td>' for word in words)
            body += f'<tr><th scope="row" style="{CELL}">{escape(name)}</th>{cells}</tr>'
        return scroll(f"{table(self.caption)}<thead><tr>{head}</tr></thead>"
                      f"<tbody>{body}</tbody></table>", self.caption)


def escape(value):
    return html.escape(str(value))


def table(caption):
    return (f'<table style="border-collapse:collapse"><caption style="text-align:left;'
            f'caption-side:top">{escape(caption)}</caption>')


def scroll(inner, label):
    """A box that scrolls if what is in it is large, by keyboard too."""
    return (f'<div tabindex="0" role="region" aria-label="{escape(label)}" '
            f'style="max-height:34em;overflow:auto">{inner}</div>')


def pre(text):
    return f'<pre style="{MONO}">{escape(text.rstrip())}</pre>'


def box(text, colour, word):
    """A framed line or two, with a word that says what kind of line it is; `so` is code."""
    text = re.sub("`([^`]+)`", r"<code>\1</code>", escape(text))
    return (f'<div role="note" style="border:2px solid {colour};border-radius:4px;'
            f'padding:.3em .7em;margin:.3em 0;max-width:60em">'
            f'<strong>{escape(word)}</strong> {text}</div>')


def badges(lit):
    """The nine layers in a row: those that stand are ticked, the others struck out."""
    items = ""
    for number, name in enumerate(NAMES, 1):
        on = name in lit
        look = ("background:#1b5e20;color:#fff;border-color:#1b5e20" if on else
                "color:inherit;opacity:.65;text-decoration:line-through")
        items += (f'<li style="display:inline-block;border:1px solid #888;border-radius:3px;'
                  f'padding:0 .4em;margin:0 .25em .2em 0;font-size:85%;{look}">'
                  f'{"✓ " if on else ""}{number} {name}'
                  f'<span style="{HIDDEN}">{" on" if on else " off"}</span></li>')
    return f'<ul aria-label="layers" style="list-style:none;padding:0;margin:0">{items}</ul>'


class Progress:
    """One line that tells how far a longer work has come."""

    def __init__(self, text):
        self.handle = None
        if "ipykernel" in sys.modules:
            from IPython.display import display
            self.handle = display(Line(text), display_id=True)

    def say(self, text):
        if self.handle:
            self.handle.update(Line(text))
        elif sys.stderr.isatty():
            print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)

    def end(self, text):
        self.say(text)
        if not self.handle and sys.stderr.isatty():
            print(file=sys.stderr)


class Line(Text):
    def _repr_html_(self):
        return f'<span style="opacity:.75">{escape(self)}</span>'
