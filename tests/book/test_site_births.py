"""The explorer in the book: each chapter leads to its own recording, which opens from disk."""
import subprocess
import sys

import browser as chromium
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
        assert f'<iframe data-src="explorer.html#{step - 1}/1" title="The explorer: ' in text
    assert (site / "explorer.html").stat().st_size < 1_500_000  # one file for all of them
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


def test_a_chapter_has_its_recording_below_it(browser, site):  # noqa: F811
    """Loaded when one comes near, walked through with keys; on a telephone and on paper the link is enough."""
    browser.prefers("light")
    browser.width(1280)
    browser.go((site / "04-mounts.html").as_uri())
    assert not [url for url in browser.requests() if "explorer.html" in url]
    browser.script("document.querySelector('.birth iframe').scrollIntoView({ block: 'center' })")
    tree = []
    while not tree or "explorer" not in tree[0]["frame"]["url"]:
        tree = browser.call("Page.getFrameTree")["frameTree"].get("childFrames", [])
    world = browser.call("Page.createIsolatedWorld", frameId=tree[0]["frame"]["id"])["executionContextId"]

    def inside(text):
        found = browser.call("Runtime.evaluate", contextId=world, returnByValue=True, awaitPromise=True, expression=text)
        return found["result"].get("value")
    ready = "new Promise(go => { const look = () => document.querySelector('.track input') ? go(1) : setTimeout(look, 50); look() })"
    assert inside(ready) and inside("document.querySelector('select').selectedOptions[0].text") == "Chapter 4: mounts"
    assert inside("getComputedStyle(document.querySelector('h1')).width") == "1px"  # the chapter has one
    inside("document.querySelector('.track input').focus()")
    browser.call("Input.dispatchKeyEvent", type="keyDown", key="ArrowRight", windowsVirtualKeyCode=39)
    browser.call("Input.dispatchKeyEvent", type="keyUp", key="ArrowRight", windowsVirtualKeyCode=39)
    browser.script(chromium.SETTLED)
    assert inside("document.querySelector('.track input').value") == "2"
    assert inside("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert browser.complaints() == []
    browser.width(390)
    assert browser.script("getComputedStyle(document.querySelector('.birth iframe')).display") == "none"
    assert browser.script("document.querySelector('section.birth a').offsetHeight") > 0


def test_where_no_container_runs_the_book_has_no_explorer():
    done = subprocess.run(["unshare", "--user", "--map-root-user", "sh", "-c", REFUSED, "sh", sys.executable, "-c", ASKED],
                          cwd=CHECKOUT / "tools" / "book", text=True, capture_output=True, timeout=60)
    assert (done.returncode, done.stdout.split()) == (0, ["{}"]), done.stderr
