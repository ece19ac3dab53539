"""podman where systemd makes the cgroups, of version 2: root's, and an ordinary user's by delegation."""
import json
import os

import pytest

from conftest import UNIFIED
from engines import RUNC, need_podman, runtime_for

pytestmark = pytest.mark.timeout(300)
MEGA = 1 << 20
LOOK = """
import json, os, subprocess, sys, time
from pathlib import Path
from crabcan_workshop.engine import image
from crabcan_workshop.engine.podman import Podman
runtime = sys.argv[1]
systemctl = ["systemctl", *(["--user"] if os.geteuid() else [])]

def lifecycle(engine):
    box = engine.must("run", "--detach", "--memory", "64m", "--memory-swap", "96m", "--pids-limit", "20",
                      "--cpus", "0.5", "--name", "box", image.NAME, "sleep", "100")
    pid = engine.must("inspect", "--format", "{{.State.Pid}}", "box")
    place = Path(f"/proc/{pid}/cgroup").read_text().strip().removeprefix("0::")
    unit, folder = f"libpod-{box}.scope", Path(f"/sys/fs/cgroup{place}")
    def told(*files):
        return [folder.joinpath(file).read_text().strip() for file in files]
    def shown(name):
        return subprocess.run([*systemctl, "show", "--value", "-p", name, unit], capture_output=True,
                              text=True, check=True).stdout.strip()
    limits = "memory.max", "memory.swap.max", "pids.max", "cpu.max"
    found = {"limits": told(*limits), "unit": [shown(name) for name in ("MemoryMax", "TasksMax", "Delegate")],
             "scope": unit in place, "inside": engine.must("exec", "box", "sh", "-c", "cd /sys/fs/cgroup; cat memory.max"
                                                           " pids.max; cut -d: -f3 /proc/self/cgroup").split()}
    engine.must("update", "--memory", "32m", "--memory-swap", "32m", "--cpus", "0.25", "--pids-limit", "30", "box")
    found["updated"] = told(*limits), [shown(name) for name in ("MemoryMax", "TasksMax")]
    engine.must("pause", "box")
    found["paused"] = told("cgroup.freeze"), engine.must("inspect", "--format", "{{.State.Status}}", "box")
    engine.must("unpause", "box")
    found["resumed"] = told("cgroup.freeze")
    found["stats"] = engine.must("stats", "--no-stream", "--format", "{{.MemUsage}}", "box").rpartition("/")[2]
    found["top"] = engine.must("top", "box", "args").splitlines()[1:]
    status = engine.call("exec", "box", "sh", "-c", "exit 5").returncode
    engine.must("stop", "--time", "1", "box")
    found["ended"] = status, engine.must("inspect", "--format", "{{.State.ExitCode}}", "box")
    engine.must("rm", "box")
    for _ in range(100):
        if not folder.exists() and shown("LoadState") == "not-found":
            break
        time.sleep(0.1)
    found["left"] = folder.exists(), shown("LoadState")
    return found

with Podman(runtime, cgroups="systemd") as engine:
    found = lifecycle(engine)
    found["calls"] = [[call.command, call.words, call.status] for call in engine.calls()]
print(json.dumps(found))
"""


def look(who, runtime):
    result = who.script(LOOK, runtime, timeout=280)
    assert result.returncode == 0, result.stderr[-3000:]
    return json.loads(result.stdout)


@pytest.fixture(scope="module", params=["root", "user"])
def who(request):
    if not UNIFIED or not os.path.isdir("/run/systemd/system"):
        pytest.skip("needs systemd, and cgroup version 2")
    need_podman()
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def ours(who):
    return look(who, runtime_for(who))


def test_limits_are_in_the_cgroup_and_systemd_knows_them(ours):
    assert ours["scope"] and ours["unit"] == [str(64 * MEGA), "20", "yes"]
    assert ours["limits"] == [str(64 * MEGA), str(32 * MEGA), "20", "50000 100000"]
    assert ours["inside"] == [str(64 * MEGA), "20", "/"]
    assert ours["updated"] == [[str(32 * MEGA), "0", "30", "25000 100000"], [str(32 * MEGA), "30"]]


def test_pause_exec_and_end(ours):
    assert ours["paused"] == [["1"], "paused"] and ours["resumed"] == ["0"]
    assert ours["top"] == ["sleep 100"] and ours["ended"] == [5, "137"]
    assert ours["left"] == [False, "not-found"]


def test_the_runtime_was_ours(ours):
    made = [words for command, words, status in ours["calls"] if command == "create" and status == 0]
    assert len(made) == 1 and "--systemd-cgroup" in made[0]


@pytest.mark.slow
def test_the_same_as_with_runc(who, ours):
    theirs = look(who, RUNC)
    assert {**theirs, "calls": []} == {**ours, "calls": []}
