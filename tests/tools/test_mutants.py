"""tools/mutants.py: its tables name what there is, and what it breaks can be read."""
import ast
import re

import pytest

from conftest import CHECKOUT
from tools import mutants

STEPS = CHECKOUT / "crabcan_steps"
TESTS = {path.stem.removeprefix("test_") for path in CHECKOUT.glob("tests/**/test_*.py")}


def test_each_module_that_is_named_is_there():
    """Else its breakages are tried with tests of something else."""
    for name in (*mutants.TESTS, *mutants.USERS):
        assert (STEPS / name).is_dir() if name.endswith("/") else (STEPS / f"{name}.py").is_file(), name
    for pattern in mutants.EXCUSED:
        module = re.match(r"[\w/]+", pattern)[0]
        assert (STEPS / f"{module}.py").is_file(), pattern


@pytest.mark.parametrize("module", mutants.TESTS)
def test_each_test_that_is_named_is_there(module):
    assert set(mutants.TESTS[module].split()) <= TESTS


def test_a_breakage_is_a_program_and_another_one():
    text = (STEPS / "ch03_hostname.py").read_text()
    found = list(mutants.mutants(text))
    assert len(found) > 20 and {kind for kind, *_ in found} <= set(mutants.KINDS)
    for _, line, what, broken in found:
        ast.parse(broken)
        assert broken != text and 1 <= line <= text.count("\n") and what
