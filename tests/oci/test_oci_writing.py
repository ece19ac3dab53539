"""`run --write-bundle`: the container is its file; what runs by crabcan, runs under runc the same."""
import json
import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest
from boxes import Engine

from crabcan_steps.oci import onefilter
from crabcan_steps.seccomp.cache import PROFILES

SHOW = """
import fcntl, json, os, socket
def refused(call, *args):
    try: call(*args)
    except OSError as error: return error.errno
    return 0
status = dict(x.split(":", 1) for x in open("/proc/self/status"))
print(json.dumps({
    "name": os.uname().nodename, "uid": os.getuid(), "pid": os.getpid(), "cwd": os.getcwd(),
    "status": {x: status[x].strip() for x in ("CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp")},
    "tiocsti": refused(fcntl.ioctl, 0, 0x5412, b"x"), "more than 32 bits": refused(fcntl.ioctl, 0, 1 << 32 | 0x5412, b"x"),
    "vsock": refused(socket.socket, 40, 1, 0), "inet": refused(socket.socket, 2, 1, 0),
    "setuid": refused(os.chmod, "/tmp", 0o4755), "chmod": refused(os.chmod, "/tmp", 0o1777),
    "map": open("/proc/self/uid_map").read().split(), "etc": sorted(os.listdir("/etc")), "data": os.listdir("/data"),
    "kcore": os.path.getsize("/proc/keys"), "sysrq": os.access("/proc/sysrq-trigger", os.W_OK)}))
"""


@pytest.fixture
def written(root, folder):
    """A bundle of a container with a name, a file of the host's, and a program that shows it all.

    The file is on a mount without devices, as Debian 13's /tmp is: in a user namespace nobody may ask for less."""
    (folder / "data").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "nodev,noexec", "tmpfs", folder / "data"], check=True)
    (folder / "data/here").touch()
    words = ["--hostname", "same", "-v", f"{folder}/data:/data:ro", "-w", "/tmp", "--memory", "64M"]
    command = ["--", "/usr/bin/python3", "-I", "-c", SHOW]
    ours = root.crabcan("run", *words, *command)
    assert ours.returncode == 0, ours.stderr
    result = root.crabcan("run", *words, "--write-bundle", folder / "bundle", *command)
    assert result.returncode == 0 and not result.stdout, result.stderr
    yield folder / "bundle", json.loads(ours.stdout)
    subprocess.run(["umount", folder / "data"], check=True)


def test_it_runs_by_crabcan_oci_as_by_run(root, folder, written):
    bundle, expected = written
    engine = Engine(root, folder)
    assert json.loads(engine.does("run", "--bundle", bundle, "one")) | {"status": {}} == expected | {"status": {}}
    assert json.loads(engine.does("run", "--bundle", bundle, "two"))["status"]["CapBnd"] == "0000000000000000"
    assert not os.listdir(engine.root)


@pytest.mark.parametrize("runtime", ["runc"])
def test_it_runs_under_another_runtime_the_same(root, folder, written, runtime):
    if not (program := shutil.which(runtime, path="/usr/bin:/usr/sbin")):
        pytest.skip(f"no {runtime} here")
    bundle, expected = written
    result = subprocess.run([program, "--root", str(folder / "runc"), "run", "--bundle", str(bundle), "one"],
                            input="", capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert found | {"status": {}} == expected | {"status": {}}
    assert found["status"] == expected["status"]


def written_by(root, folder, *options):
    result = root.crabcan("run", *options, "--write-bundle", folder / "bundle", "--", "true")
    assert result.returncode == 0, result.stderr
    return json.loads((folder / "bundle/config.json").read_text())


def test_group_and_groups_are_those_of_the_user(root, folder):
    assert written_by(root, folder, "--user", "7:8")["process"]["user"] == {"uid": 7, "gid": 8, "additionalGids": []}


def test_a_condition_of_a_profile_is_decided(root, folder):
    rule = {"names": ["reboot"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_BOOT"]}}
    (folder / "mine.json").write_text(json.dumps({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [rule]}))
    assert written_by(root, folder, "--seccomp", folder / "mine.json")["linux"]["seccomp"]["syscalls"] == []


def test_a_device_may_be_used(root, folder):
    rules = written_by(root, folder, "--device", "/dev/full")["linux"]["resources"]["devices"]
    assert {"allow": True, "type": "c", "access": "rwm", "major": 1, "minor": 7} in rules


@pytest.mark.parametrize("options", [["--layers", "all,-seccomp"], ["--init"], ["--io-weight", "5"]])
def test_what_a_bundle_cannot_say_is_refused(root, folder, options):
    result = root.crabcan("run", *options, "--write-bundle", folder / "bundle", "--", "true")
    assert result.returncode == 125 and options[0] in result.stderr and not (folder / "bundle").exists()


def test_it_writes_over_nothing(root, folder):
    (folder / "bundle").mkdir()
    (folder / "bundle/mine").touch()
    result = root.crabcan("run", "--write-bundle", folder / "bundle", "--", "true")
    assert result.returncode == 125 and "not empty" in result.stderr
    assert os.listdir(folder / "bundle") == ["mine"]


# ---------------------------------------------------------------- two lists as one

LISTS = [json.loads(Path(PROFILES, f"{name}.json").read_text()) for name in ("allow-list", "deny-list")]


def holds(comparison, value):
    if comparison["op"] == "SCMP_CMP_EQ":
        return value == comparison["value"]
    assert comparison["op"] == "SCMP_CMP_MASKED_EQ"
    return value & comparison["value"] == comparison["valueTwo"]


def answer(profile, name, args):
    """What a filter says of a call: the errno, or 0. As libseccomp reads it: no rule twice."""
    for rule in profile["syscalls"]:
        if name in rule["names"] and all(holds(c, args[c["index"]]) for c in rule.get("args") or ()):
            return rule.get("errnoRet", 1) if rule["action"] == "SCMP_ACT_ERRNO" else 0
    return profile.get("defaultErrnoRet", 1) if profile["defaultAction"] == "SCMP_ACT_ERRNO" else 0


def test_one_filter_allows_what_both_lists_allow_and_no_more():
    """For each call with rules about arguments: values near those that the rules name, and any."""
    allow, deny = LISTS
    one = onefilter.merged(allow, deny)
    drawn = random.Random(10)
    names = sorted({name for rule in allow["syscalls"] + deny["syscalls"] for name in rule["names"]})
    rules, near = allow["syscalls"] + deny["syscalls"], {}
    for comparison in (c for rule in rules for c in rule.get("args") or ()):
        value = comparison.get("valueTwo", comparison["value"])
        near.setdefault(comparison["index"], []).extend((value, value | 1 << 40, value ^ 1, ~value & (1 << 64) - 1))
    for name in names:
        for _ in range(60 if any(name in rule["names"] and rule.get("args") for rule in rules) else 2):
            args = [drawn.choice([*near.get(index, ()), 0, drawn.getrandbits(64), drawn.getrandbits(12)])
                    for index in range(6)]
            both = answer(allow, name, args) or answer(deny, name, args)
            assert bool(answer(one, name, args)) == bool(both), (name, args)


def test_a_rule_whose_contrary_cannot_be_said_is_refused():
    with pytest.raises(ValueError, match="no contrary"):
        onefilter.contrary([[{"index": 0, "value": 5, "op": "SCMP_CMP_GT"}]])
