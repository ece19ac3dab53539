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
