"""`workshop explore` and `crabcan run --explore`: what they record, and the page that they make of it."""
import html
import json
import re
import subprocess
import sys

import pytest
from conftest import CHECKOUT
from crabcan_workshop import lab
from crabcan_workshop.explore import record
from crabcan_workshop.explore.document import document
from crabcan_workshop.explore.questions import compare, skip, skip_layer, without
from crabcan_workshop.explore.reducer import fold

SCRIPT = re.compile(r'<script type="application/json" id="recordings">(.*?)</script>', re.S)
HOSTILE = "</script><script>alert(1)</script><!-- <img src=x onerror=alert(2)>\u2028"


def recordings(page):
    return json.loads(SCRIPT.search(page)[1])["recordings"]


def explore(*words, folder, status=0, **more):
    result = subprocess.run([sys.executable, "-P", "-m", "crabcan_workshop", "explore", *words], cwd=folder, text=True,
                            capture_output=True, env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "HOME": str(folder),
                                                      "PYTHONPATH": str(CHECKOUT)}, **more)
    assert result.returncode == status, result.stderr
    return result


@pytest.fixture(scope="module")
def whole():
    return record.record(9)


@pytest.fixture
def place(root, tmp_path_factory):
    return tmp_path_factory.mktemp("explore")


def test_what_a_recording_says_stays_data():
    event = {"side": "parent", "chapter": 0, "layer": HOSTILE, "call": HOSTILE, "args": [HOSTILE], "options": {HOSTILE: 1},
             "result": HOSTILE, "errno": 0, "microseconds": 1}
    page = document([(HOSTILE, HOSTILE, [event])])
    assert page.count("<script") == document([]).count("<script") and "alert(1)</script>" not in page
    assert recordings(page) == [{"name": HOSTILE, "about": HOSTILE, "events": [event]}]


def test_a_chapter_with_the_next_one(place):
    said = explore("3", folder=place).stdout
    assert said == f"{place}/explorer.html: open it in a browser; it needs nothing else\n"
    found = recordings((place / "explorer.html").read_text())
    assert [one["name"] for one in found] == ["chapter 3: hostname", "chapter 4: mounts"]
    assert any(event["call"] == "sethostname" for event in found[0]["events"])
    explore("3", folder=place)  # over its own it writes again


def test_a_file_and_what_is_none(place, whole):
    record.write(whole, place / "run.jsonl")
    explore("run.jsonl", "-o", "x.html", folder=place)
    assert recordings((place / "x.html").read_text())[0]["name"] == "run"
    (place / "y.html").write_text("mine")
    for words, told in [(["run.jsonl", "-o", "y.html"], "no page of ours"), (["nope"], "nope: No such file"),
                        (["y.html"], "is no recording"), (["1"], "chapter 1 has no recording"), (["mine"], "mine which"),
                        (["--strace"], "wants a command"), (["3", "-o", "/nope/x"], "/nope/x: No such file")]:
        result = explore(*words, folder=place, status=1)
        assert told in result.stderr and result.stderr.count("\n") == 1, result.stderr
    assert (place / "y.html").read_text() == "mine"


def test_another_runtime_beside_ours(place):
    explore("--strace", "--", "unshare", "--fork", "--pid", "true", folder=place)
    theirs, ours = recordings((place / "explorer.html").read_text())
    assert theirs["name"] == "unshare" and ours["name"] == "chapter 9: runtime"
    assert fold(theirs["events"])["properties"]["pid"]["closed"]


def test_mine_is_made_in_the_room(place):
    subprocess.run([sys.executable, "-P", "-m", "crabcan_workshop", "start", place / "work"], check=True,
                   capture_output=True, cwd=place, env={"PATH": "/usr/bin:/bin", "HOME": str(place), "PYTHONPATH": str(CHECKOUT)})
    file = place / "work" / "ch03_hostname.py"
    text = file.read_text().replace('raise NotImplementedError("Hostname.child")', 'linux.sethostname("my-own-name")')
    file.write_text(text.replace('raise NotImplementedError("Hostname.prepare")', 'spec.hostname = "my-own-name"'))
    explore("mine", "3", "--dir", "work", folder=place)
    yours, ours = recordings((place / "explorer.html").read_text())
    assert yours["name"] == "yours: chapter 3" and ours["name"] == "chapter 3: hostname"
    assert [event["args"] for event in yours["events"] if event["call"] == "sethostname"] == [["my-own-name"]]


def test_after_a_run(who, folder):
    result = who.crabcan("run", "--explore", "--", "sh", "-c", "echo out; exit 3", cwd=folder)
    assert (result.returncode, result.stdout) == (3, "out\n"), result.stderr
    assert result.stderr.endswith("it needs nothing else\n")
    state = fold(recordings((folder / "explorer.html").read_text())[0]["events"])
    assert state["processes"]["child"]["program"].endswith("/sh") and state["properties"]["calls"]["closed"]
    result = who.crabcan("run", "--explore", "--", "nosuch", cwd=folder)
    assert result.returncode == 127 and (folder / "explorer.html").exists()


def test_in_a_notebook_it_is_a_frame(root):
    shown = lab.explore(3)
    assert "  name     sethostname" in repr(shown) and "  caps     open" in repr(shown)
    frame = shown._repr_html_()
    assert frame.count("<") == 2 and 'sandbox="allow-scripts allow-downloads"' in frame
    events = recordings(html.unescape(re.search('srcdoc="(.*)"', frame, re.S)[1]))[0]["events"]
    assert [event["call"] for event in events][0] == "begin"


def test_without_pivot_root_the_host_s_files_are_there(whole):
    at = next(n for n, event in enumerate(whole) if event["call"] == "pivot_root")
    assert skip(whole, [at]).keys() >= {"files", "mounts", "proc"}
    state = fold(without(whole, [at]))
    assert state["events"] == len(whole)
    assert skip(whole, []) == {}


@pytest.mark.parametrize("layer, opens", [
    ("hostname", {"name"}), ("mounts", {"files", "mounts", "proc"}), ("caps", {"caps", "no_new"}),
    ("seccomp", {"filter", "calls"}), ("clone", {"pid"}), ("terminal", {"session"}),
    ("namespaces", {"users", "ipc", "network", "cgroup", "time", "keys"}), ("cgroups", {"memory", "pids", "nofile"})])
def test_without_a_layer_its_walls_are_open(whole, layer, opens):
    assert skip_layer(whole, layer).keys() == opens


def test_two_chapters_compared(whole):
    found = compare(record.record(6), record.record(7))
    assert found["properties"] == {"filter": (None, "prctl"), "calls": (None, "prctl")}
    assert found["calls"]["prctl"][1] == found["calls"]["prctl"][0] + 2
    assert compare(whole, whole) == {"properties": {}, "calls": {}}
