"""A workspace in odd places, and with odd files in it."""
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import CHECKOUT
from crabcan_workshop import chapters, exercises
from crabcan_workshop.desk import workspace
from desks import ENVIRONMENT, place, run  # noqa: F401

pytestmark = pytest.mark.slow  # left out by --fast


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


@pytest.mark.parametrize("command", [("check", "3"), ("status",), ("reset", "3"), ("diff", "3", "--yes")])
def test_a_fifo_keeps_nobody_waiting(place, command):
    for name in ("ch03_hostname.py", workspace.PROGRESS):
        (place.folder / name).unlink()
        os.mkfifo(place.folder / name)
        said = run(*command, folder=place.folder)
        assert "Traceback" not in said.stderr and said.returncode in (0, 1)
        (place.folder / name).unlink()
        place.start()


@pytest.mark.parametrize("command", [("check", "3"), ("try", "3", "hostname"), ("diff", "3", "--yes"),
                                     ("explore", "mine", "3")])
def test_a_file_that_is_gone_is_called_so(place, command):
    (place.folder / "ch03_hostname.py").unlink()
    said = run(*command, folder=place.folder)
    assert (said.returncode, said.stdout) == (1, "") and said.stderr.endswith(
        f": {place.folder}/ch03_hostname.py is gone: workshop start {place.folder} puts a new one there\n")


def test_a_function_that_is_gone_is_called_so(place):
    """It was not "not written yet"."""
    (place.folder / "ch03_hostname.py").write_text("import os\n")
    said = run("check", "3", folder=place.folder)
    assert said.returncode == 1 and "has no Hostname.prepare and no Hostname.child any more: workshop reset 3" in said.stdout


@pytest.mark.parametrize("text, why", [("import nope_module", "No module named 'nope_module'"),
                                       ("raise SystemExit(3)", "SystemExit: 3 (ch03_hostname.py, line 1)"),
                                       ("import os; os._exit(0)", "it ended first")])
def test_what_recorded_nothing_says_why(place, tmp_path, text, why):
    (place.folder / "ch03_hostname.py").write_text(text)
    said = run("explore", "mine", "3", "-o", tmp_path / "x.html", folder=place.folder)
    assert said.returncode == 1 and said.stderr.count("\n") == 1, said
    assert why in said.stderr and "look with workshop check 3" in said.stderr


@pytest.mark.parametrize("where", ["", "file", "file/below"])
def test_where_no_workspace_can_be(tmp_path, where):
    (tmp_path / "file").touch()
    refused(started(where, home=tmp_path), "start DIR" if where else "the name is empty")
    if where:
        refused(run("pack", folder=tmp_path / "file"), "is a file, no workspace")


@pytest.mark.parametrize("command", [("check", "3"), ("status",), ("hint", "3"), ("start",), ("reset", "3"),
                                     ("escape", "3")])
def test_a_workspace_that_one_may_not_look_into_is_one_line(user, place, command):
    folder = place.folder.rename(f"/tmp/another-s-{os.getpid()}")
    folder.chmod(0)
    try:
        words = [*user.python, "-P", "-m", "crabcan_workshop", *command, "--dir", str(folder)]
        said = subprocess.run(words, text=True, capture_output=True, env=user.environment, cwd="/", timeout=60)
    finally:
        folder.chmod(0o755)
        folder.rename(place.folder)
    assert said.returncode == 1 and said.stderr.count("\n") == 1 and "Permission denied" in said.stderr, said


@pytest.mark.parametrize("text", ["[1]", "null", '{"3": 1}', '{"3": {"passed": 7, "hints": [], '
                                  '"attempts": "x", "answer": 3}}', "[" * 100_000, '{"3": {"hints": '
                                  '{"1": "x", "2": 99}, "passed": [9, "x"]}}', "\0", "NaN"])
def test_odd_progress_is_none(place, text):
    (place.folder / workspace.PROGRESS).write_text(text)
    assert run("hint", "3", folder=place.folder).returncode == 0
    (place.folder / workspace.PROGRESS).write_text(text)
    said = run("status", folder=place.folder)
    assert said.returncode == 0 and not said.stderr and f"0 of {3 * chapters.LAST}" in said.stdout


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


def test_the_room_imports_nothing_from_where_we_stand(root, folder):
    """Python looks for `nt` (os does, on every system): a file of that name in our directory is not ours."""
    (folder / "nt.py").write_text("open('imported', 'w')\n")
    run("start", folder=folder / "mine")
    shutil.copy(CHECKOUT / "crabcan_steps/ch05_namespaces.py", folder / "mine")
    said = subprocess.run([CHECKOUT / "workshop", "check", "--dir", folder / "mine", "5"], cwd=folder,
                          stdin=subprocess.DEVNULL, text=True, capture_output=True, timeout=100)
    assert "passed" in said.stdout and not (folder / "imported").exists(), said.stdout + said.stderr
