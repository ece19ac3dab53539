"""The timeline of a start is drawn twice, wide and narrow, by one program."""
import shutil
import subprocess
import sys

import pytest

from conftest import CHECKOUT


@pytest.fixture
def timeline(monkeypatch):
    monkeypatch.syspath_prepend(str(CHECKOUT / "benchmarks"))
    import timeline
    return timeline


@pytest.mark.parametrize("shift", range(7))
def test_the_narrow_bars_are_the_wide_ones_halved(timeline, shift):
    """However their ends are rounded; test_pictures.py asks the same of the two in the book."""
    parts, at = [], 0
    for number, label in enumerate(("interpreter", "imports", "mounts", "clean up")):
        length = (0.13, 8.7, 0.4, 3.26)[(number + shift) % 4]
        parts.append((label, "parent" if number < 3 else "child", at, at + length))
        at += length
    wide, narrow = ([(len(line[at:]) - len(line[at:].lstrip()), line.count("━"))
                     for line in text.split("\n") if "━" in line]
                    for text, at in ((timeline.drawn(parts), 24), (timeline.narrow(parts), 16)))
    ends = [((begin + 1) // 2, (begin + length + 1) // 2) for begin, length in wide]
    assert narrow == [(begin, max(1, end - begin)) for begin, end in ends]


def test_both_are_written(tmp_path, root):
    for name in ("benchmarks", "crabcan_steps", "tools"):
        shutil.copytree(CHECKOUT / name, tmp_path / name)
    (tmp_path / "chapters/diagrams").mkdir(parents=True)
    (tmp_path / ".venv").symlink_to(CHECKOUT / ".venv")
    result = subprocess.run([sys.executable, tmp_path / "benchmarks/timeline.py", "--write"], text=True,
                            capture_output=True, timeout=100)
    assert result.returncode == 0, result.stderr
    for name in ("timeline", "timeline-narrow"):
        text = (tmp_path / f"chapters/diagrams/{name}.txt").read_text()
        assert text.count("━ ") == 11 and "seccomp" in text, text


@pytest.mark.slow
def test_the_c_program_is_made_at_a_terminal_too(root, tmp_path):
    """The terminal's calls came into the trace, and the program failed: it was left out, with a note."""
    if not shutil.which("cc"):
        pytest.skip("no C compiler")
    script = f"import sys; sys.path.insert(0, '{CHECKOUT}/benchmarks'); import pathlib, subprocess, start; " \
             f"words = start.in_c(pathlib.Path('{tmp_path}')); print('END', subprocess.run(words).returncode)"
    result = subprocess.run(["script", "-qec", f"{sys.executable} -c \"{script}\"", "/dev/null"], text=True,
                            capture_output=True, stdin=subprocess.DEVNULL, timeout=100)
    assert "END 0" in result.stdout, result.stdout
