"""The teacher's page: what it reads of strangers' files and with which powers, whom it answers, and how it looks."""
import contextlib
import csv
import importlib.metadata
import io
import json
import os
import re
import select
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from conftest import CHECKOUT, wait_for
from crabcan_workshop.cli import main
from crabcan_workshop.desk import asking, board, workspace
from crabcan_workshop.teacher import reading, room

pytestmark = pytest.mark.slow  # left out by --fast
HOSTILE = "<img src=x onerror=document.title='run'>"


def learner(folder, progress=None, **asks):
    place = workspace.Workspace(folder)
    place.start()
    workspace.write(place.folder / workspace.PROGRESS, json.dumps(progress or {}))
    if asks:
        workspace.write(place.folder / asking.ASKS, json.dumps(asks))
    return place


def now():
    """Not one moment for all tests: they are collected a quarter of an hour before some of them run."""
    return int(time.time())


def stuck(chapter=4, minutes=10, **more):
    return {str(chapter): {"passed": [], "attempts": 3, "since": now() - 60 * minutes, "last": now() - 60,
                           "stop": "the old root is gone: seen it is still there"} | more}


# ---------------------------------------------------------------- what a check leaves

def test_a_check_remembers_what_stops_and_since_when(tmp_path, capsys, monkeypatch):
    place, began = learner(tmp_path / "ann"), now()
    monkeypatch.setenv("CRABCAN_BOARD", str(tmp_path / "board.json"))
    assert main(["check", "3", "--dir", str(place.folder)]) == 1
    first = place.progress()["3"]
    assert first["stop"].startswith("nothing is written yet: begin with Hostname.prepare") and first["since"] >= began
    changed = dict(first, since=5)
    workspace.write(place.folder / workspace.PROGRESS, json.dumps({"3": changed}))
    main(["check", "3", "--dir", str(place.folder)])
    assert place.progress()["3"]["since"] == 5, "where one was, one still is"
    row = room.row("ann", place.progress(), None)
    assert (row["chapter"], row["exercise"], row["attempts"]) == (3, 1, 2)


def test_the_next_check_shows_what_the_teacher_said_and_gave(tmp_path, capsys, monkeypatch):
    from crabcan_workshop.teacher.board import Board
    path = tmp_path / "board.json"
    monkeypatch.setenv("CRABCAN_BOARD", str(path))
    place = learner(tmp_path / "ann")
    assert main(["take", "3", "--dir", str(place.folder)]) == 1
    assert "chapter 3 was not given to the room" in capsys.readouterr().err
    said = Board(str(path))
    said.say("lunch\x1b[2J at one")
    said.give(3)
    said.time("3 Hostname", 7)
    assert path.stat().st_mode & 0o777 == 0o644
    main(["check", "3", "--dir", str(place.folder)])
    out = capsys.readouterr().out
    assert "lunch\\x1b[2J at one" in out and "\x1b" not in out and "3 Hostname: 7 min left" in out
    assert "workshop take 3" in out
    mine = place.path(room.CHAPTERS[3])
    mine.write_text("# mine\n")
    assert main(["take", "3", "--dir", str(place.folder)]) == 0
    assert mine.read_text() == room.CHAPTERS[3].text
    assert [kept.read_text() for kept in (place.folder / "attic").iterdir()] == ["# mine\n"]
    for spoilt in "[]", "{", '{"messages": [1], "given": 3, "timer": 4}', '{"messages": 5}':
        path.write_text(spoilt)
        assert list(board.news(3)) == [] and not board.given(3)


def test_a_hand_goes_up_and_down(tmp_path, capsys):
    place = learner(tmp_path / "ann")
    assert main(["ask", "why", "not?", "--dir", str(place.folder)]) == 0
    seen = room.Room([tmp_path])
    seen.look()
    assert seen.rows["ann"]["asks"]["text"] == "why not?"
    main(["ask", "--done", "--dir", str(place.folder)])
    assert seen.look() == {"ann"} and seen.rows["ann"]["asks"] is None


# ---------------------------------------------------------------- strangers' files

def fifo(path):
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def link(path):
    path.unlink()
    path.symlink_to("/etc/passwd")


def large(path):
    os.truncate(path, 1 << 40)


