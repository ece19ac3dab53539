"""The one source of the exercises: crabcan_steps. Starters and wrong answers are made of it."""
import ast
import functools
import itertools
from pathlib import Path

import crabcan_steps

STEPS = Path(crabcan_steps.__file__).parent


def of(chapter, name=None):
    """The file of a chapter, if it is not another that the exercises are about: (path, our text)."""
    path = STEPS / name if name else next(STEPS.glob(f"ch{chapter:02}_*.py"))
    return path.relative_to(STEPS), path.read_text()


def functions(text):
    """name -> node, with Class.method for methods."""
    found = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{n.name}": n
                      for n in node.body if isinstance(n, ast.FunctionDef)}
        elif isinstance(node, ast.FunctionDef):
            found[node.name] = node
    return found


def starter(text, targets):
    """The text, with each target's body taken out: docstring and comments stay."""
    lines, known = text.splitlines(), functions(text)
    for name in sorted(targets, key=lambda name: -known[name].lineno):
        node = known[name]
        documented = ast.get_docstring(node) is not None
        first = node.body[0].end_lineno + 1 if documented else node.body[0].lineno
        indent = " " * node.body[0].col_offset
        comments = [indent + "#" + line.partition("  # ")[2].strip().rjust(1)
                    if "  # " in line else line
                    for line in lines[first - 1:node.end_lineno]
                    if "  # " in line or line.lstrip().startswith("#")]
        body = [indent + "# " + line.strip().lstrip("# ") for line in comments]
        lines[first - 1:node.end_lineno] = [*body, f'{indent}raise NotImplementedError("{name}")']
    return "\n".join(lines) + "\n"


def replaced(text, old, new):
    """A wrong answer: the text with a part of it replaced, which must be there once."""
    if text.count(old) != 1:
        raise ValueError(f"{text.count(old)} times in the source: {old!r}")
    return text.replace(old, new)


def mutants(text, targets):
    """(function, a statement's first line, the text without it), for all of the targets."""
    lines, known = text.splitlines(), functions(text)
    for name in targets:
        for node in ast.walk(known[name]):
            if not isinstance(node, ast.stmt) or node is known[name] or documentation(node):
                continue
            empty = " " * node.col_offset + "pass"
            if lines[node.lineno - 1].lstrip().startswith("elif"):
                empty = ""  # with what hangs from it
            left = [*lines[:node.lineno - 1], empty, *lines[node.end_lineno:]]
            statement = lines[node.lineno - 1].partition("  # ")[0].strip()
            yield name, statement, "\n".join(left) + "\n"


def variants(text, targets):
    """(function, what was done, the text with it): constants changed, neighbours exchanged, errors
    swallowed, one change at a time. Words for people are left alone: everybody says it differently."""
    lines, known = text.splitlines(), functions(text)
    for name in targets:
        count = sum(1 for _ in changes(known[name]))
        for number in range(count):
            node = functions(text)[name]  # a new one each time, to be changed
            what, change = next(itertools.islice(changes(node), number, None))
            change()
            indent = " " * node.col_offset
            new = [indent + line for line in ast.unparse(ast.fix_missing_locations(node)).splitlines()]
            yield name, what, "\n".join([*lines[:known[name].lineno - 1], *new,
                                         *lines[known[name].end_lineno:]]) + "\n"


def changes(function):
    """(what, a function that does it), for all changes of a function that variants() tries."""
    for node in ast.walk(function):
        for field in ("body", "orelse", "finalbody"):
            block = getattr(node, field, None)
            if isinstance(block, list) and not isinstance(node, ast.Lambda):
                yield from neighbours(block)
                yield from swallowing(block)
        if isinstance(node, ast.Constant) and not in_docstring(function, node) \
                and not (isinstance(node.value, str) and " " in node.value):
            new = altered(node.value)
            if new is not None:
                yield f"{node.value!r:.40} is {new!r:.40}", functools.partial(setattr, node, "value", new)


def neighbours(block):
    for at in range(len(block) - 1):
        if not documentation(block[at]):
            what = f"after the next: {ast.unparse(block[at]).splitlines()[0][:60]}"
            yield what, functools.partial(block.__setitem__, slice(at, at + 2), [block[at + 1], block[at]])


def swallowing(block):
    for at, node in enumerate(block):
        if isinstance(node, (ast.Expr, ast.Assign)) and not documentation(node) and any(
                isinstance(part, ast.Call) for part in ast.walk(node)):
            quiet = ast.Try([node], [ast.ExceptHandler(ast.Name("Exception", ast.Load()), None, [ast.Pass()])],
                            [], [])
            yield f"swallowed: {ast.unparse(node)[:60]}", functools.partial(block.__setitem__, at, quiet)


def altered(value):
    """Another constant of its kind; None if there is no sense in one."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    return value[:-1] + "~" if isinstance(value, str) and value else None


def in_docstring(function, node):
    return ast.get_docstring(function) is not None and function.body[0].value is node


def documentation(node):
    """Docstrings do nothing, and neither does pass."""
    return isinstance(node, ast.Pass) or isinstance(node, ast.Expr) and isinstance(node.value,
                                                                                   ast.Constant)


def stubs(text, targets):
    """Those of the targets that are still to be written, or are not there at all."""
    known, there = functions(text), set(bound(ast.parse(text).body))
    return [name for name in targets
            if name not in there
            or name in known and f'raise NotImplementedError("{name}")' in ast.unparse(known[name]).replace("'", '"')]


def bound(block, inside=""):
    """What a text gives a name to, in its classes too: def, but also child = ..., Mounts.child = ..., import."""
    for node in block:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield inside + node.name
        elif isinstance(node, ast.ClassDef):
            yield from bound(node.body, f"{node.name}.")
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from (inside + (alias.asname or alias.name) for alias in node.names)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            for target in ast.walk(node):
                if isinstance(getattr(target, "ctx", None), ast.Store):
                    yield inside * isinstance(target, ast.Name) + ast.unparse(target)
        else:
            for part in ("body", "orelse", "handlers", "finalbody"):
                yield from bound([inner for inner in getattr(node, part, ()) if isinstance(inner, ast.AST)], inside)


def filled(text, ours, names):
    """The text, with our own bodies for these functions."""
    theirs, right, lines = functions(text), functions(ours), text.splitlines()
    for name in sorted((n for n in names if n in theirs), key=lambda name: -theirs[name].lineno):
        node, good = theirs[name], right[name]
        lines[node.lineno - 1:node.end_lineno] = ours.splitlines()[good.lineno - 1:good.end_lineno]
    return "\n".join(lines) + "\n"
