"""Chapter 6: no capability left in any set."""
import subprocess

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


def test_inheritable_and_ambient_capabilities_are_dropped_too(root):
    """Without a user namespace, which would have emptied those two by itself."""
    command = ["setpriv", "--inh-caps", "+sys_chroot", "--ambient-caps", "+sys_chroot",
               *root.command("run", "--layers", "all,-namespaces", "--", "grep", "-E", "^Cap", "/proc/self/status")]
    result = subprocess.run(command, env=root.environment, text=True, capture_output=True)
    assert set(sets(result.stdout).values()) == {0}, result