def listening(path):
    path.unlink()
    socket.socket(socket.AF_UNIX).bind(str(path))


SPOILT = {"fifo": (fifo, "is no file"), "link": (link, "Too many levels of symbolic links"),
          "large": (large, "bytes, and"), "socket": (listening, "No such device or address"),
          "text": (lambda path: path.write_text("{"), "is no JSON"),
          "deep": (lambda path: path.write_text("[" * 60_000), "is no JSON"),
          "directory": (lambda path: (path.unlink(), path.mkdir()), "is no file")}


@pytest.mark.parametrize("kind", SPOILT)
@pytest.mark.parametrize("name", [workspace.PROGRESS, "ch04_mounts.py"])
def test_what_a_learner_puts_in_the_place_of_a_file_fools_and_stops_nobody(tmp_path, monkeypatch, kind, name):
    monkeypatch.chdir(tmp_path)  # a socket's name is short
    learner(tmp_path / "ann", stuck())
    learner(tmp_path / "bob", stuck())
    spoil, said = SPOILT[kind]
    spoil(Path("ann", name))
    seen, began = room.Room([tmp_path]), time.monotonic()
    seen.look()
    if name == workspace.PROGRESS:
        assert said in seen.rows["ann"]["note"] and not seen.rows["ann"]["chapter"]
    elif said != "is no JSON":
        with pytest.raises(reading.Unread, match=said):
            seen.work("ann", 4)
    assert seen.rows["bob"]["chapter"] == 4 and time.monotonic() - began < 2


def test_links_lead_nowhere_wherever_they_stand(tmp_path):
    secret = learner(tmp_path / "secret", stuck())
    homes = tmp_path / "homes"
    for name in ("ann", "bob", "cleo"):
        (homes / name).mkdir(parents=True)
    (homes / "ann" / "my-container").symlink_to(secret.folder)
    (homes / "dan").symlink_to(secret.folder.parent)
    learner(homes / "bob" / "my-container", stuck())
    (homes / "bob" / "my-container" / "ch04_mounts.py").unlink()
    (homes / "bob" / "my-container" / "ch04_mounts.py").symlink_to("../../../secret/ch04_mounts.py")
    seen = room.Room([homes])
    seen.look()
    assert set(seen.rows) == {"ann", "bob"} and "symbolic links" in seen.rows["ann"]["note"]
    with pytest.raises(reading.Unread, match="symbolic links"):
        seen.work("bob", 4)
    with pytest.raises(KeyError):
        seen.work("../secret", 4)


def test_names_exchanged_all_the_while_show_nothing_from_outside(tmp_path):
    """Somebody swaps a file for a link while we look, some thousand times."""
    learner(tmp_path / "class" / "ann", stuck())
    outside = tmp_path / "outside.json"
    outside.write_text(json.dumps(stuck(9, stop="SECRET")))
    here, ended = tmp_path / "class" / "ann" / workspace.PROGRESS, threading.Event()
    right = here.read_text()

    def swap():
        while not ended.is_set():
            (here.parent / "a").symlink_to(outside)
            os.rename(here.parent / "a", here)
            (here.parent / "b").write_text(right)
            os.rename(here.parent / "b", here)
    other = threading.Thread(target=swap)
    other.start()
    seen, kinds = room.Room([tmp_path / "class"]), set()
    try:
        for _ in range(1500):
            seen.look()
            kinds.add((seen.rows["ann"]["stop"], seen.rows["ann"]["note"][:14]))
    finally:
        ended.set()
        other.join()
    assert len(kinds) == 2 and not [stop for stop, _ in kinds if "SECRET" in stop], kinds


def test_a_table_for_a_spreadsheet_runs_nothing_there(tmp_path):
    learner(tmp_path / "=1+1", stuck(stop="=cmd|' /C calc'!A0"), at=now(), text="@SUM(1)")
    seen = room.Room([tmp_path])
    seen.look()
    row, = csv.DictReader(io.StringIO(seen.table()))
    assert (row["who"], row["stop"][:5], row["asks"]) == ("'=1+1", "'=cmd", "'@SUM(1)")


# ---------------------------------------------------------------- the page

