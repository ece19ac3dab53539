"""The agenda fits, and says when it does not; the report tells who is where."""
import csv
import importlib
import io
import json
import os
import re
import shutil
import subprocess
import time
import tomllib
from pathlib import Path

import pytest

from conftest import CHECKOUT
from crabcan_workshop.cli import main
from crabcan_workshop import chapters
from crabcan_workshop.desk import escape, instructor, workspace

pytestmark = pytest.mark.slow  # left out by --fast


@pytest.mark.parametrize("track", instructor.TRACKS)
def test_a_track_fits_and_nobody_sits_too_long(track):
    chapters, _, most, length = instructor.TRACKS[track]
    days = instructor.agenda(track, 540, None)
    assert len(days) <= most
    for day in days:
        assert day[0][0] == 540 and day[-1][1] <= 540 + length
        assert all(before[1] == after[0] for before, after in zip(day, day[1:]))
        sat = 0
        for begin, end, text in day:
            sat = 0 if text in ("break", "lunch") else sat + end - begin
            assert sat <= instructor.SITTING + 10
        assert length <= 240 or day[-1][1] < 13 * 60 or "lunch" in [text for _, _, text in day]
    named = {int(text.split()[0]) for day in days for _, _, text in day if text[0].isdigit()}
    assert named == set(chapters)


