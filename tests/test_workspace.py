"""The learner's files survive what happens to files; and the loop, from start to pass."""
import json
import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conftest import CHECKOUT, wait_for
from crabcan_workshop import exercises
from crabcan_workshop.desk import notebooks, workspace
from crabcan_workshop.exercises import source

pytestmark = pytest.mark.slow  # left out by --fast

OURS = exercises.chapter(3).text
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(CHECKOUT)}


def run(*words, folder, **options):
    return subprocess.run([sys.executable, "-P", "-m", "crabcan_workshop", *map(str, words),
                           "--dir", folder],
                          text=True, capture_output=True, env=ENVIRONMENT, timeout=60,
                          **{"cwd": "/", "stdin": subprocess.DEVNULL} | options)


@pytest.fixture
def place(tmp_path):
    place = workspace.Workspace(tmp_path / "mine")
    place.start()
    return place


def test_from_start_to_pass(root, tmp_path):
    """As in the README."""
    folder = tmp_path / "mine"
    assert "10 new files" in run("start", folder=folder).stdout
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


@pytest.fixture
def course(tmp_path):
    """A course of two notebooks."""
    folder = tmp_path / "course"
    folder.mkdir()
    for name in "one", "two":
        (folder / f"{name}.ipynb").write_text(a_notebook(name))
    return folder


def a_notebook(source, **more):
    cell = {"cell_type": "code", "id": "a-1", "metadata": {}, "source": [source],
            "execution_count": None, "outputs": []} | more
    return notebooks.text({"cells": [cell], "metadata": {"kernelspec": notebooks.KERNEL},
                           "nbformat": 4, "nbformat_minor": 5})


RUN = {"execution_count": 7, "outputs": [{"output_type": "stream", "name": "stdout", "text": ["1"]}]}


def test_notebooks_are_copies_and_an_update_replaces_what_was_only_run(place, course):
    folder, older = notebooks.bring(place, course)
    assert (folder, older) == (place.folder / "notebooks", [])
    one, two = folder / "one.ipynb", folder / "two.ipynb"
    assert one.read_text() == a_notebook("one")
    one.write_text(a_notebook("one", **RUN))
    two.write_text(a_notebook("mine", **RUN))
    assert notebooks.bring(place, course) == (folder, [])
    assert one.read_text() == a_notebook("one", **RUN), "nothing is newer, and this was run"
    for name in "one", "two":
        (course / f"{name}.ipynb").write_text(a_notebook(f"newer {name}"))
    assert notebooks.bring(place, course) == (folder, ["two.ipynb"])
    assert one.read_text() == a_notebook("newer one")
    assert two.read_text() == a_notebook("mine", **RUN), "the learner's own is never lost"
    two.rename(folder / "mine.ipynb")
    assert notebooks.bring(place, course) == (folder, [])
    assert two.read_text() == a_notebook("newer two")


@pytest.mark.parametrize("rubbish", ["", "[]", "not json", '{"cells": 3}', "null"])
def test_a_broken_notebook_is_still_the_learners(place, course, rubbish):
    folder, _ = notebooks.bring(place, course)
    (folder / "one.ipynb").write_text(rubbish)
    (course / "one.ipynb").write_text(a_notebook("newer"))
    assert notebooks.bring(place, course) == (folder, ["one.ipynb"])
    assert (folder / "one.ipynb").read_text() == rubbish


@pytest.mark.parametrize("given", ["not json", None, "[]"])
def test_killed_before_it_noted_what_it_gave(place, course, given):
    folder, _ = notebooks.bring(place, course)
    (folder / notebooks.GIVEN).unlink()
    if given:
        (folder / notebooks.GIVEN).write_text(given)
    assert notebooks.bring(place, course) == (folder, [])
    (course / "one.ipynb").write_text(a_notebook("newer"))
    assert notebooks.bring(place, course) == (folder, [])
    assert (folder / "one.ipynb").read_text() == a_notebook("newer")


def test_the_command_says_where_the_copies_are_and_what_stays(tmp_path):
    command = [sys.executable, "-P", "-m", "crabcan_workshop.desk.notebooks"]
    options = {"env": ENVIRONMENT | {"CRABCAN_WORKSPACE": str(tmp_path / "mine")}, "text": True,
               "capture_output": True}
    folder = tmp_path / "mine" / "notebooks"
    assert subprocess.run(command, **options).stdout == f"{folder}\n"
    assert len(list(folder.glob("*.ipynb"))) == 9
    (folder / "01-args.ipynb").write_text(a_notebook("mine"))
    given = json.loads((folder / notebooks.GIVEN).read_text())
    given["01-args.ipynb"] = notebooks.digest(a_notebook("of an older course"))
    (folder / notebooks.GIVEN).write_text(json.dumps(given))
    said = subprocess.run(command, **options)
    assert said.stdout == f"{folder}\n"
    assert "newer 01-args.ipynb; yours, which you changed, stays" in said.stderr
    (tmp_path / "file").touch()
    options["env"]["CRABCAN_WORKSPACE"] = str(tmp_path / "file")
    said = subprocess.run(command, **options)
    assert said.returncode == 1 and said.stderr == f"workshop: {tmp_path}/file: File exists\n"


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


# ---------------------------------------------------------------- where it may be

def started(*words, home, **options):
    return subprocess.run([sys.executable, "-P", "-m", "crabcan_workshop", "start", *map(str, words)],
                          text=True, capture_output=True, timeout=60, cwd=home,
                          env=ENVIRONMENT | {"HOME": str(home)}, **options)


