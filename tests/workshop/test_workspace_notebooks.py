"""The learner's notebooks are copies: an update replaces what was only run."""
import json
import subprocess
import sys

import pytest

from crabcan_workshop import exercises
from crabcan_workshop.desk import notebooks
from desks import ENVIRONMENT, place, run  # noqa: F401

pytestmark = pytest.mark.slow  # left out by --fast


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
    assert len(list(folder.glob("*.ipynb"))) == len(exercises.CHAPTERS)
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
    assert said.returncode == 1 and said.stderr == f"workshop: {tmp_path}/file is a file: name a directory: workshop start DIR\n"
