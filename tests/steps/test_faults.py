"""The runtime fails closed: each of its calls fails once (faults.py), and nothing worse comes of it.

It refuses, with one line that names layer and call; or the container's protections, read from
outside, are what they always are. No hang, no traceback, nothing left behind.
"""
import os
import re

import pytest

import faults
from conftest import UNIFIED

pytestmark = pytest.mark.slow  # left out by --fast


@pytest.fixture(scope="module")
def baselines():
    yield {}
    faults.clean()


@pytest.fixture
def baseline(who, baselines):
    if who.name not in baselines:
        baselines[who.name] = faults.baseline(who)
    return baselines[who.name]


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_no_fault_opens_anything(who, baseline, request):
    calls, facts, warned = baseline
    chosen = faults.everything(calls) if request.config.getoption("--long") else faults.sample(calls)
    results = list(faults.run_all(who, chosen, facts, warned))
    print(faults.render(faults.table(results)))
    assert [(repr(call), injection, why) for call, injection, verdict, why in results
            if verdict == "violation"] == []
    missed = [call for call, _, verdict, _ in results if verdict == "missed"]
    assert len(missed) <= len(results) // 50, missed


def test_the_range_is_all_of_ours(baseline):
    """From main() to the end, and in the child to execve: every layer has calls in it."""
    calls = baseline[0]
    assert {call.layer for call in calls} >= {"clone", "hostname", "mounts", "namespaces", "caps",
                                              "seccomp", "cgroups", "terminal", "protocol"}
    ours = {(call.side, call.name) for call in calls}
    assert ours >= {("parent", "clone3"), ("child", "pivot_root"), ("child", "capset"), ("child", "execve"),
                    ("parent", "waitid"), ("child", "keyctl"), ("child", "close_range")}


# What fault injection has found, each once: which call, what is done to it, words of the message.
FOUND = [
    ("parent newfstatat.*/proc/keys", "error=EACCES", "namespaces.*lstat"),  # no keyring of its own
    ("child prctl#1 ", "error=EPERM", "prctl: Operation not permitted"),     # its report was not read
    ("child close#1 ", "error=EIO", "close: Input/output error"),            # "Broken pipe" hid it
    ("child setsid", "error=EPERM", "terminal.*setsid"),
    ("child prlimit64#1 ", "error=EPERM", "cgroups.*setrlimit: Operation not permitted"),  # a ValueError
    ("child rt_sigaction#3 ", "error=EINVAL", "sigaction|signal: Invalid"),
    ("parent newfstatat.*/usr/bin/newuidmap", "error=EACCES", "namespaces.*lstat"),  # kept our groups
    ("parent openat.*/etc/subuid", "error=EACCES", "namespaces.*read"),      # the same
    ("parent newfstatat.*\"/usr\"", "error=EACCES", "mounts.*stat"),         # a root without /usr
    ("parent rmdir#1 ", "error=EBUSY", None), ("parent pidfd_send_signal#1 ", "error=EPERM", None),
    ("parent write.*\"go\"", "error=EINVAL", "clone.*write: Invalid"),  # "args"
    ("parent flock#1 ", "error=EPERM", "cgroups.*--memory .flock /sys/")]  # a cgroup stayed


@pytest.mark.parametrize("pattern, injection, words", FOUND, ids=[pattern for pattern, _, _ in FOUND])
def test_what_was_found(who, baseline, pattern, injection, words):
    calls, facts, warned = baseline
    chosen = [call for call in calls if re.match(pattern, f"{call.side} {call.name}#{call.nth} {call.text}")]
    if not chosen:
        pytest.skip(f"this user's runtime makes no such call: {pattern}")
    verdict, why = faults.attempt(who, chosen[0], injection, facts, warned)
    assert verdict == ("refused" if words else "harmless"), why
    assert re.search(words or "", why)


def test_a_neighbour_that_cannot_be_seen_is_not_swept(root):
    """The directory of a living crabcan, whose /proc entry cannot be looked at."""
    place = f"/sys/fs/cgroup/{'' if UNIFIED else 'pids/'}crabcan-{os.getpid()}-0123abcd"
    os.mkdir(place)
    try:
        calls, facts, warned = faults.baseline(root)
        call = next(call for call in calls if f'"/proc/{os.getpid()}"' in call.text)
        assert faults.attempt(root, call, "error=EACCES", facts, warned)[0] == "refused"
        assert os.path.exists(place)
    finally:
        os.rmdir(place)
        faults.clean()
