"""What stands in the tables of the screen, in the lines of its tree, and in its foot; and how high each is."""
import textwrap

from rich.text import Text

from crabcan_steps.images.progress import megabytes
from crabcan_steps.layer import printable

from .advice import dockerfile
from .view import SIGNS, WORDS

STYLE = """#head{text-wrap:nowrap;text-overflow:ellipsis;height:1;background:$primary;color:$text}
#layers{height:auto;max-height:40%;min-height:5} TabbedContent{height:1fr} TabPane{padding:0}
Tree,DataTable{scrollbar-size-vertical:1;overflow-x:hidden} #filter{display:none;height:1;border:none;padding:0}
#filter.shown{display:block} #foot{height:auto;max-height:3;color:$text-muted}"""  # what is cut off on the right, the foot tells
COLUMNS = ("#", "size", "hidden later", *(sign for sign, _ in SIGNS.values()), "command")


def plain(text):
    """A stranger's text in a cell: no markup in it is meant."""
    return Text(printable(str(text)))


def row(step, report):
    """A layer's cells: what is not known yet is empty, and its size that in the store."""
    counts = [str(sum(change.what == what for change in step.changes.values()) or "") for what in SIGNS]
    later = report.costs(step)[0] if report else 0
    size = megabytes(step.size) if step.read else f"({megabytes(step.stored)})"
    return [str(step.number), size, megabytes(later) if later else "", *counts,
            plain(dockerfile(step.command)[:300] or "(no command is told)")]


def update(table, step, report):
    for at, cell in enumerate(row(step, report)):
        table.update_cell_at((step.number, at), cell, update_width=True)


def fill(table, columns, rows):
    """A table anew; without rows it says so."""
    table.clear(columns=True)
    table.add_columns(*columns)
    for cells in rows or [["", *["nothing"] * (len(columns) > 1), *[""] * (len(columns) - 2)]]:
        table.add_row(*(plain(cell) for cell in cells))


def tables(report, width):
    """{name: (columns, rows)} of what is judged when all layers have been read."""
    return {"lines": lines(report, width), "wasters": wasters(report), "secrets": secrets(report)}


def lines(report, width):
    """What each line of the Dockerfile cost; what would have saved it, in lines of its own below."""
    rows = []
    for line in report.lines:
        text = textwrap.wrap(line.text or "(no command is told)", width)[:4]
        rows.append((megabytes(line.size) if line.step else "", "" if line.step is None else line.step.number, text[0]))
        for size, cure in line.cures:
            text += textwrap.wrap(f"{megabytes(size)} less: {cure}", width, initial_indent="  > ", subsequent_indent="    ")
        rows += [("", "", more) for more in text[1:]]
    return ("size", "layer", "line, and what would have saved it"), rows


def wasters(report):
    return ("bytes", "versions", "why", "path"), [
        (megabytes(one.size), one.times, ", ".join(f"{WORDS[what]} {n}x" for what, n in one.reasons.items()), f"/{one.path}")
        for one in report.wasted[:1000]]


def secrets(report):
    """Those that somebody believes to be gone come first."""
    return ("what", "layer", "hidden by", "path"), [
        (", ".join(kinds), layer, "" if by is None else f"{by}: still there", f"/{path}")
        for path, layer, by, kinds in report.hidden + report.shown]


def both(found):
    """What compare() has found."""
    return ("what", "path"), [(what, f"/{path}") for what, paths in found.items() if isinstance(paths, list) for path in paths]


def label(view, path, name):
    """A line of the tree: a sign, the name, its size."""
    what, size = view.whats.get(path), view.size(path)
    sign, style = SIGNS.get(what, ("•" if path in view.touched else " ", "bold" if path in view.touched else ""))
    folder = "/" if path in view.below else ""
    return Text(f"{sign} {printable(name)}{folder}  {megabytes(size) if size else ''}".rstrip(), style=style, no_wrap=True)


def legend(view, text, step):
    """What the tree shows, and what its signs mean."""
    return (f"{view.count} file{'s' * (view.count != 1)}" + (f" with {text!r}" if text else "") + f" at layer {step.number}; "
            "+ added  ~ changed  - removed  m owner or mode  • in it")


def detail(view, path):
    """All that is known of a path."""
    file = view.files.get(path)
    if file is None:
        return f"/{path}  directory without an entry of its own, {megabytes(view.size(path))}"
    link = f" -> {file.link.decode(errors='replace')}" if file.link else ""
    return (f"/{path}{link}  {file.kind} {file.mode:04o} {file.owner[0]}:{file.owner[1]}  {file.size} bytes, of layer {file.layer}"
            + (f"; looks like a secret: {', '.join(file.secrets)}" if file.secrets else ""))


def whole(table):
    """The row under the cursor as one line: columns may be cut off."""
    if not table.row_count:
        return ""
    return "  ".join(str(cell) for cell in table.get_row_at(table.cursor_row) if str(cell))
