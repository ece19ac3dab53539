"""A chapter is the same number and name everywhere: this names what one still lacks, and where."""
import re
import shutil
import subprocess
import sys

import pytest

from conftest import CHECKOUT
from crabcan_steps.layer import Layer
from crabcan_workshop import chapters, exercises
from crabcan_workshop.desk import escape, instructor
from crabcan_workshop.measure import matrix

FILES = {"the prose": "chapters/{n:02}-{name}.md", "the lab": "notebooks/{n:02}-{name}.ipynb",
         "the code": "crabcan_steps/ch{n:02}_{name}.py", "the proof": "tests/test_ch{n:02}_{name}.py",
         "its exercises": "crabcan_workshop/exercises/{n:02}-{name}.toml",
         "what their check looks at": "crabcan_workshop/exercises/ch{n:02}.py"}


def absent(n, name):
    """The files that a chapter lacks."""
    for what, path in FILES.items():
        if not (CHECKOUT / path.format(n=n, name=name)).exists():
            yield f"{what}: {path.format(n=n, name=name)}"


def ignored(n, name):
    """Where a chapter is not told of, and so left out."""
    step = subprocess.run([sys.executable, "-m", "crabcan_steps", "step", str(n), "--help"],
                          cwd=CHECKOUT, text=True, capture_output=True)
    if step.returncode:
        yield f"crabcan step {n}: crabcan_steps/ch09_runtime.py: {step.stderr.strip()}"
    if not re.search(rf"^\| \[{n} .*\]\({n:02}-{name}\.md\)", (CHECKOUT / "chapters/index.md").read_text(), re.M):
        yield "its row in the table of chapters/index.md"
    if n <= chapters.WHOLE:  # later ones are larger than a layer: what the container isolates, they take over as it is
        yield from open_without_it(n, name)


def open_without_it(n, name):
    """Where a chapter that adds to the container must show what it closes."""
    if n > 1 and not any(layer.chapter == n for layer in Layer.__subclasses__()):
        yield f"a Layer with chapter = {n} that crabcan_steps/ch09_runtime.py imports: LAYERS"
    if matrix.CHAPTERS[n:n + 1] != (name,):
        yield "its row in the matrix: crabcan_workshop/measure/matrix.py"
    if not any(chapter == n for chapter, _, _ in matrix.PROPERTIES.values()):
        yield "a property that it closes: PROPERTIES in crabcan_workshop/measure/matrix.py, and the probe"
    if "weaken" in escape.rooms().get(n, {"weaken": "none"}):  # rooms 10 to 12 are chapter 9's
        yield "an escape room: crabcan_workshop/desk/escape.toml"


def untold(n, name):
    """What its pages and exercises do not say."""
    if (CHECKOUT / FILES["the prose"].format(n=n, name=name)).exists():
        try:
            title, minutes = instructor.chapter(n)
            if not title.startswith(f"{n} ") or {"read", "do", "discuss"} - minutes.keys():
                yield f"its title, '{n} Name: ...', and minutes in front: chapters/{n:02}-{name}.md"
        except instructor.ScheduleError as error:
            yield str(error)
    if (CHECKOUT / FILES["its exercises"].format(n=n, name=name)).exists():
        chapter = exercises.chapter(n)
        if len(chapter.exercises) != 3 or not chapter.targets or not chapter.wrong:
            yield f"three exercises with targets, and planted wrong answers: {n:02}-{name}.toml"


@pytest.mark.parametrize("n", chapters.NUMBERS)
def test_nothing_of_a_chapter_was_forgotten(n):
    name = chapters.NAMES.get(n, "NAME")
    lacks = [*absent(n, name), *ignored(n, name), *untold(n, name)]
    assert not lacks, f"chapter {n} still lacks:\n  " + "\n  ".join(lacks)


def test_the_course_counts_its_chapters_in_one_place():
    """A number written down once more is one that is forgotten."""
    assert list(exercises.CHAPTERS) == list(chapters.NUMBERS) == sorted(chapters.NAMES)
    again = re.compile(r"range\((?:1, )?10\)|\b1 to 9\b|default=9\b|step=9\b|execute\(9\b|spec, 9\)|\(.123456789.\)|\bof 27\b")
    found = [f"{path.relative_to(CHECKOUT)}: {hit[0]}" for folder in ("crabcan_steps", "crabcan_workshop", "benchmarks", "tools")
             for path in (CHECKOUT / folder).rglob("*.py") for hit in again.finditer(path.read_text())]
    assert not found


def test_a_file_that_is_no_chapters_has_a_place_in_the_map():
    """CONTRIBUTING.md: what it names is there, and each room is named."""
    text = (CHECKOUT / "CONTRIBUTING.md").read_text()
    for path in re.findall(r"`([\w./-]+/[\w./-]*)`", text):
        if not re.search(r"NN|NAME|TIER|~|^\.\.?/|^build/|^/", path):
            assert (CHECKOUT / path).exists(), path
    tracked = {"benchmarks", "chapters", "crabcan_steps", "crabcan_workshop", "notebooks", "requirements",
               "tests", "tools"}
    rooms = {path.name for path in CHECKOUT.iterdir() if path.is_dir() and path.name[0] not in "._"
             and path.suffix != ".egg-info"} - {"build"}
    for room in rooms | tracked:
        assert f"`{room}/" in text, f"CONTRIBUTING.md has no line about {room}/"


def test_a_layer_that_shows_nothing_is_told_what_it_lacks():
    told = " ".join(open_without_it(chapters.LAST + 1, "demo"))
    assert all(what in told for what in ("LAYERS", "row in the matrix", "PROPERTIES", "escape.toml"))


@pytest.mark.slow
def test_a_chapter_that_is_only_code_is_told_what_it_lacks(tmp_path):
    for name in ("crabcan_steps", "crabcan_workshop", "chapters", "notebooks", "tests", "tools",
                 "pyproject.toml", "CONTRIBUTING.md"):
        source = CHECKOUT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    last = chapters.LAST + 1
    (tmp_path / "crabcan_steps" / f"ch{last:02}_demo.py").write_text('"""Nothing yet."""\n')
    result = subprocess.run([sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/test_forgotten.py",
                             "-k", "of_a_chapter"], cwd=tmp_path, text=True, capture_output=True, timeout=100)
    assert result.returncode == 1 and f"1 failed, {chapters.LAST} passed" in result.stdout, result.stdout
    for what in (*(path.format(n=last, name="demo") for path in FILES.values() if "steps" not in path),
                 f"crabcan step {last}", "chapters/index.md"):
        assert what in result.stdout, what
