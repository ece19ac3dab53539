"""The house: which module imports which. What the drawing in the design promises."""
import ast
import graphlib

from conftest import CHECKOUT


def imports(path):
    """The modules of its own package that a file imports, at its top or anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.level == 1 or node.module == path.parent.name):
            names = [alias.name for alias in node.names] if node.module in (None, path.parent.name) \
                else [node.module]
            found |= {name for name in names if (path.parent / f"{name}.py").exists()}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(path.parent.name + "."):
            found.add(node.module.partition(".")[2])
    return found


def test_no_circle_of_imports():
    """Nor a later chapter in an earlier one: the order below has the chapters as the book has."""
    modules = {path.stem: imports(path) for path in (CHECKOUT / "crabcan_steps").glob("*.py")}
    assert modules["cli"] >= {"ch09_runtime", "ch01_args"}
    graphlib.TopologicalSorter(modules).prepare()  # raises CycleError
    for name, others in modules.items():
        if name.startswith("ch") and name != "ch09_runtime":
            assert not [other for other in others if other.startswith("ch") and other > name], name
