"""Chapter 6: no capability left in any set."""
import pytest

from conftest import closes


@pytest.mark.parametrize("name", ["caps", "no_new"])
def test_property(matrix, name):
    closes(matrix, name, 6)


def sets(text):
    return {line.split()[0]: int(line.split()[1], 16) for line in text.splitlines()}


def test_all_five_sets_are_empty_and_full_without_the_layer(who):
    command = ["grep", "-E", "^Cap", "/proc/self/status"]
    assert set(sets(who.run(*command)).values()) == {0}
    without = sets(who.run(*command, options=["--layers", "all,-caps"]))
    assert without["CapEff:"] and without["CapBnd:"]
