"""The agenda fits, and says when it does not; the report tells who is where."""
import csv
import io
import json
import re
import shutil
import time

import pytest

from conftest import CHECKOUT
from crabcan_workshop.__main__ import main
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
    assert lines[0] == "13:30   10 min  0 Start: read" and lines[-1].endswith("end")
    with pytest.raises(SystemExit):
        main(["schedule", "--start", "25:00"])
    assert "such as 9:00" in capsys.readouterr().err


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
    assert [row[0] for row in rows] == [instructor.chapter(number)[0] for number in range(10)]
    for number, row in enumerate(rows):
        minutes = instructor.chapter(number)[1]
        shown = [f"{minutes[key]} min" if minutes[key] else "" for key in ("read", "do")]
        assert [word.strip() for word in row[1:]] == shown, row


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
                   "rooms": "1", "last": last}
    assert bob == {"who": "bob", "passed": "", "at": "", "attempts there": "0", "attempts": "0",
                   "rooms": "0", "last": ""}
    assert main(["report", str(tmp_path / "ann")]) == 0
    assert last in capsys.readouterr().out.splitlines()[1]
    (tmp_path / "ann" / workspace.PROGRESS).write_text('{"x": {}, "3": {"last": "soon"}}')
    assert main(["report", str(tmp_path)]) == 0  # one spoilt file does not hide the others
    assert main(["report", str(tmp_path / "nobody")]) == 1
    assert "nobody: neither a workspace" in capsys.readouterr().err
