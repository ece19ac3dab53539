"""`workshop explore` and `crabcan run --explore`: what they record, and the page that they make of it."""
import gzip
import html
import json
import re
import subprocess
import sys

import browser as chromium
import pytest
from conftest import CHECKOUT
from crabcan_workshop import lab
from crabcan_workshop.lab import desk
from crabcan_workshop.lab.mine import Check
from crabcan_workshop.explore import reading, record, strace
from crabcan_workshop.explore.document import document
from crabcan_workshop.explore.questions import compare, skip, skip_layer, without
from crabcan_workshop.explore.reducer import fold

SCRIPT = re.compile(r'<script type="application/json" id="recordings">(.*?)</script>', re.S)
HOSTILE = "</script><script>alert(1)</script><!-- <img src=x onerror=alert(2)>\u2028"


def recordings(page):
    found = json.loads(SCRIPT.search(page)[1])["recordings"]
    return [{"name": one["name"], "about": one["about"], "events": [
        reading.complete({**one["heads"][event.pop("is")], **event}, "") for event in one["events"]]} for one in found]


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
             "result": HOSTILE, "errno": 0, "microseconds": 1, "at": 0}
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
                        (["y.html"], "y.html, line 1: no JSON. Is it a recording"), (["1"], "chapter 1 has no recording"), (["mine"], "mine which"),
                        (["--strace"], "wants a command"), (["3", "-o", "/nope/x"], "/nope/x: No such file")]:
        result = explore(*words, folder=place, status=1)
        assert told in result.stderr and result.stderr.count("\n") == 1, result.stderr
    assert (place / "y.html").read_text() == "mine"


@pytest.mark.parametrize("name, change, told", [
    ("nan", {"at": float("nan")}, "x, line 9: no JSON"), ("infinite", {"args": [float("inf")]}, "x, line 9: no JSON"),
    ("deep", {"args": "DEEP"}, "x, line 9: nested deeper"), ("nameless", {"call": 7}, 'line 9: it names no "call"'),
    ("newer", {"call": "begin", "options": {"format": 2}}, "is of form 2, and this explorer knows 1")])
def test_a_file_that_is_broken_or_newer_is_one_line(place, whole, name, change, told):
    lines = [json.dumps(event) for event in [*whole[1:9], {**whole[9], **change}]]
    (place / "x").write_text("\n".join(lines).replace('"DEEP"', "[" * 90000 + "]" * 90000))
    result = explore("x", "--text", folder=place, status=1)
    assert told in result.stderr and result.stderr.count("\n") == 1, result.stderr


def test_a_file_that_is_cut_off_packed_or_strace_s(place, whole):
    record.write(whole, place / "run")
    text = (place / "run").read_text()
    told = explore("run", "--text", folder=place).stdout
    (place / "run").write_text(text[:-40])
    said = explore("run", "--text", folder=place)
    assert f"run is cut off in line {len(whole)}" in said.stderr and said.stdout == told  # what is left out is a close
    (place / "run").write_bytes(gzip.compress(text.encode()))
    assert explore("run", "--text", folder=place).stdout == told
    (place / "run").write_bytes(gzip.compress(text.encode())[:-40])
    assert "gzip cannot unpack it" in explore("run", "--text", folder=place, status=1).stderr
    (place / "run").write_text("\ufeff" + text.replace("\n", "\r\n"))
    assert explore("run", "--text", folder=place).stdout == told
    command = ["unshare", "--net", "--fork", "true"]
    subprocess.run(["strace", *strace.OPTIONS, "-o", place / "raw", "--", *command], check=True)
    assert cells(explore("raw", "--text", folder=place).stdout)["network"][0].endswith("parent clone")
    subprocess.run(["strace", "-f", "-o", place / "names", "--", *command], check=True)
    said = explore("names", "--text", folder=place, status=1).stderr
    assert "needs numbers and times: strace -f -v" in said and said.count("\n") == 1


def test_values_of_the_wrong_kind_are_none(place, whole):
    odd = [{"at": "x"}, {"side": [1]}, {"args": {}}, {"options": 5}, {"layer": None}, {"errno": "EPERM"}, {"microseconds": {}},
           {"call": "prctl", "data": "AAAA"}, {"call": "prctl", "data": 7}, {"at": 10 ** 400}, {"side": "\udcff", "args": ["\ud800"]}]
    record.write([*whole, *({**whole[50], **change} for change in odd)], place / "odd")
    explore("odd", "-o", "odd.html", folder=place)
    assert len(recordings((place / "odd.html").read_text())[0]["events"]) == len(whole) + len(odd)
    (place / "one").write_text('{"call": "open"}')
    assert set(sum(cells(explore("one", "--text", folder=place).stdout).values(), [])) == {"open"}


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


def cells(text):
    """{property: its cells} of the text form; a cell is what stands after two spaces."""
    _, *rows = [re.split(r"  +", line) for line in re.sub(r"#(\d+) +", r"#\1 ", text).splitlines()]
    return {row[0]: row[1:] for row in rows}


