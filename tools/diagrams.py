#!/usr/bin/env python3
"""Makes chapters/diagrams/NAME.svg of each NAME.txt: box-drawing characters become lines.

A picture of more than 52 columns is not to be read on a phone: it has a twin, NAME-narrow.txt.
Light lines with round corners are what was there before, heavy ones what is new, dashed ones what
covers; the colours follow the reader's scheme. The SVG files are committed, so that they show
wherever the Markdown does; a test compares them with their sources.
"""
import sys
from html import escape
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "chapters" / "diagrams"
WIDE, HIGH = 9, 20  # of a character's cell
# Which way lines go from the middle of a cell: up, right, down, left.
WAYS = {"─": "rl", "│": "ud", "├": "urd", "┤": "udl", "┬": "rdl", "┴": "url", "┼": "urdl",
        "╭": "rd", "╮": "dl", "╰": "ur", "╯": "ul", "┌": "rd", "┐": "dl", "└": "ur", "┘": "ul",
        "╵": "u", "╌": "rl", "╎": "ud",
        "━": "rl", "┃": "ud", "┏": "rd", "┓": "dl", "┗": "ur", "┛": "ul"}
HEAVY, DASHED, ROUND = set("━┃┏┓┗┛"), set("╌╎┌┐└┘"), set("╭╮╰╯")
CROSSED = {"╂": "┃─", "┯": "━╷"}  # a heavy line, and a light one over it
WAYS["╷"] = "d"
HEADS = {"▶": (0, WIDE / 2), "◀": (180, WIDE / 2), "▼": (90, HIGH / 2), "▲": (270, HIGH / 2)}  # turn, reach
OPEN = {"╭": ("╮", "╰", "host"), "┏": ("┓", "┗", "new"), "┌": ("┐", "└", "cover")}
STYLE = """
svg { --dg-ink: #24292f; --dg-line: #57606a; --dg-host: #eef1f4; --dg-new: #fff4ec; --dg-accent: #b8430b }
@media (prefers-color-scheme: dark) {
  svg { --dg-ink: #e3e6ea; --dg-line: #9aa4af; --dg-host: #262c34; --dg-new: #33271f; --dg-accent: #ff9a62 }
}
"""
LOOK = """
.dg text { font: 14px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; fill: var(--dg-ink); white-space: pre }
.dg path { fill: none; stroke: var(--dg-line); stroke-width: 1.4; stroke-linecap: round }
.dg .dg-new { stroke: var(--dg-accent); stroke-width: 2 }
.dg .dg-cover { stroke-dasharray: 4 4 }
.dg .dg-head { fill: var(--dg-line); stroke: none }
.dg rect { fill: var(--dg-host) }
.dg rect.dg-new { fill: var(--dg-new); stroke: none }
.dg rect.dg-cover { fill: none }
"""


def middle(x, y):
    return x * WIDE + WIDE / 2, y * HIGH + HIGH / 2


def boxes(lines):
    """A tinted ground for each rectangle, the outer ones first."""
    for y, line in enumerate(lines):
        for x, char in enumerate(line):
            if char in OPEN and (box := corners(lines, x, y, *OPEN[char][:2])):
                left, top = middle(x, y)
                right, bottom = middle(*box)
                yield (f'<rect class="dg-{OPEN[char][2]}" x="{left:g}" y="{top:g}" rx="6" '
                       f'width="{right - left:g}" height="{bottom - top:g}"/>')


def corners(lines, x, y, upper_right, lower_left):
    """Where the rectangle ends that begins at (x, y); None if it is no rectangle."""
    right = lines[y].find(upper_right, x)
    for below in range(y + 1, len(lines)):
        if lines[below][x:x + 1] == lower_left:
            return (right, below) if right > 0 else None
        if lines[below][x:x + 1] not in tuple("│┃╎├"):
            return None
    return None


def strokes(lines):
    """One path for each kind of line."""
    paths = {"host": [], "new": [], "cover": []}
    cells = [(char, middle(x, y)) for y, line in enumerate(lines) for x, cell in enumerate(line)
             for char in CROSSED.get(cell, cell) if char in WAYS]
    for char, place in cells:
        kind = "new" if char in HEAVY else "cover" if char in DASHED else "host"
        paths[kind].append(stroke(char, *place))
    for kind, parts in paths.items():
        if parts:
            yield f'<path class="dg-{kind}" d="{"".join(parts)}"/>'


def stroke(char, x, y):
    """The lines of one cell, from one edge to the other."""
    edge = {"u": (x, y - HIGH / 2), "d": (x, y + HIGH / 2),
            "l": (x - WIDE / 2, y), "r": (x + WIDE / 2, y)}
    ways = [edge[way] for way in WAYS[char]]
    if len(ways) == 2:
        (a, b), (c, d) = ways
        bend = f"Q{x:g} {y:g} {c:g} {d:g}" if a != c and b != d else f"L{c:g} {d:g}"
        return f"M{a:g} {b:g}{bend}"
    return "".join(f"M{x:g} {y:g}L{a:g} {b:g}" for a, b in ways)


def heads(lines):
    """The points of the arrows: each fills its cell from the side where the line comes in."""
    for y, line in enumerate(lines):
        for x, char in enumerate(line):
            if char in HEADS:
                turn, reach = HEADS[char]
                a, b = middle(x, y)
                yield (f'<path class="dg-head" transform="translate({a:g} {b:g}) rotate({turn})" '
                       f'd="M{reach:g} 0l-9 -4v3.3H{-reach:g}v1.4H{reach - 9:g}v3.3z"/>')


def words(lines):
    """The text: what is divided by one space stays together, set to the width of its cells."""
    drawn = {*WAYS, *CROSSED, *HEADS}
    for y, line in enumerate(lines):
        bare = "".join(" " if char in drawn else char for char in line)
        x = 0
        for part in bare.split("  "):
            text = part.strip()
            if text:
                at = x + part.index(text)
                yield (f'<text x="{at * WIDE}" y="{y * HIGH + 15}" '
                       f'textLength="{len(text) * WIDE}">{escape(text)}</text>')
            x += len(part) + 2


def svg(text):
    """The whole picture of a source."""
    lines = text.rstrip("\n").split("\n")
    width, height = max(map(len, lines)) * WIDE, len(lines) * HIGH
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" class="dg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}">',
        f"<style>{STYLE}{LOOK}</style>",
        *boxes(lines), *strokes(lines), *heads(lines), *words(lines), "</svg>", ""])


if __name__ == "__main__":
    sources = [Path(name) for name in sys.argv[1:]] or sorted(FOLDER.glob("*.txt"))
    for source in sources:
        source.with_suffix(".svg").write_text(svg(source.read_text()))
