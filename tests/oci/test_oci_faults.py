"""crabcan-oci fails closed: each of its calls fails once (tests/steps/faults.py), and nothing worse comes of it.

It refuses with one line, or the container is as ever, looked at from outside. No hang, no traceback;
what could not be removed, as that was the fault, the next delete removes.
"""
import collections
import os
import shutil
import sys
from pathlib import Path

import pytest
from cells import boxes  # noqa: F401
from conftest import wait_for

sys.path.append(str(Path(__file__).resolve().parent.parent / "steps"))
import faultrun  # noqa: E402
import faults  # noqa: E402

pytestmark = pytest.mark.slow  # left out by --fast
LAUNCHER = """
import glob, importlib, os, sys
import crabcan_steps.oci
from crabcan_steps import linux
for path in glob.glob(os.path.dirname(crabcan_steps.oci.__file__) + "/**/*.py", recursive=True):
    name = path.partition("crabcan_steps/")[2][:-3].replace("/", ".").removesuffix(".__init__")
    importlib.import_module("crabcan_steps." + name)  # or imports would be counted
import difflib, json, crabcan_steps.namespaces.accounts
from crabcan_steps.oci import __main__ as cli, interpreter
gate, tell = int(sys.argv[1]), int(sys.argv[2])
real = linux.clone3
interpreter.seal = lambda: None  # to begin anew would begin without this

def wait():
    os.readv(gate, [bytearray(1)])

def clone3(flags, cgroup=0):
    result = real(flags, cgroup)
    if result[0] == 0:
        wait()
    else:
        os.writev(tell, [b"%d\\n" % result[0]])
    return result

linux.clone3 = clone3
if sys.argv[4] == "parent":
    os.write(tell, b"imported\\n")
    wait()
cli.leave(cli.main(sys.argv[5:]))
"""
MATTER = {*faults.MATTER, "mkdirat", "rename", "openat2", "open_tree", "fsconfig", "fsmount", "mknodat", "flock", "bind",
          "pidfd_send_signal", "waitid", "unlinkat", "rmdir", "setns", "pivot_root", "symlinkat", "poll", "sendto", "recvfrom"}


class BundleRun(faultrun.Run):
    """One `run` or `exec` with a fault in it."""
    launcher = LAUNCHER

    def __init__(self, box, command, side, inject=()):
        self.box, self.command = box, command
        super().__init__(box.boxes.who, side, inject)

    def words(self, options):
        bundle = ["--bundle", str(self.box.folder)] if self.command == "run" else []
        program = ["/bin/cat"] if self.command == "exec" else []
        return ["--root", str(self.box.boxes.root), self.command, *bundle, self.box.name, *program]

    def go(self):
        super().go()
        if self.facts:
            del self.facts["NSpid"]  # of one more process it counts on
        return self

    def look_around(self):
        if self.init and not wait_for(lambda: faultrun.gone(self.init)):
            return [f"process {self.init}"]
        return self.box.left() if self.command == "run" else []


def only_bound(expected, found):
    """A device that could not be made is the machine's own: the only mount that is more."""
    more = [line for line in found if line not in expected]
    return len(found) == len(expected) + 1 and len(more) == 1 and " /dev/" in more[0]


def judge(run, call, expected, refusal):
    """(verdict, why), as in faults.py."""
    said = [line for line in run.errors.splitlines() if "cleaning up" not in line and "warning:" not in line]
    if run.hung:
        return "violation", "hangs"
    if run.left:
        if any(word.startswith("process") for word in run.left):
            return "violation", f"left behind: {run.left}"
        if not run.errors:
            return "violation", f"left behind without a word: {run.left}"
        run.box.call("delete", options=["--force"])
        if run.box.left():
            return "violation", f"cannot be deleted: {run.box.left()} {run.errors}"
    if not run.hit():
        return "missed", ""
    if "Traceback" in run.errors:
        return "violation", run.errors
    if run.facts:
        wrong = faults.differences(expected, run.facts)
        if set(wrong) == {"mounts"} and call.name.startswith("mknod") and only_bound(*wrong["mounts"]):
            return "harmless", "the machine's device is bound there"
        return ("violation", f"runs, but {wrong}") if wrong else ("harmless", run.errors)
    if run.status != refusal:
        return "violation", f"status {run.status}: {run.errors}"
    return ("refused", said[0]) if len(said) == 1 else ("violation", f"says {said}")


def chosen(calls, long):
    """The faults to try: each call with each errno, or the first of each name that matters."""
    if long:
        return [(call, injection) for call in calls for injection in faults.injections(call)]
    first = {}
    for call in calls:
        if call.name in MATTER:
            first.setdefault((call.side, call.name), call)
    return [(call, "error=EPERM" if number % 2 else "error=ENOMEM") for number, call in enumerate(first.values())]


@pytest.fixture(autouse=True)
def cache():
    yield
    shutil.rmtree(faultrun.CACHE.format(os.geteuid()), ignore_errors=True)


@pytest.mark.timeout(0)
@pytest.mark.parametrize("command, refusal", [("run", 1), ("exec", 255)])
def test_no_fault_opens_anything(boxes, command, refusal, request):  # noqa: F811
    box = boxes.box(lambda config: config["linux"].update(
        maskedPaths=["/proc/version"], readonlyPaths=["/proc/sys"], sysctl={"net.ipv4.ip_default_ttl": "77"},
        resources={"pids": {"limit": 50}}, seccomp={"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"names": ["keyctl"], "action": "SCMP_ACT_ERRNO"}]}))
    if command == "run":
        box.config["process"]["args"] = ["/bin/cat"]
        box.write()
    else:
        box.up()
    calls, facts = [], None
    for side in ("neither", "parent", "child", "parent", "child"):
        run = BundleRun(box, command, side).go()
        assert run.status == 0 and run.facts and not run.left, (run.errors, run.left)
        calls = calls[-1:] if side == "neither" else [*calls, *faults.parse(run.injected(), side)]
        assert facts is None or run.facts == facts, faults.differences(facts, run.facts)
        facts = run.facts
        if side == "child" and not hasattr(box, "warm"):
            box.warm, calls = True, []  # the first filled caches
    verdicts, wrong = collections.Counter(), []
    for call, injection in chosen(calls, request.config.getoption("long")):
        run = BundleRun(box, command, call.side, ["-e", f"trace={call.name}", "-e", f"inject={call.name}:{injection}:when={call.nth}"])
        verdict, why = judge(run.go(), call, facts, refusal)
        verdicts[verdict] += 1
        if verdict == "violation":
            wrong.append((repr(call), injection, why))
    print(command, len(calls), "calls", dict(verdicts), *wrong, sep="\n")
    assert not wrong, wrong
    assert verdicts["missed"] * 10 <= sum(verdicts.values()), verdicts
