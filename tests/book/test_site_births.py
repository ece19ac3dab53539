"""The explorer in the book: each chapter leads to its own recording, which opens from disk."""
import subprocess
import sys

import pytest

from conftest import CHECKOUT
from crabcan_workshop import chapters
from crabcan_workshop.explore import record
from sites import site  # noqa: F401

pytestmark = pytest.mark.slow  # left out by --fast

REFUSED = """echo 0 > /proc/sys/user/max_user_namespaces; exec "$@" """
ASKED = "import births; print(births.recordings(), births.link(4))"


def test_a_chapter_leads_to_its_recording_and_the_recording_to_the_book(browser, site):  # noqa: F811
    for step in record.STEPS:
        text = (site / f"{step:02}-{chapters.NAMES[step]}.html").read_text()
        assert f'<p class="birth"><a href="explorer.html#{step - 1}/1">' in text
    assert 'class="birth"' not in (site / "01-args.html").read_text()
    browser.width(1280)
    browser.go(f"{(site / '04-mounts.html').as_uri()}")
    browser.go(browser.script("document.querySelector('.birth a').href"))
    assert browser.script("document.querySelector('select').selectedOptions[0].text") == "Chapter 4: mounts"
    last = browser.script("""(() => {
        const { list, shown } = explorer.store.getState().recordings
        explorer.store.dispatch(explorer.jumpTo(shown, list[shown].events.findIndex(e => e.call === "pivot_root") + 1))
        return explorer.fold(list[shown].events).properties.files.closed
    })()""")
    assert last is True
    assert browser.wait("document.querySelector('.more a')?.href") == (site / "04-mounts.html").as_uri()
    assert browser.script("document.querySelector('.tools a').href") == (site / "index.html").as_uri()
    assert browser.complaints() == []


def test_where_no_container_runs_the_book_has_no_explorer():
    done = subprocess.run(["unshare", "--user", "--map-root-user", "sh", "-c", REFUSED, "sh", sys.executable, "-c", ASKED],
                          cwd=CHECKOUT / "tools" / "book", text=True, capture_output=True, timeout=60)
    assert (done.returncode, done.stdout.split()) == (0, ["()"]), done.stderr
