"""What learners write: right answers in other styles than ours (tests/workshop/answers/*.toml) all pass."""
import ast
import tomllib

import pytest

from conftest import CHECKOUT
from crabcan_workshop import exercises
from crabcan_workshop.exercises import source
from test_exercises import check, complaints

pytestmark = pytest.mark.slow  # left out by --fast


def answers():
    """(chapter, name, code) of each."""
    for path in sorted((CHECKOUT / "tests/workshop/answers").glob("*.toml")):
        for answer in tomllib.loads(path.read_text())["right"]:
            yield int(path.name[:2]), answer["name"], answer["code"]


ANSWERS = list(answers())


def written(number, code):
    """Our text of a chapter, with these functions in place of ours."""
    text = exercises.chapter(number).text
    theirs = source.functions(code)
    assert theirs.keys() <= source.functions(text).keys() and theirs
    return source.filled(text, code, theirs)


def test_each_exercise_has_three_styles():
    seen = {}
    for number, name, code in ANSWERS:
        for place, exercise in enumerate(exercises.chapter(number).exercises, 1):
            if {*source.functions(code)} & {*exercise.get("targets", ())}:
                seen.setdefault((number, place), set()).add(ast.dump(ast.parse(code)))
    wanted = {(number, place) for number in (*range(2, 10), 11) for place in (1, 2)}
    assert {key for key, styles in seen.items() if len(styles) >= 3} == wanted


@pytest.mark.parametrize("number, name, code", ANSWERS, ids=lambda value: None if "\n" in str(value) else value)
def test_a_right_answer_passes(root, number, name, code):
    data = check(root, number, written(number, code))
    assert data["good"], (complaints(data), data["raised"], data["error"],
                          [fact for fact in data["facts"] if fact["state"] != "right"])


# ---------------------------------------------------------------- what cannot do what ours does, whatever stands in it

@pytest.mark.parametrize("old, new, says", [
    ("            part.make(root)", "            yield part.make(root)", "has a yield, and so a call of it runs nothing of it"),
    ("    def child(self)", "    async def child(self)", "is async: a call of it runs nothing of it"),
    ("    def child(self)", "    def child()", "takes (), and is called with (self)"),
    ("    def child(self)", "    def child(self, root)", "takes (self, root), and is called with (self)")])
def test_a_function_of_another_kind_is_called_so_with_its_line(root, old, new, says):
    text = source.replaced(exercises.chapter(4).text, old, new)
    data = check(root, 4, text)
    at = 1 + text[:text.index("def child(")].count("\n")
    assert data["error"] == f"ch04_mounts.py, line {at}: Mounts.child() " + data["error"].partition("() ")[2], data
    assert says in data["error"] and not data["good"]


@pytest.mark.parametrize("new", ["    def child(self, *more)", "    def child(self, quick=True)", "    def child(*all)"])
def test_one_that_takes_more_if_it_is_given_is_of_the_same_kind(new):
    text = source.replaced(exercises.chapter(4).text, "    def child(self)", new)
    assert not list(source.slips(text, exercises.chapter(4).text, ["Mounts.child"]))


def test_one_inside_of_it_may_be_of_any_kind():
    code = "class Mounts(Layer):\n    def child(self):\n        def each():\n            yield 1\n        list(each())\n"
    text = written(4, code)
    assert not list(source.slips(text, exercises.chapter(4).text, ["Mounts.child"]))


@pytest.mark.parametrize("code", [
    "class Mounts(Layer):\n    child = lambda self: None\n", "class Mounts(Layer):\n    if True:\n        def child(self):\n"
    "            pass\n", "class Mounts(Layer):\n    pass\nMounts.child = print\n"])
def test_a_function_may_come_by_another_way_than_def(code):
    assert source.stubs(code, ["Mounts.child", "Mounts.prepare"]) == ["Mounts.prepare"]
