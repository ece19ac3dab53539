"""Recordings inside a page of their own: one HTML file that opens anywhere and loads nothing."""
import ast
import functools
import json
from pathlib import Path

from .. import chapters

HERE = Path(__file__).resolve().parent
PAGE = HERE / "page.html"
MARK = '<script type="application/json" id="recordings">{}</script>'
LAYERS = {"terminal": "runtime"}  # a layer that has not its chapter's name


def page(recordings, book=None, beside=None):
    """The page, as text. recordings: {name: events}; book: where its pages are; beside: which one to compare with."""
    about = {"chapters": {n: f"{n:02}-{name}" for n, name in chapters.NAMES.items()},
             "source": sources(), "book": book}
    told = {"recordings": [{"name": name, "events": events} for name, events in recordings.items()],
            "about": about, "beside": beside}
    text, empty = PAGE.read_text(), MARK.format("[]")
    assert text.count(empty) == 1, f"{PAGE}: no place for recordings: tools/explorer.py"
    return text.replace(empty, MARK.format(script(told)))


def script(value):
    """JSON that may stand in a script element: whatever a recording says ends no element and begins none."""
    text = json.dumps(value, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


@functools.cache
def sources():
    """{"layer/call": "file:line"}: where each chapter's code first makes a call."""
    found = {}
    for number, name in chapters.NAMES.items():
        for file in files(number, name):
            for call, line in calls(file):
                found.setdefault(f"{name}/{call}", f"{file.relative_to(chapters.CODE.parent)}:{line}")
    for layer, name in LAYERS.items():
        found |= {key.replace(name, layer, 1): place for key, place in found.items() if key.startswith(f"{name}/")}
    return found


def files(number, name):
    """A chapter's own module, then its room's."""
    room = chapters.CODE / chapters.ROOMS.get(number, name)
    return [chapters.CODE / f"ch{number:02}_{name}.py", *sorted(room.rglob("*.py"))]


def calls(file):
    """(call, line) of each `linux.CALL(` in a file, from its top."""
    nodes = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Attribute)
             and isinstance(node.value, ast.Name) and node.value.id == "linux"]
    return [(node.attr, node.lineno) for node in sorted(nodes, key=lambda node: node.lineno)]
