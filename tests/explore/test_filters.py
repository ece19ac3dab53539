"""What is said of a filter is what it answers: beside the kernel's machine, and beside the kernel."""
import base64
import json
import random

import pytest
from bpfmachine import bpf
from crabcan_workshop.explore import record
from crabcan_workshop.explore.filters import LAST, kind_of, summary
from crabcan_workshop.explore.reducer import fold

# Asks the kernel for calls that do nothing with such arguments, and prints the errno of each.
ASK = """
import ctypes, json, sys
libc = ctypes.CDLL(None, use_errno=True)
told = {}
for number in json.loads(sys.argv[1]):
    ctypes.set_errno(0)
    told[number] = ctypes.get_errno() if libc.syscall(number, -1, -1, -1, -1, -1, -1) < 0 else 0
print(json.dumps(told))
"""
HARMLESS = {"keyctl": 250, "add_key": 248, "mount": 165, "umount2": 166, "pivot_root": 155, "bpf": 321, "swapon": 167,
            "init_module": 175, "perf_event_open": 298, "getpid": 39, "dup": 32, "close": 3, "fchdir": 81, "flock": 73}


@pytest.fixture(scope="module")
def programs():
    """The compiled filters of a default run."""
    return [base64.b64decode(event["data"]) for event in record.record(7) if "filter" in event]


def test_each_call_of_each_filter(programs):
    assert len(programs) == 2
    dice, seen = random.Random(7), set()
    for code in programs:
        told = summary(code)
        kinds = {n: kind for kind in ("allowed", "errno", "killed", "depends") for n in told[kind]}
        assert sorted(kinds) == list(range(LAST + 1))
        for number, kind in kinds.items():
            for _ in range(8):
                args = [dice.choice([0, 1, 2, 1 << 28, 0o4755, (1 << 64) - 1, dice.getrandbits(64)]) for _ in range(6)]
                answer = kind_of(bpf(code, number, args))
                assert kind in (answer, "depends"), (number, args)
            seen.add(kind)
    assert seen >= {"allowed", "errno", "depends"}


@pytest.mark.parametrize("options, closed", [([], True), (["--seccomp", "allow-list"], False),
                                             (["--seccomp", "unconfined"], False)])
def test_and_the_kernel_answers_so(root, tmp_path, options, closed):
    ask = ["/usr/bin/python3", "-Ic", ASK, json.dumps(list(HARMLESS.values()))]
    result = root.crabcan("run", *options, "--trace", tmp_path / "events", "--", *ask)
    assert result.returncode == 0, result.stderr
    state = fold(record.read(tmp_path / "events"))
    filters = state["processes"]["child"]["filters"]
    refused = {n for told in filters for n in told["errno"]}
    answers = {int(number): errno for number, errno in json.loads(result.stdout).items()}
    for number in answers.keys() & refused:
        assert answers[number] in (1, 38), number
    assert {HARMLESS[name] for name in ("getpid", "dup", "close")}.isdisjoint(refused)
    assert (HARMLESS["keyctl"] in refused) == bool(filters)
    assert state["properties"]["calls"]["closed"] == closed