@contextlib.contextmanager
def page_of(folder, *words, env={}):
    """`workshop teach`, started: its address with the token, and its process."""
    command = [CHECKOUT / ".venv/bin/python", "-I", "-m", "crabcan_workshop", "teach", folder, "--port", "0", *words]
    with subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | env) as server:
        try:
            assert select.select([server.stdout], [], [], 60)[0], "it says nothing"
            line = server.stdout.readline()
            assert "?token=" in line, line + server.stderr.read()
            yield re.search(r"http\S+", line)[0], server
        finally:
            server.terminate()
            server.wait(20)


class Visitor:
    """A program that asks, with a cookie or without."""

    def __init__(self, address, token=True):
        self.base, _, query = address.partition("?")
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        if token:
            self.page = self.opener.open(address).read().decode()
            self.xsrf = re.search(r'name="xsrf" content="([^"]+)"', self.page)[1]

    def ask(self, path, words=None, **headers):
        data = None if words is None else json.dumps(words).encode()
        try:
            with self.opener.open(urllib.request.Request(self.base + path, data, headers), timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def do(self, deed, **words):
        return self.ask(deed, words, **{"X-XSRFToken": self.xsrf})[0]

    def stream(self):
        """What comes, one event after the other."""
        with self.opener.open(self.base + "events", timeout=20) as answer:
            for line in answer:
                if line.startswith(b"data: "):
                    yield json.loads(line[6:])


@pytest.fixture
def classroom(tmp_path):
    learner(tmp_path / "class" / "ann", stuck(), at=now() - 120, text=HOSTILE)
    learner(tmp_path / "class" / "bob", stuck(2, 25))
    learner(tmp_path / "class" / HOSTILE.replace("/", ""), stuck(stop=HOSTILE))
    with page_of(tmp_path / "class", "--board", tmp_path / "board" / "b.json") as (address, server):
        yield tmp_path, address, server


def test_whoever_has_no_token_gets_nothing_and_other_sites_can_do_nothing(classroom):
    folder, address, _ = classroom
    stranger, teacher = Visitor(address, token=False), Visitor(address)
    for path in ("", "events", "class.csv", "work?who=ann&chapter=4", "style.css"):
        assert stranger.ask(path)[0] == 403, path
        assert teacher.ask(path, Host="evil.example")[0] == 421
    assert stranger.ask("say", {"text": "hi"})[0] == 403
    assert teacher.ask("say", {"text": "hi"})[0] == 403, "a form of another site's has no X-XSRFToken"
    assert not (folder / "board" / "b.json").exists()
    assert teacher.do("say", text="hi") == 200 and teacher.do("say", text=" ") == 400
    assert teacher.do("give", chapter=99) == 400 and teacher.do("time", minutes="soon") == 400
    assert teacher.ask("work?who=ann&chapter=77")[0] == 404 and teacher.ask("work?who=../ann&chapter=4")[0] == 404
    assert "def " in json.loads(teacher.ask("work?who=ann&chapter=4")[1])["text"]
    assert json.loads((folder / "board" / "b.json").read_text())["messages"][0]["text"] == "hi"


def test_what_changes_comes_to_all_who_look(classroom):
    folder, address, server = classroom
    streams = [Visitor(address).stream() for _ in range(20)]
    for stream in streams:
        first = next(stream)
        assert first["whole"] and len(first["rows"]) == 3 and len(first["pace"]["stops"]) == 3
    learner(folder / "class" / "bob", stuck(5, 1))
    assert [next(stream)["rows"][0]["chapter"] for stream in streams] == [5] * 20
    assert Visitor(address).do("say", text="hello") == 200
    assert [next(stream)["board"]["messages"][0]["text"] for stream in streams] == ["hello"] * 20


def test_it_keeps_one_of_roots_powers(classroom, root):
    folder, address, server = classroom
    status = dict(line.split(":\t") for line in Path(f"/proc/{server.pid}/status").read_text().splitlines() if ":\t" in line)
    only = f"{1 << 2:016x}"  # CAP_DAC_READ_SEARCH
    assert [status[name] for name in ("CapEff", "CapPrm", "CapBnd", "CapInh", "CapAmb")] == [only] * 3 + ["0" * 16] * 2
    assert status["Uid"].split() == ["64911"] * 4 and status["NoNewPrivs"] == "1" and status["Groups"].strip() == ""
    assert {task.name for task in Path(f"/proc/{server.pid}/task").iterdir()
            if f"CapEff:\t{only}" not in (task / "status").read_text()} == set()
    for name in ("ann", "bob"):
        os.chown(folder / "class" / name, 1, 1)
        (folder / "class" / name).chmod(0o700)
    assert "'ann'" not in Visitor(address).ask("class.csv")[1] and ",4," in Visitor(address).ask("class.csv")[1]


def test_a_directory_of_somebody_elses_is_not_taken_for_the_board(tmp_path, root):
    learner(tmp_path / "class" / "ann")
    (tmp_path / "theirs").mkdir()
    result = subprocess.run([CHECKOUT / "workshop", "teach", tmp_path / "class", "--port", "0", "--board",
                             tmp_path / "theirs" / "b.json"], text=True, capture_output=True, timeout=60)
    assert result.returncode == 1 and "is there already" in result.stderr and result.stderr.count("\n") == 1
    assert (tmp_path / "theirs").stat().st_uid == 0


@pytest.fixture(scope="module")
def axe():
    files = importlib.metadata.files("axe-playwright-python")
    return next(file for file in files if file.name == "axe.min.js").read_text()


def barriers(page, axe):
    """What axe-core calls serious or critical, and headings out of order."""
    page.script(f"if (!window.axe) {{ {axe} }}; 0")
    found = page.script("axe.run(document, {resultTypes: ['violations']}).then(result => result.violations.map(v => "
                        "[v.impact, v.id, v.nodes.slice(0, 3).map(n => n.target + ': ' + n.failureSummary)]))")
    return [entry for entry in found if entry[0] in ("serious", "critical") or entry[1] == "heading-order"]


ROWS = "[...document.querySelectorAll('#rows tr')].map(row => row.innerText)"


def test_the_page_in_a_browser(classroom, browser, axe):
    folder, address, _ = classroom
    browser.call("Page.setBypassCSP", enabled=True)  # for axe; what follows is with it
    for width in (1280, 360, 1920):
        browser.width(width)
        browser.go(address)
        assert browser.wait("document.querySelectorAll('#rows tr').length == 3"), browser.complaints()
        assert browser.script("document.documentElement.scrollWidth <= innerWidth"), width
        for scheme in ("light", "dark"):
            browser.prefers(scheme)
            assert barriers(browser, axe) == [], (width, scheme)
            browser.picture(folder / f"teacher-{width}-{scheme}.png")
    browser.call("Page.setBypassCSP", enabled=False)
    browser.go(address)
    assert browser.wait("document.querySelectorAll('#rows tr').length == 3")
    assert browser.complaints() == [] and browser.script("document.title") == "(1) The class"
    assert {re.match("http://[^/]+", url)[0] for url in browser.requests()} == {address.partition("/?")[0]}
    assert HOSTILE in browser.script("document.getElementById('hands').innerText")
    assert "25 min" in browser.script(ROWS)[0], "longest in one place first"
    learner(folder / "class" / "bob", stuck(6, 0, passed=[1, 2]))
    assert browser.wait("document.getElementById('rows').innerText.includes('6 caps, passed')")
    browser.script("document.getElementById('text').value = 'lunch'; document.querySelector('#say button').click()")
    assert browser.wait("document.getElementById('said').innerText.includes('lunch')")
    browser.script("document.querySelector('#time button').click()")
    assert browser.wait("/^0 Start: show (9:5|10:0)/.test(document.getElementById('timer').textContent)")
    browser.script("document.querySelector('button[aria-label=\"Open the work of ann\"]').click()")
    assert browser.wait("document.querySelector('dialog[open] pre')?.textContent.includes('class Mounts')")
    browser.picture(folder / "teacher-work.png")
    assert browser.complaints() == []


def test_a_page_that_is_begun_again_is_found_again(classroom, browser):
    """The stream breaks when the server ends; the page says so."""
    _, address, server = classroom
    browser.go(address)
    assert browser.wait("document.getElementById('state').textContent == 'live'")
    server.terminate()
    assert wait_for(lambda: "lost" in browser.script("document.getElementById('state').textContent"), 20) is not False
