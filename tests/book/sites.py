"""The book built as a site, and small books beside it."""
import os
import shutil
import subprocess
import sys

import pytest

from conftest import CHECKOUT

sys.path[:0] = [str(CHECKOUT / "tools" / "book")]
SERVE = [sys.executable, "-I", CHECKOUT / "tools" / "book" / "serve.py"]
CHAPTERS = sorted((CHECKOUT / "chapters").glob("*.md"))
PAGES = [f"{path.stem}.html" for path in CHAPTERS] + ["404.html"]
PAGES += sorted(f"{path.stem}-lab.html" for path in (CHECKOUT / "notebooks").glob("*.ipynb"))
WIDTHS = (1280, 1440, 390, 360)
ONCE = []  # where it has been built


def build(chapters, site, **environment):
    return subprocess.run([*SERVE, "--build", "--chapters", chapters, "--site", site],
                          text=True, capture_output=True, timeout=100,
                          env={**os.environ, "INSTRUCTOR": "", **environment})


def sample(folder, **pages):
    """A small book: an index and these pages, with our assets; returns its chapters' directory."""
    chapters = folder / "chapters"
    for name in ("assets", "diagrams"):
        shutil.copytree(CHECKOUT / "chapters" / name, chapters / name)
    for name, text in {"index": "# Welcome\n", **pages}.items():
        (chapters / f"{name}.md").write_text(text)
    return chapters


def built(folder, **pages):
    result = build(sample(folder, **pages), folder / "site")
    assert result.returncode == 0, result.stderr
    return folder / "site"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The whole book, built once for all who look at it."""
    if not ONCE:
        folder = tmp_path_factory.mktemp("book") / "site"
        result = build(CHECKOUT / "chapters", folder)
        assert result.returncode == 0, result.stderr
        ONCE.append(folder)
    return ONCE[0]
