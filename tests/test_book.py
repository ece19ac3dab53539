"""The book says what the program says."""
import errno
import re
import subprocess
import sys
from pathlib import Path

import pytest

from crabcan_steps import ch02_clone, ch09_runtime

CHAPTERS = Path(__file__).resolve().parent.parent / "chapters"
CURES = [(call, number, cure) for layer in (*ch09_runtime.LAYERS, ch02_clone.Start)
         for (call, number), cure in layer.cures.items()]


def plain(text):
    """Without markup and line breaks."""
    return re.sub(r"\s+", " ", re.sub(r"[*`]", "", text))


@pytest.mark.parametrize("call, number, cure", CURES, ids=[f"{c}-{errno.errorcode.get(n, n)}" for c, n, _ in CURES])
def test_each_message_with_a_cure_is_on_the_page_of_troubles(call, number, cure):
    """By its call and the first words of its cure, which is what a reader searches for."""
    page = (CHAPTERS / "91-troubleshooting.md").read_text()
    headings = [plain(text) for text in re.findall(r"^\*\*.*?(?=\n:)", page, re.M | re.S)]
    words = plain(re.split(r"[:(]", cure)[0]).strip()
    assert any(words in heading and call in heading for heading in headings), f"{call}: {words}"


def test_it_quotes_the_code_as_it_is_and_all_of_it():
    weave = [sys.executable, "-I", CHAPTERS.parent / "tools/weave.py", "--check", "--no-run"]
    result = subprocess.run(weave, text=True, capture_output=True, timeout=100)
    assert result.returncode == 0, result.stdout + result.stderr
