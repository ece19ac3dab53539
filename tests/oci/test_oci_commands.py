"""pause, resume, ps, update and events, as functions of a container's state."""
import io
import json
import subprocess
import sys
import time

import pytest
from bundles import NAME, bundle, text
from conftest import UNIFIED, gone, wait_for

from crabcan_steps.layer import LayerError
from crabcan_steps.oci.cgroups import freezer, stats
from crabcan_steps.oci.commands import events, pause, ps, update

pytestmark = pytest.mark.usefixtures("root")
PATH = f"/{NAME}/commands"
MEGA = 1 << 20


def test_pause_and_resume():
    with bundle(path=PATH) as state:
        assert pause.pause(state, {}) == 0
        assert freezer.frozen(state["cgroups"])
        paused = state | {"status": "paused"}
        with pytest.raises(LayerError, match="container not running"):
            pause.pause(paused, {})
        assert pause.resume(paused, {}) == 0
        assert not freezer.frozen(state["cgroups"])
        with pytest.raises(LayerError, match="container not paused"):
            pause.resume(state, {})


def test_ps(capsys):
    with bundle(path=PATH) as state:
        assert ps.ps(state, {"format": "json"}) == 0
        assert json.loads(capsys.readouterr().out) == [state["pid"]]
        assert ps.ps(state, {}) == 0
        title, *rows = capsys.readouterr().out.splitlines()
        assert "PID" in title and len(rows) == 1 and "sleep 100" in rows[0]
        assert ps.ps(state, {"args": ["-o", "pid,comm", "-e"]}) == 0
        assert capsys.readouterr().out.splitlines()[1].split() == [str(state["pid"]), "sleep"]
        for bad in {"format": "yaml"}, {"args": ["-o", "comm"]}, {"args": ["--nonsense"]}:
            with pytest.raises(LayerError):
                ps.ps(state, bad)


def test_update_by_options_and_by_a_file(tmp_path, monkeypatch):
    file = "memory.max" if UNIFIED else "memory.limit_in_bytes"
    with bundle(path=PATH, resources={"memory": {"limit": 32 * MEGA}, "pids": {"limit": 20}}) as state:
        update.update(state, {"memory": "50M", "cpu-share": "200", "pids-limit": "0"})
        assert text(state, "memory", file) == str(50 * MEGA)
        assert text(state, "pids", "pids.max") == "1"
        assert text(state, "cpu", "cpu.weight" if UNIFIED else "cpu.shares") in ("29", "200")
        update.update(state, {"memory": "-1", "cpuset-cpus": "0"})
        assert text(state, "memory", file) in ("max", "9223372036854771712")
        assert text(state, "cpuset", "cpuset.cpus") == "0"
        (tmp_path / "r.json").write_text('{"Memory": {"Limit": 33554432}, "pids": {"limit": 9}}')
        update.update(state, {"resources": str(tmp_path / "r.json")})
        assert (text(state, "memory", file), text(state, "pids", "pids.max")) == ("33554432", "9")
        monkeypatch.setattr(sys, "stdin", io.StringIO('{"pids": {"limit": 11}}'))
        update.update(state, {"resources": "-"})
        assert text(state, "pids", "pids.max") == "11"
        (tmp_path / "r.json").write_text('{"pids": {"limit": 0}}')
        for version, said in ("1.2.0", "11"), ("1.3.0", "1"):  # an older engine's 0 says nothing
            update.update(state | {"ociVersion": version}, {"resources": str(tmp_path / "r.json")})
            assert text(state, "pids", "pids.max") == said


@pytest.mark.parametrize("options", [
    {"memory": "lots"}, {"cpu-share": "-3"}, {"cpu-quota": "1.5"}, {"pids-limit": "many"},
    {"resources": "/nowhere"}, {"l3-cache-schema": "L3:0=f"}])
def test_update_says_which_option_is_wrong(options):
    state = {"status": "running", "id": "x", "cgroups": {"version": 1, "paths": {}}}
    with pytest.raises((LayerError, FileNotFoundError)) as caught:
        update.update(state, options)
    assert next(iter(options)) in str(caught.value) or "/nowhere" in str(caught.value)


def test_stats():
    burn = "x = b'x' * 20_000_000\nimport time\nend = time.time() + 1\nwhile time.time() < end: pass\n"
    limits = {"memory": {"limit": 64 * MEGA}, "pids": {"limit": 20}, "cpu": {"cpus": "0"}}
    command = ["python3", "-c", burn + "time.sleep(100)"]
    with bundle(path=PATH, resources=limits, command=command) as state:
        assert wait_for(lambda: stats.stats(state["cgroups"])["memory"]["usage"]["usage"] > 20_000_000)
        assert wait_for(lambda: stats.stats(state["cgroups"])["cpu"]["usage"]["total"] > 100_000_000)
        found = stats.stats(state["cgroups"])
        assert found["memory"]["usage"]["limit"] == 64 * MEGA
        assert found["memory"]["usage"]["usage"] > 20_000_000
        assert found["memory"]["raw"]
        assert found["pids"] == {"current": 1, "limit": 20}
        assert found["cpuset"]["cpus"] == [0]
        json.dumps(found)


def test_events_stats(capsys):
    with bundle(path=PATH) as state:
        assert events.events(state, {"stats": True}) == 0
        event = json.loads(capsys.readouterr().out)
        assert (event["type"], event["id"]) == ("stats", state["id"])
        assert {"cpu", "memory", "pids", "blkio", "hugetlb"} <= set(event["data"])


EVENTS = """
import json, sys
from crabcan_steps.oci.commands.events import events
sys.exit(events(json.loads(sys.argv[1]), {"interval": sys.argv[2]}))
"""


def test_events_tell_of_no_memory_and_end_with_the_container():
    hog = "import time\ntime.sleep(1.5)\nx = []\nwhile True: x.append(b'x' * 1_000_000)"
    limits = {"memory": {"limit": 40 * MEGA, "swap": 40 * MEGA}}
    with bundle(path=PATH, resources=limits, command=["python3", "-c", hog]) as state:
        done = subprocess.Popen([sys.executable, "-c", EVENTS, json.dumps(state), "200ms"], text=True,
                                stdout=subprocess.PIPE)
        assert wait_for(lambda: gone(state["pid"]), 60)
        if not UNIFIED:  # its cgroup tells no end before it is removed
            time.sleep(0.5)
            from crabcan_steps.oci.cgroups import processes
            processes.remove(state["cgroups"])
        said, _ = done.communicate(timeout=20)
        assert done.returncode == 0
        kinds = [json.loads(line)["type"] for line in said.splitlines()]
        assert "oom" in kinds and "stats" in kinds


@pytest.mark.parametrize("text, seconds", [("5s", 5), ("1m30s", 90), ("100ms", 0.1), ("1.5h", 5400)])
def test_duration(text, seconds):
    assert events.duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["5", "s", "5x", "-5s", "1..5s"])
def test_no_duration(text):
    with pytest.raises(LayerError):
        events.duration(text)
