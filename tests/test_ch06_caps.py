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


@pytest.mark.parametrize("uid", ["0", "5"])
def test_capabilities_asked_for_are_kept_in_all_sets_and_no_others(root, uid):
    out = root.run("grep", "-E", "^Cap", "/proc/self/status",
                   options=["--cap-add", "net_raw", "--cap-add", "CAP_CHOWN", "-u", uid])
    assert set(sets(out).values()) == {1 << 13 | 1 << 0}


def test_a_kept_capability_works(who):
    command = ["sh", "-c", "touch /tmp/x && chmod 0 /tmp/x && cat /tmp/x && echo read"]
    assert who.crabcan("run", "--", *command).returncode != 0
    assert who.run(*command, options=["--cap-add", "DAC_OVERRIDE"]) == "read\n"


def test_a_capability_that_does_not_exist(who):
    result = who.crabcan("run", "--cap-add", "NET_ROW", "--", "true")
    assert result.returncode == 125 and "NET_ROW: did you mean NET_RAW?" in result.stderr
    result = who.crabcan("run", "--cap-add", "EFFECTIVE", "--", "true")  # python-prctl's name for a set
    assert result.returncode == 125 and "no capability EFFECTIVE" in result.stderr


def test_a_capability_that_the_filter_makes_useless_is_said(who):
    result = who.crabcan("run", "--cap-add", "SYS_ADMIN", "--", "true")
    assert result.returncode == 0 and "SYS_ADMIN" in result.stderr and "filter" in result.stderr
    assert who.crabcan("run", "--cap-add", "SYS_ADMIN", "--layers", "all,-seccomp", "--", "true").stderr.count("SYS_ADMIN") == 0
