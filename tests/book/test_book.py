"""The book says what the program says."""
import errno
import re
import subprocess
import sys
from pathlib import Path

import pytest

from crabcan_steps import ch02_clone, ch09_runtime, ch11_network

CHAPTERS = Path(__file__).resolve().parents[2] / "chapters"
AT_ONE_SITTING = 3700  # words of prose and code: 25 minutes, read aloud
CURES = [(call, number, cure) for layer in (*ch09_runtime.LAYERS, ch02_clone.Start, ch11_network.Address)
         for (call, number), cure in layer.cures.items()]


def plain(text):
    """Without markup and line breaks."""
    return re.sub(r"\s+", " ", re.sub(r"[*`]", "", text))


@pytest.mark.parametrize("call, number, cure", CURES, ids=[f"{c}-{errno.errorcode.get(n, n)}" for c, n, _ in CURES])
def test_each_message_with_a_cure_is_on_the_page_of_troubles(call, number, cure):
    """By its call and the first words of its cure, which is what a reader searches for."""
    page = (CHAPTERS / "91-troubleshooting.md").read_text()
    headings = [plain(text) for text in re.findall(r"^\*\*.*?(?=\n:)", page, re.M | re.S)]
    words = cure() if callable(cure) else cure
    words = plain(re.split(r"[:(]", words)[0]).strip()
    assert any(words in heading and call in heading for heading in headings), f"{call}: {words}"


def test_it_quotes_the_code_as_it_is_and_all_of_it():
    weave = [sys.executable, "-I", CHAPTERS.parent / "tools/weave.py", "--check", "--no-run"]
    result = subprocess.run(weave, text=True, capture_output=True, timeout=100)
    assert result.returncode == 0, result.stdout + result.stderr


def read_aloud(text):
    """How many words of a chapter are read: prose and code, not outputs, notes and exercises."""
    text = re.sub(r"\A---\n.*?\n---\n|<!--.*?-->", "", text, flags=re.S)
    text = re.sub(r"^## (?:Exercises|Further reading)\n.*?(?=^## |\Z)", "", text, flags=re.S | re.M)
    text = re.sub(r"^```(?:console|text|sh)\b.*?^```$", "", text, flags=re.S | re.M)
    return len(text.split())


@pytest.mark.parametrize("page", sorted(CHAPTERS.glob("[01]*.md")), ids=lambda page: page.stem)
def test_a_chapter_can_be_read_at_one_sitting_and_says_how_long_it_takes(page):
    text = page.read_text()
    words, minutes = read_aloud(text), int(re.search(r"^minutes: \{read: (\d+)", text, re.M)[1])
    assert words <= AT_ONE_SITTING
    assert words / 150 <= minutes <= words / 150 + 6, f"{words} words in {minutes} minutes"


def test_what_no_chapter_tells_is_told_at_the_end():
    """The rest of the code: each of its pages is in the welcome, and says in front why it is there."""
    welcome = (CHAPTERS / "index.md").read_text()
    pages = sorted(CHAPTERS.glob("[78]*.md"))
    assert len(pages) >= 10
    for page in pages:
        assert f"]({page.name})" in welcome
        title, why = page.read_text().split("\n\n")[:2]
        assert re.match(r"# \w.*: ", title) and why.startswith("For chapter"), page.name
