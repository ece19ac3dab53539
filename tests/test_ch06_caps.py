"""Chapter 6: no capability left in any set."""
import subprocess

import pytest

from conftest import closes
from crabcan_steps import ch06_caps, linux
from crabcan_steps.ch01_args import Spec
from crabcan_steps.layer import LayerError


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
    assert "chapter 6 (caps): --cap-add: no capability" in result.stderr
    result = who.crabcan("run", "--cap-add", "EFFECTIVE", "--", "true")  # python-prctl's name for a set
    assert result.returncode == 125 and "no capability EFFECTIVE" in result.stderr


def test_a_capability_that_the_filter_makes_useless_is_said(who):
    result = who.crabcan("run", "--cap-add", "SYS_ADMIN", "--", "true")
    assert result.returncode == 0 and "SYS_ADMIN" in result.stderr and "filter" in result.stderr
    assert who.crabcan("run", "--cap-add", "SYS_ADMIN", "--layers", "all,-seccomp", "--", "true").stderr.count("SYS_ADMIN") == 0


def test_each_of_them_is_and_no_other(root):
    useless = "BPF,PERFMON,SYSLOG,SYS_ADMIN,SYS_BOOT,SYS_CHROOT,SYS_MODULE,SYS_PTRACE,SYS_RAWIO,SYS_TIME,SYS_TTY_CONFIG"
    words = ["run", "--cap-add", f"{useless},NET_ADMIN"]
    assert f"--cap-add {useless}: the filter refuses" in root.crabcan(*words, "--", "true").stderr
    for more in ["--seccomp", "unconfined"], ["--seccomp", "allow-list"]:
        result = root.crabcan(*words, *more, "--", "true")
        assert (result.returncode, result.stderr) == (0, ""), (more, result)
    assert root.crabcan("run", "--cap-add", "NET_ADMIN", "--", "true").stderr == ""


# ---------------------------------------------------------------- which ones

DOCKERS = 0xA80425FB  # what `docker run debian grep CapBnd /proc/self/status` has said for years


def test_every_capability_of_this_kernel_has_a_name(root):
    last = int(open("/proc/sys/kernel/cap_last_cap").read())
    assert sorted(value for value in ch06_caps.KNOWN.values() if value <= last) == list(range(last + 1))
    out = root.run("grep", "-E", "^Cap", "/proc/self/status", options=["--cap-add", "checkpoint_restore,BPF,CAP_PERFMON"])
    assert set(sets(out).values()) == {0b111 << 38}
    assert "no capability LAST_CAP" in root.crabcan("run", "--cap-add", "LAST_CAP", "--", "true").stderr


def test_one_that_is_younger_than_the_kernel(monkeypatch):
    monkeypatch.setattr(linux, "read", lambda path: "37\n")
    spec = Spec()
    spec.cap_add = ["BPF"]
    with pytest.raises(LayerError) as error:
        ch06_caps.Choice().prepare(spec, None)
    assert "no BPF" in error.value.about and (error.value.layer, error.value.errno) == ("caps", 0)


BECOMES_SOMEBODY = """import os
os.close(os.open("/tmp/a", os.O_CREAT)); os.chown("/tmp/a", 33, 33)
os.setgroups([]); os.setgid(33); os.setuid(33); print(os.getuid())"""


def test_docker_s_set(root):
    words = ["/usr/bin/python3", "-c", BECOMES_SOMEBODY]
    assert root.crabcan("run", "--", *words).returncode == 1
    assert root.run(*words, options=["--caps", "docker"]) == "33\n"
    out = sets(root.run("grep", "-E", "^Cap", "/proc/self/status", options=["--caps", "docker"]))
    assert out["CapBnd:"] == out["CapEff:"] == DOCKERS
    result = root.crabcan("run", "--caps", "docker", "--cap-drop", "CHOWN", "--", *words)
    assert result.returncode == 1 and "PermissionError" in result.stderr


@pytest.mark.parametrize("options, expected", [
    (["--caps", "docker", "--cap-drop", "chown,MKNOD"], DOCKERS & ~(1 | 1 << 27)),
    (["--caps", "docker", "--cap-drop", "ALL", "--cap-add", "CHOWN"], 1), (["--cap-drop", "ALL"], 0),
    (["--caps", "docker", "--cap-add", "SYS_NICE"], DOCKERS | 1 << 23), (["--caps", "none"], 0),
    (["--cap-add", "CHOWN", "--cap-drop", "CHOWN"], 1),  # what is named one by one, counts: as in Docker
    (["--caps", "docker", "-u", "1000"], 0), (["--caps", "docker", "-u", "1000", "--cap-add", "KILL"], 1 << 5)])
def test_a_set_less_some_and_some_more(root, options, expected):
    out = sets(root.run("grep", "-E", "^Cap", "/proc/self/status", options=options))
    assert set(out.values()) == {expected}


def test_all_but(root):
    last = int(open("/proc/sys/kernel/cap_last_cap").read())
    out = sets(root.run("grep", "-E", "^CapEff", "/proc/self/status", options=["--cap-add", "ALL", "--cap-drop", "CHOWN"]))
    assert out["CapEff:"] == (1 << last + 1) - 2


def test_a_misspelt_one_to_drop(root):
    result = root.crabcan("run", "--cap-drop", "CHOWM", "--", "true")
    assert result.returncode == 125 and "did you mean CHOWN" in result.stderr


def test_docker_s_set_needs_no_warning_of_the_filter(root):
    assert "filter" not in root.crabcan("run", "--caps", "docker", "--", "true").stderr
