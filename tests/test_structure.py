"""The house: which room is whose, and who may import whom. CONTRIBUTING.md has the picture of it."""
import ast
import graphlib
import re
import tomllib

import pytest

from conftest import CHECKOUT
from crabcan_steps import ch09_runtime, cli  # noqa: F401: loads all layers
from crabcan_steps.layer import Layer
from crabcan_workshop import chapters

PACKAGES = ("crabcan_steps", "crabcan_workshop")
SHARED = ("numbers", "linux", "layer")  # under all chapters
ABOVE = ("cli", "__main__", "oci.__main__", "runtime.launcher")  # above all of them: they lead in
BESIDE = ("__init__", "trace", "rendering", "telling")
ASSEMBLES = ("ch09_runtime", "oci.bundle", "oci.known")  # the layers of all chapters, later ones too
FLOORS = (("words", "chapters"), ("explore",), ("measure", "doctor", "completion"), ("exercises",), ("room",),
          ("desk", "engine", "layers"), ("teacher",), ("classroom",),
          ("cli",), ("lab", "__main__"))  # of the classroom, the lowest first
ALONE = ("", "first_cell")  # import nothing of ours by name


def modules(package):
    """{name: path} of a package's files, without its own name: linux, args.values, __init__."""
    folder = CHECKOUT / package
    return {".".join(path.relative_to(folder).with_suffix("").parts).removesuffix(".__init__"): path
            for path in sorted(folder.rglob("*.py"))}


def imports(package, name, path, known):
    """The modules of its own package that a file imports, at its top or anywhere in it."""
    parts = [package, *name.split(".")] if name else [package]
    here = parts if path.name == "__init__.py" else parts[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            whole = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            begin = ".".join([*here[:len(here) - node.level + 1]] if node.level else [])
            module = ".".join(filter(None, (begin, node.module)))
            whole = [f"{module}.{alias.name}" for alias in node.names] + [module]
        else:
            continue
        for word in whole:
            inner = word.removeprefix(f"{package}.")
            if word.startswith(f"{package}.") and inner in known:
                found.add(inner)
    return found - {name}


def graph(package):
    known = modules(package)
    return {name: imports(package, name, path, known) for name, path in known.items()}


def number(name):
    """The chapter that a module of the runtime's belongs to; None if it is everybody's."""
    if match := re.match(r"ch(\d\d)_", name):
        return int(match[1])
    return {room_of(n): n for n in chapters.NUMBERS}.get(name.partition(".")[0])


def room_of(n):
    """What a chapter's room is called."""
    return chapters.ROOMS.get(n, chapters.NAMES[n])


@pytest.mark.parametrize("package", PACKAGES)
def test_no_circle_of_imports(package):
    graphlib.TopologicalSorter(graph(package)).prepare()  # raises CycleError


def test_the_imports_are_seen():
    """Or the tests below would find nothing."""
    steps = graph("crabcan_steps")
    assert steps["ch04_mounts"] >= {"linux", "layer", "mounts.parts", "mounts.given"}
    assert steps["ch05_namespaces"] >= {"namespaces.accounts"}  # in a function
    assert steps["mounts.given"] >= {"mounts.furniture", "linux"} and steps["args.table"] >= {"args.paths"}
    assert steps["cgroups.quotas"] >= {"ch08_cgroups"} and steps["runtime.launcher"] == {
        "__main__", "oci.__main__", "oci.interpreter"}
    workshop = graph("crabcan_workshop")
    assert workshop["measure.attempts"] == {"measure.probe"} and "cli" in workshop["lab.desk"]


def test_the_runtime_knows_nothing_of_the_rest():
    for path in modules("crabcan_steps").values():
        assert not re.search(r"^\s*(?:from|import) (?:crabcan_workshop|tests|tools|rich)\b", path.read_text(), re.M), path


def test_a_chapter_imports_none_that_comes_later():
    """Nor does its room; and a room is its chapter's and later ones'."""
    for name, others in graph("crabcan_steps").items():
        if name in (*ABOVE, *ASSEMBLES):
            continue
        assert not others & set(ABOVE), name
        if number(name) is None:
            assert not [other for other in others if number(other)], f"{name} is no chapter's"
        else:
            assert not [other for other in others if (number(other) or 0) > number(name)], name


def test_what_lies_at_the_top_is_a_chapter_or_everybody_s():
    flat = {name for name in modules("crabcan_steps") if "." not in name and number(name) is None}
    assert flat - {""} <= {*SHARED, *ABOVE, *BESIDE}, "whose is it? Into a room named as its chapter"


def test_a_room_has_its_chapter_s_name_and_is_installed():
    folder = CHECKOUT / "crabcan_steps"
    rooms = {path.parent for path in folder.rglob("*.py")} - {folder}
    assert {room.relative_to(folder).parts[0] for room in rooms} <= set(map(room_of, chapters.NUMBERS))
    with open(CHECKOUT / "pyproject.toml", "rb") as file:
        told = set(tomllib.load(file)["tool"]["setuptools"]["packages"])
    for package in PACKAGES:
        found = {".".join(path.parent.relative_to(CHECKOUT).parts) for path in (CHECKOUT / package).rglob("*.py")}
        assert found == {name for name in told if name.startswith(package)}
    for room in rooms:
        tree = ast.parse((room / "__init__.py").read_text())
        assert all(isinstance(node, ast.Expr) for node in tree.body), "a start loads it: it does nothing"


def test_each_layer_stands_with_its_chapter():
    for layer in Layer.__subclasses__():
        package, _, module = layer.__module__.partition(".")
        if package == "crabcan_steps":
            assert number(module) == layer.chapter, layer


def test_a_layer_is_called_as_its_chapter():
    """Its errors name both, `step N` chooses by the one and --layers by the other."""
    for layer in ch09_runtime.LAYERS:
        home = number(layer.__module__.removeprefix("crabcan_steps."))
        name = "terminal" if home == chapters.WHOLE else chapters.NAMES[home]
        assert (layer.chapter, layer.name) == (home, name), layer


def test_the_classroom_s_floors():
    """What is higher may import what is lower; nothing the other way, nor beside."""
    floor = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}
    for name, others in graph("crabcan_workshop").items():
        room = name.partition(".")[0]
        if room in ALONE:
            continue
        for other in {other.partition(".")[0] for other in others} - {room}:
            assert floor[other] < floor[room], f"{name} imports {other}"


def test_the_picture_shows_the_house_as_it_is():
    picture = (CHECKOUT / "chapters/diagrams/house.txt").read_text()
    classroom, _, runtime = picture.partition("crabcan_steps")
    rooms = [name for level in reversed(FLOORS) for name in level
             if (CHECKOUT / "crabcan_workshop" / name).is_dir() or name == "cli"]
    assert re.findall(r"│ │ (\w+)", classroom) == rooms
    drawn = re.findall(r"(ch\d\d_\w+)[^\n/]*?(?: (\w+)/)? *┃", runtime)
    assert drawn == [(f"ch{n:02}_{name}", room_of(n) if (CHECKOUT / "crabcan_steps" / room_of(n)).is_dir() else "")
                     for n, name in sorted(chapters.NAMES.items(), reverse=True)]
    for name in (*SHARED, "trace", "cli"):
        assert re.search(rf"\b{name}\b", runtime), name


def test_no_test_is_too_long_to_read():
    for path in (CHECKOUT / "tests").rglob("*.py"):
        assert path.read_text().count("\n") <= 420, path
