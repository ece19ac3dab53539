"""%mine and %%mine: a cell that is a file of the learner's, in the workspace, and checked."""
import contextlib
import difflib
from pathlib import Path

from IPython import get_ipython
from IPython.core.error import UsageError

from .. import exercises
from ..desk import board, check, checking, report, workspace
from ..room.door import RoomError
from .desk import here, place
from .show import CELL, HIDDEN, escape, scroll

COLOURS = {"31": "#b71c1c", "32": "#1b5e20", "33": "#6b5200", "0": "#37474f"}
HEADING = "text-align:left;padding:.5em 0 .15em;border:0"
DETAIL = ("display:grid;grid-template-columns:5.5em minmax(0,1fr);align-items:baseline;"
          "margin-top:.2em;overflow-wrap:anywhere")
TO_TYPE, TYPED = ("look", "hint", "answer"), "font-family:monospace;white-space:pre-wrap"


class Check:
    """A check's result: the facts that the terminal shows, as a table."""

    def __init__(self, items, notes):
        self.items = [(kind, here(text) if kind == "note" else text, [(word, here(more)) for word, more in details])
                      for kind, text, details in items]
        self.notes = notes

    def __repr__(self):
        return "\n".join([*(line for line, _ in report.lines(self.items)), *self.notes])

    def _repr_html_(self):
        (_, title, _), *items = self.items
        notes = "".join(f"<div><small>{escape(text)}</small></div>" for text in self.notes)
        rows = "".join(row(*item) for item in items)
        return scroll('<table style="border-collapse:collapse;max-width:60em"><caption style="'
                      f'text-align:left;caption-side:top;font-weight:bold">{escape(title)}</caption>'
                      f"<tbody>{rows}</tbody></table>{notes}", title)


def row(kind, text, details):
    """A line of the table: a heading over both columns, or a sign and what it is about."""
    if kind not in report.SIGNS:
        return (f'<tr style="background:none"><th colspan="2" style="{HEADING}">{escape(text)}'
                '</th></tr>')
    sign, colour = report.SIGNS[kind]
    look = f"background:{COLOURS[colour]};color:#fff;border-radius:3px;padding:0 .4em"
    more = "".join(f'<div style="{DETAIL}"><span style="opacity:.8">{word}</span>'
                   f'<span style="{TYPED if word in TO_TYPE else ""}">{escape(said)}</span></div>'
                   for word, said in details)
    return (f'<tr><th scope="row" style="{CELL}">'
            f'<span aria-hidden="true" style="{look}">{sign}</span>'
            f'<span style="{HIDDEN}">{kind}</span></th>'
            f'<td style="{CELL};white-space:normal">{escape(text)}{more}</td></tr>')


def mine(line, cell=None):
    """%mine ch03_hostname: that file of your workspace comes into the cell, as %%mine.
    %%mine ch03_hostname: the cell becomes that file, and is checked."""
    chapter = named(line.strip())
    try:
        home = place()
        path, notes = home.path(chapter), []
        if not (cell or "").strip():
            get_ipython().set_next_input(f"%%mine {path.stem}\n{home.text(chapter)}", replace=True)
            result = check.check(chapter.number, home)
            notes.append(f"Your {short(path)} is now in this cell. "
                         "Write what is missing, and run it again.")
        else:
            if kept := home.put(chapter, cell.rstrip() + "\n"):
                notes.append(f"{path.name} as it was before is kept: {short(kept)}")
            result = checking.checked(home, chapter.number)
            notes += map(here, board.news(chapter.number))
        progress = home.progress().get(str(chapter.number), {})
        return Check(report.report(result, progress), notes)
    except (workspace.WorkspaceError, RoomError) as error:
        raise UsageError(f"%%mine: {error}") from None


def named(word):
    """The chapter that a file's name stands for (chapter 7's is bpf, and ch07_seccomp will do)."""
    known = {}
    for chapter in map(exercises.chapter, exercises.CHAPTERS):
        stem = chapter.file.removesuffix(".py")
        other = f"ch{chapter.number:02}_{chapter.title}"
        known |= dict.fromkeys((stem, chapter.file, other), chapter)
    if word in known:
        return known[word]
    near = difflib.get_close_matches(word, known, 1, 0.3) or ["ch03_hostname"]
    what = f"there is no exercise file called {word}." if word else "which file?"
    raise UsageError(f"%%mine: {what} Try: %mine {near[0]}")


def short(path):
    """A path as one would type it."""
    with contextlib.suppress(ValueError):
        return f"~/{Path(path).relative_to(Path.home())}"
    return str(path)
