"""What a learner wrote comes home in one file, and goes on there."""
import os
import zipfile

import pytest

from crabcan_workshop import exercises
from crabcan_workshop.desk import workspace
from desks import OURS, place, run  # noqa: F401


def test_what_was_packed_is_a_workspace(place, tmp_path):
    chapter = exercises.chapter(3)
    place.path(chapter).write_text(OURS)
    with place.changing(3) as entry:
        entry["passed"] = [1, 2]
    for times in range(2):  # the first one is not packed into the second
        result = run("pack", folder=place.folder)
        assert result.returncode == 0 and "my-container.zip: " in result.stdout, result
    with zipfile.ZipFile(place.folder / "my-container.zip") as archive:
        assert not [name for name in archive.namelist() if name.endswith("zip") or name.startswith(("/", ".."))]
        archive.extractall(tmp_path)
    home = workspace.Workspace(tmp_path / "my-container").need()
    assert home.text(chapter) == OURS and home.progress()["3"]["passed"] == [1, 2]


def test_only_files_are_packed(place, tmp_path):
    """No link leads out, nothing keeps us waiting, and what is left out is told."""
    (tmp_path / "secret").write_text("not yours")
    (place.folder / "link").symlink_to(tmp_path / "secret")
    (place.folder / "away").symlink_to(tmp_path)
    os.mkfifo(place.folder / "fifo")
    (place.folder / "large").write_bytes(b"")
    os.truncate(place.folder / "large", 1 << 30)
    result = run("pack", tmp_path / "out.zip", folder=place.folder)
    assert result.returncode == 0, result
    assert [f"left out: {what}" in result.stderr for what in (
        "link: is a link", "fifo: is no file", "large: is longer than 20 MB")] == [True] * 3
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        assert not [name for name in archive.namelist() if "secret" in name or "link" in name]
        assert b"not yours" not in b"".join(map(archive.read, archive.namelist()))


def test_where_it_cannot_be_written_that_is_said(place, tmp_path):
    result = run("pack", tmp_path / "none" / "out.zip", folder=place.folder)
    assert result.returncode == 1 and "No such file" in result.stderr and "Traceback" not in result.stderr


@pytest.mark.parametrize("where, why", [("/dev/null", "is no file"), ("nowhere/x.zip", "No such file or directory"),
                                        ("README.txt/x.zip", "Not a directory")])
def test_where_no_file_can_be(place, where, why):
    result = run("pack", place.folder / where, folder=place.folder)
    assert result.returncode == 1 and result.stderr.count("\n") == 1, result
    assert result.stderr.startswith(f"workshop: pack: {place.folder / where}") and why in result.stderr
