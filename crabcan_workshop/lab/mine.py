"""%mine and %%mine: a cell that is a file of the learner's, written to the workspace and checked."""
import contextlib
import difflib
from pathlib import Path

from IPython import get_ipython
from IPython.core.error import UsageError

from ..course import check, commands, exercises, room, workspace
from .exercises import here, place
from .show import CELL, HIDDEN, MONO, escape, scroll

COLOURS = {"31": "#b71c1c", "32": "#1b5e20", "33": "#6b5200", "0": "#37474f"}


class Check:
    """A check's result: the facts that the terminal shows, as a table."""

    def __init__(self, items, notes):
        self.items = [(kind, text, [(word, here(more)) for word, more in details])
                      for kind, text, details in items]
        self.notes = notes

    def __repr__(self):
        return "\n".join([*(line for line, _ in check.lines(self.items)), *self.notes])

    def _repr_html_(self):
        (_, title, _), *items = self.items
        notes = "".join(f"<div><small>{escape(text)}</small></div>" for text in self.notes)
        return scroll(f'<table style="border-collapse:collapse;max-width:60em"><caption style='
                      f'"text-align:left;caption-side:top;font-weight:bold">{escape(title)}</caption>'
                      f'<tbody>{"".join(row(*item) for item in items)}</tbody></table>{notes}', title)


def row(kind, text, details):
    """A line of the table: a heading over both columns, or a sign and what it is about."""
    if kind not in check.SIGNS:
        return f'<tr><th colspan="2" style="{CELL};border:0">{escape(text)}</th></tr>'
    sign, colour = check.SIGNS[kind]
    look = f"background:{COLOURS[colour]};color:#fff;border-radius:3px;padding:0 .4em"
    more = "".join(f'<div style="display:grid;grid-template-columns:4.5em minmax(0,1fr)">'
                   f'<span style="opacity:.75">{word}</span>'
                   f'<span style="{MONO if word in ("look", "hint", "answer") else "margin:.2em 0"};'
                   f'overflow-wrap:anywhere">{escape(said)}</span></div>' for word, said in details)
    return (f'<tr><th scope="row" style="{CELL}"><span aria-hidden="true" style="{look}">{sign}</span>'
            f'<span style="{HIDDEN}">{kind}</span></th>'
            f'<td style="{CELL}">{escape(text)}{more}</td></tr>')


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
            notes.append(f"Your {short(path)} is now in this cell. Write what is missing, and run the "
                         "cell again.")
        else:
            if kept := home.put(chapter, cell.rstrip() + "\n"):
                notes.append(f"{path.name} as it was before is kept: {short(kept)}")
            result = commands.checked(home, chapter.number)
        progress = home.progress().get(str(chapter.number), {})
        return Check(check.report(result, progress), notes)
    except (workspace.WorkspaceError, room.RoomError) as error:
        raise UsageError(f"%%mine: {error}") from None


def named(word):
    """The chapter that a file's name stands for (chapter 7's is bpf, and ch07_seccomp will do)."""
    known = {}
    for chapter in map(exercises.chapter, exercises.CHAPTERS):
        stem = chapter.file.removesuffix(".py")
        known |= dict.fromkeys((stem, chapter.file, f"ch{chapter.number:02}_{chapter.title}"), chapter)
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
