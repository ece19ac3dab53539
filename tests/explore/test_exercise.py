"""`workshop check explorer`: a learner's reducer, held to what the kernel says of a container made then."""
import ast
import json
import os
import sys

import pytest

from conftest import CHECKOUT
from crabcan_workshop import exercises
from crabcan_workshop.exercises import source

sys.path.insert(0, str(CHECKOUT / "tests" / "workshop"))
from desks import run  # noqa: E402

pytestmark = pytest.mark.slow

OURS = exercises.chapter("explorer")
WRONG = {wrong["name"]: wrong for wrong in OURS.wrong}
SAMPLE = ("the old state is changed", "a call that failed is taken for done", "pivot_root passed over", "propagation forgotten")
CHECK = """
import json, sys
from crabcan_workshop.desk import check
print(json.dumps(check.check("explorer", text=sys.stdin.read(), quick=bool(sys.argv[1:])).data()))
"""


def check(who, text, *quick):
    result = who.script(CHECK, *quick, input=text)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def complaints(data):
    return [fact["why"] for fact in data["facts"] if fact["state"] in ("wrong", "harm", "unreached")]


def wrong_text(wrong):
    return source.replaced(OURS.text, wrong["old"], wrong["new"])


def test_the_starter_is_ours_without_the_bodies():
    starter = OURS.starter()
    assert source.stubs(starter, OURS.targets) == OURS.targets
    assert source.filled(starter, OURS.text, OURS.targets) == OURS.text
    assert all(len(exercise["hints"]) == 3 for exercise in OURS.exercises)
    for wrong in WRONG.values():
        ast.parse(wrong_text(wrong))


def test_ours_passes(who):
    data = check(who, OURS.text)
    assert data["passed"] == [1, 2], [fact for fact in data["facts"] if fact["state"] != "right"] or data["error"]


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_answer_hears_what_is_wrong(root, name, request):
    if name not in SAMPLE and not request.config.getoption("--long"):
        pytest.skip("with --long")
    data = check(root, wrong_text(WRONG[name]))
    assert not data["good"] and any(WRONG[name]["says"] in why for why in complaints(data)), complaints(data)


def test_who_ends_prints_or_lies_is_not_right(root):
    """The verdict is made outside, of states that the room tells; to tell none, or others, is no way."""
    for deed, seen in (("import os; os._exit(0)", "states of"), ("print(7)", ""), ("return 7", "")):
        text = source.replaced(OURS.text, "    try:\n        made = judged", f"    {deed}\n    try:\n        made = judged")
        data = check(root, text, "quick")
        assert data["good"] == (deed == "print(7)") and seen in str(data["facts"]), (deed, data)


def test_the_question_has_an_answer(root):
    tell = "from crabcan_workshop.desk import check; print(*(check.answer('explorer', t) for t in ('openat2', 'mount')))"
    assert root.script(tell).stdout == "True False\n"


def test_as_a_learner_types_it(root, tmp_path):
    folder = tmp_path / "mine"
    run("start", folder=folder)
    os.unlink(folder / "reducer.py")  # a workspace that is older than this exercise
    said = run("check", "explorer", folder=folder)
    assert said.returncode == 1 and "begin with reduce and next_state in reducer.py" in said.stdout
    assert (folder / "reducer.py").read_text() == OURS.starter()
    assert run("hint", "explorer", folder=folder).stdout.startswith("explorer, exercise 1: The reducer (hint 1 of 3)")
    assert "def pivot_root" in run("solution", "explorer", "--yes", folder=folder).stdout
    (folder / "reducer.py").write_text(source.filled(OURS.starter(), OURS.text, OURS.exercise(2)["targets"]))
    said = run("check", "explorer", folder=folder)
    assert "exercise 2 passed" in said.stdout and "to be written: reduce, next_state" in said.stdout, said.stdout
    assert "explorer" in run("status", folder=folder).stdout
    assert run("check", "explore", folder=folder).returncode == 2
