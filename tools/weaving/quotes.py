"""Source code by name: which lines a name stands for. The parser finds them, no markers do."""
import ast
import io
import json
import tokenize

from . import Problem, near

CLASS = ast.ClassDef
DEF = (ast.FunctionDef, ast.AsyncFunctionDef)


class Source:
    """A Python module: its lines, and for each name the (first, last) lines where it is made."""

    def __init__(self, name, text):
        self.name, self.lines = name, text.splitlines()
        tokens = tokenize.generate_tokens(io.StringIO(text).readline)
        self.comments = {t.start[0]: t.start[1] for t in tokens  # those with a line of their own
                         if t.type == tokenize.COMMENT and not t.line[:t.start[1]].strip()}
        tree = ast.parse(text)
        self.names, self.local = {}, set()
        self.collect(tree.body, "", False)
        self.code = {n for node in tree.body if not isinstance(node, (ast.Import, ast.ImportFrom))
                     for n in self.span(node) if self.lines[n - 1].strip()}
        if ast.get_docstring(tree) is not None:
            self.names["__doc__"] = [bounds(self.span(tree.body[0]))]
            if name == "__init__.py":
                self.code -= set(self.span(tree.body[0]))
        self.names["*"] = [(1, len(text.rstrip().splitlines()))]

    def span(self, node):
        """A statement's lines: with its decorators, and the comments that touch it from above."""
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
        last = node.end_lineno
        while self.comments.get(first - 1) == node.col_offset:
            first -= 1
        while self.comments.get(last + 1, 0) > node.col_offset:  # a comment that ends a body
            last += 1
        return range(first, last + 1)

    def collect(self, body, prefix, local):
        """Notes the names that a body binds; of a function only what it defines."""
        for node in body:
            for name in {prefix + n for n in bound(node, local)}:
                self.names.setdefault(name, []).append(bounds(self.span(node)))
                if local:
                    self.local.add(name)
            if isinstance(node, (CLASS, *DEF)):
                inner = prefix + node.name + "."
                self.collect(node.body, inner, local or isinstance(node, DEF))
            if isinstance(node, CLASS):
                first, last = bounds(self.span(node))
                methods = [n for n in node.body if isinstance(n, (CLASS, *DEF))]
                if methods:
                    last = self.span(methods[0])[0] - 1
                while not self.lines[last - 1].strip():
                    last -= 1
                self.names[inner + "__head__"] = [(first, last)]

    def find(self, name):
        """The first and last line of a name, or of a group A..B. Raises LookupError."""
        if ".." in name:
            one, _, other = name.partition("..")
            (first, _), (_, last) = self.find(one), self.find(other)
            if first > last:
                raise LookupError(f"{other} stands above {one}")
            return first, last
        places = self.names.get(name)
        if not places:
            raise LookupError(f"no '{name}' in {self.name}" + near(name, self.names))
        if len(places) > 1:
            lines = ", ".join(str(first) for first, _ in places)
            raise LookupError(f"{name} is bound {len(places)} times in {self.name} (lines "
                              f"{lines}): quote a group (A..B) of names that are not")
        return places[0]

    def owner(self, line):
        """The name of the piece that a line belongs to: a method rather than its class."""
        around = [(last - first, name) for name, places in self.names.items()
                  for first, last in places if first <= line <= last and name not in self.local]
        return min(around)[1]


def bounds(span):
    return span[0], span[-1]


def bound(node, local=False):
    """The names that a statement binds."""
    if isinstance(node, (CLASS, *DEF)):
        return [node.name]
    if local:
        return []
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return [a.asname or a.name.partition(".")[0] for a in node.names]
    if isinstance(node, ast.If) and "__name__" in ast.unparse(node.test):
        return ["__main__"]
    targets = getattr(node, "targets", None) or [getattr(node, "target", None)]
    names = [ast.unparse(part) for target in targets if target
             for part in getattr(target, "elts", [target])]
    for field in "body", "orelse", "handlers", "finalbody":  # if, try, with: all of it
        for inner in getattr(node, field, ()):
            names += bound(inner)
    return names


class Library:
    """The package that is quoted, the small programs that stand beside the pages, and a room of the
    classroom's, whose names begin with its own: they may be quoted, and need not be."""

    def __init__(self, folder, pages=None, room=None):
        self.folder = folder
        self.sources = {str(path.relative_to(folder)): source(path, folder)
                        for path in sorted(folder.rglob("*.py"))}
        self.beside = {str(path.relative_to(pages)): source(path, pages)
                       for path in sorted(pages.glob("*/*.py"))} if pages else {}
        if room:
            self.beside |= {f"{room.name}/{path.name}": source(path, room) for path in sorted(room.glob("*.py"))}

    def quote(self, block):
        """The lines that a block asks for, from the margin; and where: (module, first, last)."""
        module, sep, name = block.body.partition("::")
        if not sep or not name:
            raise Problem(block.where, f"'{block.body}': must be MODULE.py::NAME")
        try:
            if module.endswith(".json"):
                return self.rule(module, name), None
            known = self.sources | self.beside
            if module not in known:
                raise LookupError(f"no {module} in {self.folder.name}" + near(module, known))
            found = known[module]
            first, last = found.find(name)
        except LookupError as error:
            raise Problem(block.where, error.args[0]) from None
        return from_margin(found.lines[first - 1:last]), (module, first, last)

    def rule(self, module, name):
        """From a JSON file all (`*`), or the one object whose comment begins so."""
        try:
            text = (self.folder / module).read_text(encoding="utf-8")
        except OSError:
            names = [str(p.relative_to(self.folder)) for p in self.folder.glob("**/*.json")]
            raise LookupError(f"no {module} in {self.folder.name}" + near(module, names)) from None
        if name == "*":
            return text.rstrip().split("\n")
        begin = text.find('{"comment": "' + name)
        if begin < 0:
            raise LookupError(f"no rule in {module} whose comment begins with '{name}'")
        _, end = json.JSONDecoder().raw_decode(text, begin)
        begin = text.rfind("\n", 0, begin) + 1
        return from_margin(text[begin:end + (text[end] == ",")].split("\n"))


def source(path, folder):
    """A file of Python. Raises Problem if it is none."""
    try:
        return Source(path.name, path.read_text("utf-8"))
    except (SyntaxError, tokenize.TokenError) as error:
        name = f"{folder.name}/{path.relative_to(folder)}"
        raise Problem(name, f"is not Python: {error}") from None


def from_margin(lines):
    """Lines moved left by the first one's indentation."""
    indent = lines[0][:len(lines[0]) - len(lines[0].lstrip())]
    return [line.removeprefix(indent) for line in lines]
