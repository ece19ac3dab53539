"""The learner's files survive what happens to files; and the loop, from start to pass."""
import json
import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conftest import wait_for
from crabcan_workshop import exercises
from crabcan_workshop.desk import workspace
from crabcan_workshop.exercises import source
from desks import ENVIRONMENT, OURS, place, run  # noqa: F401

pytestmark = pytest.mark.slow  # left out by --fast


def test_from_start_to_pass(root, tmp_path):
    """As in the README."""
    folder = tmp_path / "mine"
    assert f"{len(exercises.CHAPTERS) + len(exercises.BESIDE) + 1} new files" in run("start", folder=folder).stdout
    assert run("check", 3, folder=folder).returncode == 1
    hints = [run("hint", 3, folder=folder).stdout for _ in range(4)]
    assert len(set(hints[:3])) == 3 and hints[3] == hints[2]
    assert run("solution", 3, folder=folder).returncode == 1
    file = folder / "ch03_hostname.py"
    stub = 'raise NotImplementedError("Hostname.child")'
    file.write_text(OURS.replace("linux.sethostname(self.hostname)", stub))
    result = run("check", 3, folder=folder)
    assert result.returncode == 1 and "still to be written: Hostname.child" in result.stdout
    file.write_text(OURS)
    result = run("check", 3, folder=folder)
    assert result.returncode == 0 and "exercises 1 and 2 passed" in result.stdout, result
    assert "def invent" in run("solution", 3, folder=folder).stdout
    assert run("check", 3, "--answer", "63", folder=folder).returncode == 1
    assert run("check", 3, "--answer", " 64 ", folder=folder).returncode == 0
    data = json.loads(run("check", 3, "--json", folder=folder).stdout)
    assert data["good"] and {fact["state"] for fact in data["facts"]} == {"right"}
    rows = json.loads(run("status", "--json", folder=folder).stdout)
    assert rows["passed"] == 3 and rows["chapters"][2]["passed"] == [1, 2, 3]
    assert run("diff", 3, folder=folder).stdout == ""


def test_reset_keeps_the_old_file(place):
    chapter = exercises.chapter(3)
    for text in ("one\n", "two\n"):
        place.path(chapter).write_text(text)
        place.reset(chapter)
    assert sorted(p.read_text() for p in (place.folder / "attic").iterdir()) == ["one\n", "two\n"]
    assert place.text(chapter) == chapter.starter()


def test_without_an_attic_nothing_is_replaced(place):
    chapter = exercises.chapter(3)
    place.path(chapter).write_text("mine\n")
    (place.folder / "attic").write_text("no directory")
    with pytest.raises(workspace.WorkspaceError, match="attic: File exists: nothing was changed"):
        place.put(chapter, "new\n")
    assert place.text(chapter) == "mine\n"
    (place.folder / "attic").unlink()
    assert place.put(chapter, "new\n").read_text() == "mine\n"
    assert place.put(chapter, "new\n") is None  # the same: there is nothing to keep


def test_start_again_changes_nothing_and_makes_what_is_missing(place):
    """An upgrade of the repository: other starters, and perhaps a new chapter."""
    (place.folder / "ch03_hostname.py").write_text("mine\n")
    (place.folder / "ch04_mounts.py").unlink()
    (place.folder / workspace.PROGRESS).write_text('{"3": {"passed": [1], "of a later version": '
                                                   '1}, "77": {}}')
    assert place.start() == ["ch04_mounts.py"]
    assert (place.folder / "ch03_hostname.py").read_text() == "mine\n"
    with place.changing(3) as entry:
        entry["attempts"] = 5
    assert place.progress()["3"]["of a later version"] == 1 and "77" in place.progress()


def test_a_file_from_before_a_change_of_ours_is_still_checked(root, place):
    """The learner's file lacks a function that ours has since got: no traceback."""
    file = place.folder / "ch03_hostname.py"
    file.write_text(OURS.replace("def invent():", "def imagine():").replace("invent()",
                                                                            "imagine()"))
    result = run("check", 3, folder=place.folder)
    assert "Traceback" not in result.stderr and "A name of its own" in result.stdout, result
    assert "✓ the name that was asked for" in result.stdout


@pytest.mark.parametrize("rubbish", ["", "{", "[]", "\0", '{"3": 7}'])
def test_a_broken_progress_file_is_no_reason_to_stop(place, rubbish):
    (place.folder / workspace.PROGRESS).write_text(rubbish)
    with place.changing(3) as entry:
        entry["attempts"] = 1
    assert place.progress()["3"]["attempts"] == 1


KILLED = """
import os, sys
from pathlib import Path
from crabcan_workshop.desk import workspace
count = 0
def stop(call):
    def maybe(*words, **options):
        global count
        count += 1
        if count == int(sys.argv[2]): os._exit(9)
        return call(*words, **options)
    return maybe
workspace.os.replace, workspace.os.fsync = stop(os.replace), stop(os.fsync)
place = workspace.Workspace(sys.argv[1])
if sys.argv[3] == "reset": place.reset(workspace.exercises.chapter(3))
else:
    with place.changing(3) as entry: entry["attempts"] = 2
"""


