"""Where each chapter's code makes a call: {"layer/call": "file:line"}, for who wants to read it there."""
import ast
import functools

from .. import chapters

LAYERS = {"terminal": "runtime"}  # a layer that has not its chapter's name


@functools.cache
def sources():
    """The first place of each call, of the chapter's own module before its room's."""
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
    """(call, line) of each `linux.CALL` in a file, from its top."""
    nodes = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Attribute)
             and isinstance(node.value, ast.Name) and node.value.id == "linux"]
    return [(node.attr, node.lineno) for node in sorted(nodes, key=lambda node: node.lineno)]
