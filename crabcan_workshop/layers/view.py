"""What is printed: a table of layers, the tree at one of them, the largest wasters, secrets, advice."""
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from crabcan_steps.images.progress import megabytes
from crabcan_steps.layer import printable

from .advice import dockerfile

SIGNS = {"added": ("+", "green"), "changed": ("~", "yellow"), "removed": ("-", "red"), "mode": ("m", "cyan")}
MOST = 40  # lines of a tree, unless --all


def summary(report, console):
    """The layers and what is wrong with them."""
    table = Table(box=None, padding=(0, 1), show_edge=False)
    for name in ("#", "size", "hidden later", "+", "~", "-", "m", "command"):
        table.add_column(name, justify="left" if name == "command" else "right", no_wrap=name != "command",
                         overflow="fold" if name == "command" else "ellipsis")
    for step in report.index.steps:
        counts = [str(sum(change.what == what for change in step.changes.values()) or "") for what in SIGNS]
        later = report.costs(step)[0]
        table.add_row(str(step.number), megabytes(step.size), megabytes(later) if later else "", *counts,
                      Text(printable(dockerfile(step.command)[:200] or "(no command is told)")))
    console.print(table)
    console.print(f"\n{megabytes(report.files)} in files, {megabytes(report.lost)} of it hidden by later layers: "
                  f"efficiency {report.efficiency:.1%}. Squashed it would have {megabytes(report.files - report.lost)}.")
    if report.wasted:
        console.print("\nThe largest wasters:")
        for one in report.wasted[:8]:
            why = ", ".join(f"{WORDS[what]} {n}x" for what, n in one.reasons.items())
            console.print(Text(printable(f"  {megabytes(one.size):>9}  /{one.path}  ({why})")))
    secrets(report, console)
    if advice := report.advice():
        console.print("\nWhat would have saved it:")
        for size, text in advice[:5]:
            console.print(Text(f"  {megabytes(size):>9}  {text}"))


WORDS = {"changed": "written again", "removed": "removed", "mode": "owner or mode only"}


def secrets(report, console):
    """Whatever looks like one; those that somebody believes to be gone come first."""
    if report.hidden or report.shown:
        console.print("\nWhat looks like a secret:")
    for path, layer, by, kinds in (report.hidden + report.shown)[:12]:
        where = f"in layer {layer}, hidden by layer {by}, and still there for whoever pulls it" if by is not None else f"in layer {layer}"
        console.print(Text(printable(f"  {', '.join(kinds)}: /{path}, {where}"), style="red" if by is not None else "yellow"))


def tree(report, number, text, everything, console):
    """What a layer has done, as a tree; with `text` only paths that contain it."""
    step = report.index.steps[number]
    top = Tree(f"layer {number}: {escape(printable(step.command[:100]))}", guide_style="dim")
    nodes, count = {"": top}, 0
    for path in sorted(step.changes):
        change = step.changes[path]
        if text and text not in path or (change.new or change.old).kind == "directory" and change.what != "removed":
            continue
        count += 1
        if count > MOST and not everything:
            continue
        sign, style = SIGNS[change.what]
        folder, _, name = path.rpartition("/")
        size = (change.new or change.old).size
        branch(nodes, folder).add(Text(printable(f"{sign} {name}  {megabytes(size) if size else ''}").rstrip(), style=style))
    console.print(top)
    if count > MOST and not everything:
        console.print(f"... and {count - MOST} more: --all, or --filter TEXT")


def branch(nodes, folder):
    """The node of a directory; made, with those above it."""
    if folder not in nodes:
        above, _, name = folder.rpartition("/")
        nodes[folder] = branch(nodes, above).add(Text(printable(name + "/"), style="bold"))
    return nodes[folder]


def differences(found, console):
    """What compare() has found."""
    console.print(f"{found.pop('shared layers')} layers are the same.")
    for what, paths in found.items():
        console.print(f"\n{what}: {len(paths)}")
        for path in paths[:20]:
            console.print(Text(printable(f"  /{path}")))


def console():
    return Console(highlight=False, soft_wrap=False)