def test_as_text_with_and_without_an_event(place, whole):
    record.write(whole, place / "run.jsonl")
    at = next(n for n, event in enumerate(whole, 1) if event["call"] == "pivot_root")
    for word in "pivot_root", str(at):
        told = cells(explore("run.jsonl", "--text", "--without", word, folder=place).stdout)
        assert told["mounts"] == [f"#{at} child pivot_root", "open"] and told["files"][1] == "open"
        assert told["cpu"] == ["open", "open"] and told["name"][0] == told["name"][1] != "open"
    told = cells(explore("run.jsonl", "--text", "--without", "seccomp", folder=place).stdout)
    assert [name for name, pair in told.items() if pair[0] != pair[1]] == ["filter", "calls"]
    assert not (place / "explorer.html").exists()
    result = explore("run.jsonl", "--without", "nosuch", folder=place, status=1)
    assert "no event nosuch: a number up to" in result.stderr and "seccomp" in result.stderr


def test_text_cannot_steer_a_terminal(place):
    event = {"side": "parent", "chapter": 0, "layer": "", "call": "sethostname\x1b[31m", "args": ["x"], "options": {},
             "result": None, "errno": 0, "microseconds": 0}
    record.write([event, {**event, "call": "clone3", "args": [1 << 29], "result": [5, 6], "side": "parent"}], place / "x.jsonl")
    assert explore("x.jsonl", "--text", folder=place).stdout.replace("\n", "").isprintable()


def test_in_a_notebook_it_is_a_frame(root):
    shown = lab.explore(3)
    assert "  name     sethostname" in repr(shown) and "  caps     open" in repr(shown)
    frame = shown._repr_html_()
    assert frame.count("<") == 2 and 'sandbox="allow-scripts allow-downloads"' in frame
    events = recordings(html.unescape(re.search('srcdoc="(.*)"', frame, re.S)[1]))[0]["events"]
    assert [event["call"] for event in events][0] == "begin"


def test_in_a_notebook_a_check_that_fails_leads_to_one_s_own_beside_ours(root, place, monkeypatch):
    monkeypatch.setenv("CRABCAN_WORKSPACE", str(place / "labs"))
    assert "recorded nothing" in str(lab.explore(3, mine=True)) or "no workspace" in str(lab.explore(3, mine=True))
    from crabcan_workshop.desk import workspace
    from crabcan_workshop.exercises import chapter
    workspace.Workspace(place / "labs").start()
    wrong = chapter(3).text.replace("spec.hostname = invent()", "spec.hostname = 'same'")
    (place / "labs" / "ch03_hostname.py").write_text(wrong)
    assert "explore(3, mine=True)" in str(desk.own("check", 3))
    note = ("note", "to step through it, yours beside ours: workshop explore mine 3", [])
    assert "explore(3, mine=True)" in Check([("title", "x", []), note], [])._repr_html_()
    shown = lab.explore(3, mine=True)
    yours, ours = recordings(html.unescape(re.search('srcdoc="(.*)"', shown._repr_html_(), re.S)[1]))
    assert [event["args"] for event in yours["events"] if event["call"] == "sethostname"] == [["same"]]
    assert ours["name"] == "chapter 3: hostname" and '"beside":1' in html.unescape(shown._repr_html_())
    assert "chapter 1 has no recording" in str(lab.explore(1, mine=True))


def test_chapter_10_s_container_can_be_stepped_through_too(who, folder):
    """Its Spec stands in a file, its filter is loaded by another call, and its execve is not told of."""
    result = who.crabcan("step", "10", "--explore", "--", "sh", "-c", "exit 3", cwd=folder)
    assert result.returncode == 3 and result.stderr.endswith("it needs nothing else\n"), result.stderr
    state = fold(recordings((folder / "explorer.html").read_text())[0]["events"])
    closed = {name for name, found in state["properties"].items() if found["closed"]}
    assert closed >= {"pid", "files", "mounts", "proc", "users", "network", "caps", "no_new", "filter", "calls"}


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


@pytest.mark.slow
def test_in_a_notebook_s_frame_one_can_step(browser, place):
    """The frame has no origin of its own: no storage, no history to write to. It works all the same."""
    (place / "frame.html").write_text(f"<!DOCTYPE html><title>x</title>{lab.explore(3)._repr_html_()}")
    browser.prefers("light")
    browser.go((place / "frame.html").as_uri())
    browser.script(chromium.SETTLED)
    assert browser.complaints() == []
    frame = next(target for target in browser.call("Page.getFrameTree")["frameTree"]["childFrames"])["frame"]["id"]
    world = browser.call("Page.createIsolatedWorld", frameId=frame)["executionContextId"]
    shown = browser.call("Runtime.evaluate", contextId=world, returnByValue=True,
                         expression="document.querySelector('#page').innerText")["result"]["value"]
    assert "clone3" in shown
    step = "(e => (e.value = 12, e.dispatchEvent(new Event('input', {bubbles: true})), 1))(document.querySelector('.track input'))"
    browser.call("Runtime.evaluate", contextId=world, expression=step)
    browser.script(chromium.SETTLED)
    shown = browser.call("Runtime.evaluate", contextId=world, returnByValue=True,
                         expression="document.querySelector('.call').innerText")["result"]["value"]
    assert "sethostname" in shown or "close_range" in shown, shown
    browser.script("new Promise(go => setTimeout(go, 500))")  # a page writes its address a moment later
    assert browser.complaints() == []
