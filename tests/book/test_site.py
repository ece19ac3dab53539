"""The book as a site: it builds strictly, and what is in it."""
import json
import re
from html import escape
from pathlib import Path

import pytest

from conftest import CHECKOUT
from crabcan_workshop import chapters
from crabcan_workshop.measure import matrix, observe, probe
from sites import CHAPTERS, PAGES, build, built, sample, site  # noqa: F401

# sites.py has made tools/book known.
import tables

pytestmark = pytest.mark.slow  # left out by --fast


def test_the_book_builds_strictly(site):
    assert {path.name for path in site.glob("*.html")} == {*PAGES, "explorer.html"}
    for page in PAGES:
        assert len(re.findall("<h1", (site / page).read_text())) == 1, page


@pytest.mark.parametrize("fault, said", [
    ("[gone](nowhere.md)", "nowhere.md"),
    ("[gone](index.md#nowhere)", "#nowhere"),
    ("![gone](assets/nowhere.svg)", "nowhere.svg"),
    ("[gone](../nowhere.py)", "nowhere.py"),
    ("![gone](diagrams/nowhere.svg)", "nowhere.svg"),
])
def test_what_leads_nowhere_fails_the_build(tmp_path, fault, said):
    result = build(sample(tmp_path, page=f"# Page\n\n{fault}\n"), tmp_path / "site")
    assert result.returncode != 0
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_a_quotation_says_where_it_is_from(tmp_path):
    quote = '<!-- quote: ch04_mounts.py::Mounts.child -->\n```python\ndef child(self):\n```\n'
    run = '<!-- run: a > b -->\n```console\n$ a > b\n```\n'
    page = (built(tmp_path, page=f"# Page\n\n{quote}\n{run}") / "page.html").read_text()
    assert '<span class="filename">crabcan_steps/ch04_mounts.py, Mounts.child</span>' in page
    assert "<!-- run" not in page and "quote:" not in page


# ---------------------------------------------------------------- speaker notes

NOTE = re.compile(r"<!-- speaker:\n(.+?)\n-->\n", re.S)


def written(folder):
    """All that a reader of a site can come by."""
    return {path.name: path.read_text() for path in folder.rglob("*")
            if path.suffix in (".html", ".json", ".js", ".xml", ".txt")}


def test_speaker_notes_are_for_the_instructor(site, tmp_path):
    notes = {path.stem: NOTE.findall(path.read_text()) for path in CHAPTERS}
    assert all(notes[path.stem] for path in CHAPTERS if path.stem[0] == "0")
    ordinary = written(site)
    assert "search_index.json" in ordinary and len(ordinary) > len(PAGES)
    assert build(CHECKOUT / "chapters", tmp_path / "site", INSTRUCTOR="1").returncode == 0
    shown = written(tmp_path / "site")
    for text in ordinary.values():
        assert not re.search("speaker:|For the instructor", text)
    for name, texts in notes.items():
        page = shown[f"{name}.html"]
        assert page.count("For the instructor") == len(texts)
        sentences = [words for text in texts for words in re.findall(r"[\w ,.]{30,}", text)]
        assert len(sentences) >= 3 * len(texts)  # pieces of a line without markup
        for words in sentences:
            assert words in page and not any(words in text for text in ordinary.values()), words


@pytest.mark.parametrize("value, seen", [("1", True), ("0", False), ("", False)])
def test_a_speaker_note_is_all_there_or_not_at_all(tmp_path, value, seen):
    page = "# Page\n\n<!-- speaker:\n**Ask** `a`\n\n- one\n-->\n\n<!--speaker: two -->\nText\n"
    result = build(sample(tmp_path, page=page), tmp_path / "site", INSTRUCTOR=value)
    assert result.returncode == 0, result.stderr
    page = (tmp_path / "site" / "page.html").read_text()
    assert page.count("For the instructor") == 2 * seen and "speaker:" not in page
    assert ("<li>one</li>" in page and "<strong>Ask</strong>" in page) == seen and "Text" in page


# ---------------------------------------------------------------- labs

def notebook(*outputs, code="print(1)"):
    cells = [{"cell_type": "markdown", "metadata": {}, "source": ["# Lab 1: try\n", "\n",
                                                                  "[1](../chapters/01-args.md)"]},
             {"cell_type": "code", "metadata": {}, "source": code, "execution_count": None,
              "outputs": list(outputs)}]
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