@pytest.mark.parametrize("deed", ["reset", "progress"])
@pytest.mark.parametrize("when", [1, 2, 3, 4])
def test_killed_in_the_middle_of_a_write(place, deed, when):
    with place.changing(3) as entry:
        entry["attempts"] = 1
    file = place.folder / "ch03_hostname.py"
    file.write_text("mine\n")
    subprocess.run([sys.executable, "-P", "-c", KILLED, place.folder, str(when), deed],
                   env=ENVIRONMENT)
    texts = [p.read_text() for p in (file, *place.folder.glob("attic/*.py"))]
    assert "mine\n" in texts
    assert file.read_text() in ("mine\n", exercises.chapter(3).starter())
    assert place.progress()["3"]["attempts"] in (1, 2)


def test_two_who_write_the_progress_at_once(place):
    script = "import sys\nfrom crabcan_workshop.desk import workspace\n" \
             "place = workspace.Workspace(sys.argv[1])\nfor _ in range(100):\n" \
             "    with place.changing(3) as entry: entry['attempts'] = entry.get('attempts', 0) + 1"
    both = [subprocess.Popen([sys.executable, "-P", "-c", script, place.folder],
                             env=ENVIRONMENT) for _ in range(2)]
    assert [process.wait(60) for process in both] == [0, 0]
    assert place.progress()["3"]["attempts"] == 200


def test_a_full_disk_is_one_line_and_loses_nothing(root, tmp_path):
    """A file system of 256 KB, in a mount namespace of its own."""
    script = """
mount -t tmpfs -o size=256k none "$1" && cd "$1"
"$2" -P -m crabcan_workshop start "$1/mine" >/dev/null
rm mine/ch0[5-9]*; echo mine >mine/ch03_hostname.py
head -c 300000 /dev/zero >fill 2>/dev/null
"$2" -P -m crabcan_workshop reset 3 --dir "$1/mine"; echo status $?
cat mine/ch03_hostname.py
rm fill; "$2" -P -m crabcan_workshop reset 3 --dir "$1/mine" >/dev/null; cat mine/attic/*
"""
    result = subprocess.run(["unshare", "--mount", "sh", "-c", script, "sh", tmp_path,
                             sys.executable],
                            env=ENVIRONMENT, text=True, capture_output=True)
    assert result.stdout == "status 1\nmine\nmine\n", result
    lines = [line for line in result.stderr.splitlines() if "No space left" in line]
    assert len(lines) == 1 and lines == result.stderr.splitlines(), result.stderr


def test_watch_checks_on_save_and_never_advances(root, place):
    """Two of them at once, too."""
    file = place.folder / "ch03_hostname.py"
    outs = [place.folder / f"out{n}" for n in (1, 2)]
    watchers = [subprocess.Popen([sys.executable, "-P", "-m", "crabcan_workshop", "watch", "3",
                                  "--dir", place.folder],
                                 env=ENVIRONMENT, stdout=open(out, "w"), stderr=subprocess.STDOUT,
                                 cwd="/")
                for out in outs]
    try:
        assert wait_for(lambda: all("nothing is written yet" in out.read_text() for out in outs),
                        30)
        file.write_text(OURS)
        assert wait_for(lambda: all("exercises 1 and 2 passed" in out.read_text() for out in outs),
                        40)
        time.sleep(1)
        assert all(out.read_text().count("chapter 3 hostname") == 2
                   and "chapter 4" not in out.read_text() for out in outs)
    finally:
        for process in watchers:
            process.kill()
            process.wait()
    assert place.progress()["3"]["attempts"] >= 4


def test_the_solution_is_shown_to_who_asks_twice(place):
    """At a terminal: one question, once."""
    command = [sys.executable, "-P", "-m", "crabcan_workshop", "solution", "3", "--dir",
               str(place.folder)]

    def ask(answer):
        outer, inner = pty.openpty()
        process = subprocess.Popen(command, stdin=inner, stdout=subprocess.PIPE, text=True,
                                   env=ENVIRONMENT)
        os.close(inner)
        os.write(outer, answer)
        out = process.communicate(timeout=30)[0]
        os.close(outer)
        return out
    assert "def invent" not in ask(b"n\n")
    assert "def invent" in ask(b"y\n")
    assert "Show it" not in ask(b"")


def test_no_workspace_yet(tmp_path):
    result = run("check", 3, folder=tmp_path / "nowhere")
    assert result.returncode == 1 and result.stderr.count("\n") == 1
    assert "workshop start" in result.stderr


def test_a_workspace_is_found_from_within(place):
    result = subprocess.run([sys.executable, "-P", "-m", "crabcan_workshop", "hint", "3"],
                            cwd=place.folder,
                            env=ENVIRONMENT, text=True, capture_output=True)
    assert result.returncode == 0 and "hint 1 of 3" in result.stdout
    assert Path(place.folder, workspace.PROGRESS).exists()
    assert source.stubs(place.text(exercises.chapter(3)), ["invent"]) == ["invent"]