def test_the_agenda_is_printed_from_the_asked_hour(capsys):
    assert main(["schedule", "--start", "13:30", "--track", "fast"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "13:30   10 min  0 Start: show" and lines[-1].endswith("end")
    with pytest.raises(SystemExit):
        main(["schedule", "--start", "25:00"])
    assert "such as 9:00" in capsys.readouterr().err


@pytest.mark.parametrize("length, track", [(90, "talk"), (120, "fast"), (180, "morning"), (510, "workshop")])
def test_a_length_alone_gets_the_fullest_track_that_fits(capsys, length, track):
    assert main(["schedule", "--length", str(length)]) == 0
    found = capsys.readouterr().out
    assert main(["schedule", "--track", track]) == 0
    assert found == capsys.readouterr().out
    assert main(["schedule", "--days", "2"]) == 0 and "day 2" in capsys.readouterr().out


@pytest.mark.parametrize("length", [None, 30, 45, 60, 90, 120, 180, 240, 360, 510, 1440])
@pytest.mark.parametrize("days", [1, 2, 3, 4])
@pytest.mark.parametrize("only", [None, "3", "3,4,6", "0,9", ",".join(map(str, chapters.NUMBERS))])
def test_what_is_printed_fits(capsys, length, days, only):
    words = ["schedule", "--days", str(days), "--start", "0:00"]
    words += ["--length", str(length)] if length else []
    words += ["--chapters", only] if only else []
    status = main(words)
    said = capsys.readouterr()
    if status:
        assert status == 1 and said.out == "" and said.err.count("\n") == 1, said
        return
    ends = [int(hours) * 60 + int(minutes) for hours, minutes in
            re.findall(r"^(\d+):(\d+)  end$", said.out, re.M)]
    assert 1 <= len(ends) <= days and max(ends) <= (length or 510)
    if only:
        assert {line.split()[3] for line in said.out.splitlines() if re.search(r"min  \d", line)} == \
            set(only.split(","))


@pytest.mark.parametrize("words", [f"--chapters {chapters.LAST + 1}", "--chapters 3,x", "--length 0", "--length -5",
                                   "--days 5", "--start 20:00", "--track full --length 60"])
def test_what_cannot_be_is_one_line(words, capsys):
    try:
        assert main(["schedule", *words.split()]) == 1
    except SystemExit as end:
        assert end.code == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1, said


def test_a_chapter_that_grows_breaks_the_track(monkeypatch, tmp_path, capsys):
    shutil.copytree(CHECKOUT / "chapters", tmp_path / "chapters")
    monkeypatch.setattr(instructor, "CHAPTERS", tmp_path / "chapters")
    assert main(["schedule"]) == 0
    page = tmp_path / "chapters" / "04-mounts.md"
    page.write_text(page.read_text().replace("do: 30", "do: 90", 1))
    assert main(["schedule"]) == 1
    assert "track workshop exceeds its length" in capsys.readouterr().err
    page.write_text(page.read_text().replace("minutes: ", "hours: ", 1))
    assert main(["schedule"]) == 1
    assert "04-mounts.md: has no `minutes" in capsys.readouterr().err


def test_the_table_of_chapters_has_the_minutes_of_the_chapters():
    table = (CHECKOUT / "chapters" / "index.md").read_text()
    rows = re.findall(r"^\| \[(.+)\]\(.+\) \| .+ \| (.*) \| (.*) ?\|$", table, re.M)
    assert [row[0] for row in rows] == [instructor.chapter(number)[0] for number in instructor.ALL_OF_THEM]
    for number, row in enumerate(rows):
        minutes = instructor.chapter(number)[1]
        shown = [f"{minutes[key]} min" if minutes[key] else "" for key in ("read", "do")]
        assert [word.strip() for word in row[1:]] == shown, row


def test_where_people_get_stuck_is_counted_and_not_guessed():
    page = (CHECKOUT / "chapters" / "98-teaching.md").read_text()
    rows = re.findall(r"^\| (\d+) \| (\d+) \| (\d+) \| (\d+) \| (.+) \|$", page, re.M)
    assert [int(row[0]) for row in rows] == list(chapters.NUMBERS)
    for number, first, second, planted, one in rows:
        facts = importlib.import_module(f"crabcan_workshop.exercises.ch{int(number):02}").FACTS
        assert [int(first), int(second)] == [sum(fact.exercise == n for fact in facts) for n in (1, 2)], number
        text = next((CHECKOUT / "crabcan_workshop/exercises").glob(f"{int(number):02}-*.toml")).read_text()
        wrong = tomllib.loads(text)["wrong"]
        assert int(planted) == len(wrong), number
        assert any(entry["name"].startswith(one) for entry in wrong), one


def test_report(tmp_path, capsys):
    for name, progress in {"ann": {"1": {"passed": [1, 2], "attempts": 2, "last": 1_000_000_000},
                                   "2": {"passed": [1], "attempts": 7, "last": 1_000_000_600}},
                           "bob": {}}.items():
        place = workspace.Workspace(tmp_path / name)
        place.start()
        workspace.write(place.folder / workspace.PROGRESS, json.dumps(progress))
    escape.change(tmp_path / "ann" / escape.STATE, 4, found=True)
    assert main(["report", str(tmp_path), "--csv"]) == 0
    ann, bob = csv.DictReader(io.StringIO(capsys.readouterr().out))
    last = time.strftime("%Y-%m-%d %H:%M", time.localtime(1_000_000_600))
    assert ann == {"who": "ann", "passed": "1", "at": "2", "attempts there": "7", "attempts": "9",
                   "rooms": "1", "last": last, "note": ""}
    assert bob == {"who": "bob", "passed": "", "at": "", "attempts there": "0", "attempts": "0",
                   "rooms": "0", "last": "", "note": ""}
    assert main(["report", str(tmp_path / "ann")]) == 0
    assert last in capsys.readouterr().out.splitlines()[1]
    (tmp_path / "ann" / workspace.PROGRESS).write_text('{"x": {}, "3": {"last": "soon"}}')
    assert main(["report", str(tmp_path)]) == 0  # one spoilt file does not hide the others
    assert main(["report", str(tmp_path / "nobody")]) == 1
    assert "nobody: neither a workspace" in capsys.readouterr().err


def learner(folder, passed):
    place = workspace.Workspace(folder)
    place.start()
    workspace.write(place.folder / workspace.PROGRESS, json.dumps({"1": {"passed": passed, "attempts": 1}}))


def reported(capsys, *folders):
    status = main(["report", *map(str, folders), "--csv"])
    return status, list(csv.DictReader(io.StringIO(capsys.readouterr().out)))


def test_a_report_of_homes_names_their_owners(tmp_path, capsys, root):
    for name, uid in ("daemon", 1), ("bin", 2):
        learner(tmp_path / name / "my-container", [1, 2])
        os.chown(tmp_path / name / "my-container", uid, uid)
    (tmp_path / "nobody").mkdir()
    for folders in ([tmp_path], sorted(tmp_path.glob("*/my-container"))):
        status, rows = reported(capsys, *folders)
        assert status == 0 and [row["who"] for row in rows] == ["bin", "daemon"]


LOOK = """
import os, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
from crabcan_workshop.cli import main
sys.exit(main(["report", *sys.argv[1:]]))
"""


def test_a_learner_who_cannot_be_read_is_a_row_of_the_table(readable, root):
    folder = Path("/tmp", f"crabcan-class-{os.getpid()}")
    try:
        for name in ("ann", "bob", "cleo", "dan"):
            learner(folder / name / "my-container", [1, 2])
        (folder / "bob").chmod(0o700)
        (folder / "cleo" / "my-container").chmod(0o700)
        (folder / "dan" / "my-container" / workspace.PROGRESS).chmod(0)
        result = subprocess.run(["/usr/bin/python3", "-c", LOOK, folder], text=True, capture_output=True,
                                env={"PYTHONPATH": str(readable)}, cwd="/")
    finally:
        shutil.rmtree(folder)
    lines = result.stdout.splitlines()
    assert (result.returncode, result.stderr, len(lines)) == (1, "", 5), result
    assert sum("cannot be read: Permission denied" in line for line in lines) == 3
    assert lines[2].startswith("bob ") and lines[3].startswith("cleo ")