def lab(folder, source, executed=None):
    chapters = {"01-args": "# 1 Args: a plan\n\n[its lab](../notebooks/01-args.ipynb)\n"}
    for place, text in ("notebooks", source), ("build/notebooks", executed):
        (folder / place).mkdir(parents=True)
        if text:
            (folder / place / "01-args.ipynb").write_text(text)
    site = built(folder, **chapters)
    assert 'href="01-args-lab.html"' in (site / "01-args.html").read_text()
    return (site / "01-args-lab.html").read_text()


def stream(text):
    return {"output_type": "stream", "name": "stdout", "text": text}


def test_a_lab_shows_what_its_cells_printed(tmp_path):
    page = lab(tmp_path, notebook(), notebook(stream("\x1b[31m<1>\x1b[0m ```\n")))
    assert "&lt;1&gt; ```" in page and "Not run yet" not in page
    assert 'href="01-args.html"' in page


@pytest.mark.parametrize("executed", [None, notebook(stream("stale words"), code="print(2)")])
def test_outputs_of_another_version_of_a_lab_are_not_shown(tmp_path, executed):
    page = lab(tmp_path, notebook(), executed)
    assert "Not run yet" in page and "stale words" not in page


# ---------------------------------------------------------------- the matrix, the comparison

def woven(command):
    """(page, the text that its source has of a run), of the first page that has one."""
    asked = re.compile(rf"<!-- run[^\n]*: workshop {command}\b[^\n]*-->\n```text\n(.*?)\n```", re.S)
    return next((f"{path.stem}.html", found[1]) for path in CHAPTERS
                if (found := asked.search(path.read_text())))


def cells(html, kind):
    """Rows of a table of this class: (its head as HTML, [(class, title, what is heard)])."""
    table = re.search(rf'<table class="{kind}">(.*?)</table>', html, re.S)[1]
    body = re.search("<tbody>(.*?)</tbody>", table, re.S)[1]
    cell = re.compile(r'<td class="(\w+)" title="([^"]*)"><i>.</i><span class="heard">([^<]*)</span></td>')
    return [(re.search(r'<th scope="row">(.*?)</th>', row)[1], cell.findall(row))
            for row in re.findall("<tr>(.*?)</tr>", body)]


def test_the_matrix_is_a_table(site):
    page = (site / woven("matrix")[0]).read_text()
    rows = cells(page, "matrix")
    assert len(rows) == len(matrix.ALL) and "```" not in page and "      ●" not in page
    for step, (head, row) in zip(matrix.ALL, rows, strict=True):
        name = f"{step} {chapters.NAMES[step]}" if step else "no container"
        closed = [step >= since for since, _, _ in matrix.PROPERTIES.values()]
        assert [kind == "closed" for kind, _, heard in row if kind == heard] == closed
        for (kind, title, _), known in zip(row, matrix.PROPERTIES, strict=True):
            assert title.startswith(f"{known} in {name}: {kind} (the probe {tables.TRIED[known][:9]}")
        if step:
            target = re.fullmatch(rf'<a href="({step:02}-\w+\.html)">{name}</a>', head)[1]
            assert (site / target).exists()
    for name, (chapter, meaning, _) in matrix.PROPERTIES.items():
        row = re.search(rf'<tr><th scope="row">{name}</th>.*?</tr>', page)[0]
        assert f">{chapter}</a>" in row and escape(meaning) in row


def test_the_tables_know_how_each_property_is_tried():
    assert tables.TRIED.keys() == matrix.PROPERTIES.keys()
    source = Path(probe.__file__).read_text() + Path(observe.__file__).read_text()
    for word in ("/proc/interrupts", "/proc/self/cgroup", "chroot", "keyctl", "128", "40", "100",
                 "nr_throttled", "getsid", "127.0.0.1", "NoNewPrivs", "Seccomp"):
        assert word in source  # what TRIED tells of


def test_the_comparison_keeps_its_explanations(site):
    page, text = woven("compare")
    rows = cells((site / page).read_text(), "matrix compared")
    head, *lines = text.strip().split("\n")
    assert len(rows) == len(lines) > 40
    for (shown, signs), line in zip(rows, lines):
        name, *marks, meaning = re.split("  +", line)
        assert shown == f"{escape(name)}<small>{escape(meaning)}</small>"
        assert [heard for *_, heard in signs] == [tables.SIGNS[mark] for mark in marks]
        assert [title for _, title, _ in signs] == [
            f"{name}, {who}: {tables.SIGNS[mark]}"
            for who, mark in zip(re.split("  +", head.strip()), marks)]