def refused(result, *words):
    assert result.returncode == 1 and result.stdout == "", result
    assert result.stderr.count("\n") == 1 and all(word in result.stderr for word in words), result


def test_start_refuses_a_chapters_number(tmp_path):
    refused(started(3, home=tmp_path), "workshop check 3", "start ./3")
    assert os.listdir(tmp_path) == []
    assert started("./3", home=tmp_path).returncode == 0
    assert (tmp_path / "3" / "ch03_hostname.py").exists()


@pytest.mark.parametrize("name", [".", "crabcan_steps", "mine", "notebooks"])
def test_start_refuses_the_course_itself(tmp_path, name):
    before = set(os.listdir(CHECKOUT)), set(os.listdir(CHECKOUT / "crabcan_steps"))
    refused(started(CHECKOUT / name, home=tmp_path), "the course's own directory")
    (tmp_path / "link").symlink_to(CHECKOUT)
    refused(started(tmp_path / "link" / name, home=tmp_path), "the course's own directory")
    assert (set(os.listdir(CHECKOUT)), set(os.listdir(CHECKOUT / "crabcan_steps"))) == before


def test_start_refuses_a_directory_of_somebodys_files(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").touch()
    refused(started("thesis", home=tmp_path), "files in it that are no workspace's")
    assert os.listdir(tmp_path / "thesis") == ["chapter.tex"]


def test_without_a_home_it_asks_where(tmp_path):
    refused(subprocess.run([sys.executable, "-P", "-m", "crabcan_workshop", "start"], text=True,
                           capture_output=True, env=ENVIRONMENT | {"HOME": ""}), "HOME is empty")
    assert not Path("/my-container").exists()


def test_a_workspace_elsewhere_is_found_from_everywhere(tmp_path):
    """As where all of a class are in one directory."""
    result = started(tmp_path / "class" / "ann", home=tmp_path)
    assert f"{tmp_path}/my-container leads there" in result.stdout
    hint = subprocess.run([sys.executable, "-P", "-m", "crabcan_workshop", "hint", "3"], cwd="/", text=True,
                          env=ENVIRONMENT | {"HOME": str(tmp_path)}, capture_output=True)
    assert hint.returncode == 0, hint.stderr
    progress = json.loads((tmp_path / "class" / "ann" / workspace.PROGRESS).read_text())
    assert progress["3"]["hints"] == {"1": 1}
    result = started(tmp_path / "class" / "bob", home=tmp_path)
    assert "my-container is another one" in result.stdout


# ---------------------------------------------------------------- odd files

@pytest.mark.parametrize("command", [("check", "3"), ("status",), ("reset", "3"), ("diff", "3", "--yes")])
def test_a_fifo_keeps_nobody_waiting(place, command):
    for name in ("ch03_hostname.py", workspace.PROGRESS):
        (place.folder / name).unlink()
        os.mkfifo(place.folder / name)
        said = run(*command, folder=place.folder)
        assert "Traceback" not in said.stderr and said.returncode in (0, 1)
        (place.folder / name).unlink()
        place.start()


@pytest.mark.parametrize("text", ["[1]", "null", '{"3": 1}', '{"3": {"passed": 7, "hints": [], '
                                  '"attempts": "x", "answer": 3}}', "[" * 100_000, '{"3": {"hints": '
                                  '{"1": "x", "2": 99}, "passed": [9, "x"]}}', "\0", "NaN"])
def test_odd_progress_is_none(place, text):
    (place.folder / workspace.PROGRESS).write_text(text)
    assert run("hint", "3", folder=place.folder).returncode == 0
    (place.folder / workspace.PROGRESS).write_text(text)
    said = run("status", folder=place.folder)
    assert said.returncode == 0 and not said.stderr and "0 of 27" in said.stdout


def test_reset_cures_the_file_that_cannot_be_read(place):
    path = place.folder / "ch03_hostname.py"
    path.write_bytes(b"x = 1\n\xff\xfe\n")
    said = run("check", "3", folder=place.folder)
    assert said.returncode == 1 and "line 2 is not UTF-8" in said.stderr and "workshop reset" in said.stderr
    said = run("reset", "3", folder=place.folder)
    assert said.returncode == 0
    assert path.read_text() == exercises.chapter(3).starter()
    assert [kept.read_bytes() for kept in (place.folder / "attic").iterdir()] == [b"x = 1\n\xff\xfe\n"]


def test_a_huge_file_is_not_read(place):
    with open(place.folder / "ch03_hostname.py", "w") as file:
        file.truncate(1 << 30)
    said = run("check", "3", folder=place.folder)
    assert said.returncode == 1 and "longer than 1 MB" in said.stderr


def test_answers_in_the_forms_that_people_copy():
    for text, truth in {"[Errno 30] Read-only file system": "read-only file system",
                        "ENOSYS (38)": "enosys", "38 (ENOSYS)": "enosys", "--cap-add CHOWN": "chown",
                        "CAP_CHOWN": "chown", "'/'": "/", "64 bytes": "64", "EROFS": "erofs",
                        "EROFS: Read-only file system": "read-only file system", "17 files": "17"}.items():
        assert exercises.matches(text, [truth]), text
    for text, truth in {"EPERM (1)": "enosys", "65 bytes": "64", "": "x", "--cap-add NET_RAW": "chown"}.items():
        assert not exercises.matches(text, [truth]), text
