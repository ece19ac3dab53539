"""The book in a real browser, which finds nothing to complain about."""
import contextlib
import functools
import http.server
import importlib.metadata
import json
import os
import re
import signal
import subprocess
import threading
import urllib.request

import pytest

from conftest import CHECKOUT, Who, wait_for
from sites import PAGES, SERVE, WIDTHS, build, built, site  # noqa: F401

# sites.py has made tools/book known.
import hooks

pytestmark = pytest.mark.slow  # left out by --fast

BAD = """# A page with all the faults

<script>console.error("a script complains"); nowhere()</script>
<img src="https://example.org/pixel.png" alt="from another host">
<img src="assets/crab.svg" id="silent">
<p style="color: #999; background: #fff">Who can read this?</p>
<div style="width: 60rem">wide</div>
<div style="overflow: auto"><p style="width: 42rem; max-width: none">scrolls</p></div>
<pre><code style="white-space: pre; overflow: auto; display: block">cut off, CUT OFF, CUT OFF, CUT OFF, CUT OFF, CUT OFF</code></pre>
<table class="own"><tr><td style="min-width: 44rem">a wide table</td></tr></table>
<p style="width: 20rem; overflow: auto"><img src="assets/crab.svg" width="900" alt="a wide picture"></p>
<span class="diagram"><svg viewBox="0 0 900 20"><text y="15">small words</text></svg></span>

#### A heading that skips two levels
"""


@contextlib.contextmanager
def served(folder):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0),
                                             functools.partial(Quiet, directory=folder))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def base(site):
    with served(site) as address:
        yield address


@pytest.fixture(scope="module")
def axe():
    files = importlib.metadata.files("axe-playwright-python")
    return next(file for file in files if file.name == "axe.min.js").read_text()


def strangers(page, base):
    """Requests to another host."""
    return [url for url in page.requests() if not url.startswith((base, "data:"))]


def too_wide(page):
    """By how many pixels the page can be scrolled sideways, and what sticks out."""
    return page.script("""(() => {
        const width = document.documentElement.clientWidth
        if (document.documentElement.scrollWidth <= width) return []
        return [...document.querySelectorAll("article *")].map(e => [e, e.getBoundingClientRect()])
            .filter(([e, box]) => box.right > width).map(([e]) => e.outerHTML.slice(0, 80))
    })()""")


def clipped(page):
    """Blocks of code, tables and pictures that are cut off, and pictures with letters below 10 pixels.

    What a lab's cell shows is the lab's: it may scroll."""
    return page.script("""(() => {
        const column = document.querySelector(".md-content").getBoundingClientRect(), faults = []
        const note = (e, fault) => faults.push(fault + ": " + e.outerHTML.slice(0, 80))
        for (const e of document.querySelectorAll("article :is(pre > code, pre, table, svg, img," +
                                                  " .diagram, .md-typeset__scrollwrap)")) {
            if (!e.checkVisibility() || e.closest(".lab-result, .headerlink, button, .md-icon")) continue
            const box = e.getBoundingClientRect()
            if (e.scrollWidth > e.clientWidth && e.clientWidth) note(e, "cut off")
            if (box.right > column.right + 1 || box.left < column.left - 1) note(e, "sticks out")
            if (e.matches(".diagram svg")) {
                const letters = 14 * box.width / e.viewBox.baseVal.width
                if (letters < 10) note(e, "letters of " + letters)
            }
        }
        return faults
    })()""")


def barriers(page, axe, rules=None):
    """What axe-core calls serious or critical, and headings out of order.

    Most of a page is coloured words of code, and each costs axe a millisecond: so the second one
    of a kind, and those that follow, become plain text before."""
    options = {"resultTypes": ["violations"]}
    if rules:
        options["runOnly"] = {"type": "rule", "values": rules}
    found = page.script("""(async () => {
        if (!window.axe) (0, eval)(%s)
        const still = document.createElement("style")
        still.textContent = "*, *::before, *::after { transition: none !important }"
        document.head.append(still)
        const seen = new Set()
        document.querySelectorAll("pre > code span[class]").forEach(word => {
            if (seen.has(word.className)) word.replaceWith(word.textContent)
            seen.add(word.className)
        })
        document.body.normalize()
        const result = await axe.run(document, %s)
        return result.violations.map(v => [v.impact, v.id, v.nodes.length,
            v.nodes.map(n => n.target + ": " + n.failureSummary).slice(0, 3)])
    })()""" % (json.dumps(axe), json.dumps(options)))
    return [entry for entry in found
            if entry[0] in ("serious", "critical") or entry[1] == "heading-order"]


def unreachable(page):
    """What scrolls, but not with the keyboard."""
    return page.script("""[...document.querySelectorAll("article *")].filter(e =>
        e.scrollWidth > e.clientWidth && e.tabIndex < 0 &&
        ["auto", "scroll"].includes(getComputedStyle(e).overflowX))
        .map(e => e.outerHTML.slice(0, 80))
    """)


def dark(page):
    page.prefers("dark")
    assert page.wait("document.body.dataset.mdColorScheme == 'slate'")


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
def test_a_page_in_a_browser(browser, base, axe, name):
    browser.prefers("light")
    browser.width(1280)
    browser.go(base + name)
    assert browser.script("document.body.dataset.mdColorScheme") == "default"
    assert browser.complaints() == []
    assert strangers(browser, base) == []
    assert barriers(browser, axe) == []
    shapes = {width: shape(browser, width) for width in WIDTHS}
    dark(browser)
    assert barriers(browser, axe, ["color-contrast"]) == []
    assert shapes == {width: ([], [], []) for width in WIDTHS}
    assert shapes == {width: shape(browser, width) for width in WIDTHS}


def shape(browser, width):
    browser.width(width)
    return clipped(browser), too_wide(browser), unreachable(browser)


@pytest.mark.slow
def test_each_check_fails_on_a_bad_page(browser, axe, tmp_path):
    with served(built(tmp_path, bad=BAD)) as base:
        browser.prefers("light")
        browser.width(360)
        browser.go(base + "bad.html")
        said = " ".join(browser.complaints())
        assert "a script complains" in said and "Uncaught" in said
        assert strangers(browser, base) == ["https://example.org/pixel.png"]
        assert any("60rem" in element for element in too_wide(browser))
        assert any("42rem" in element for element in unreachable(browser))
        said = " ".join(clipped(browser))
        assert "cut off: <code" in said and "sticks out: <table" in said
        assert "sticks out: <img" in said and "letters of 5" in said
        found = {entry[1] for entry in barriers(browser, axe)}
        assert {"color-contrast", "image-alt", "heading-order"} <= found


LONG = """# Page

```python
def here():
        words = "%s"
```
""" % ("word " * 60)


@pytest.mark.slow
def test_a_long_line_goes_on_below_further_in(browser, tmp_path):
    with served(built(tmp_path, page=LONG)) as base:
        browser.width(360)
        browser.go(base + "page.html")
        margin, *lines = browser.script("""(() => {
            const [first, second] = document.querySelectorAll("pre > code > span"), lines = {}
            const words = [...second.querySelectorAll("span")].find(e => e.textContent.length > 99)
            for (const {top, left} of words.getClientRects()) lines[top] ??= left
            return [first.getBoundingClientRect().left, ...Object.values(lines)]
        })()""")
        assert len(lines) > 5
        assert set(lines[1:]) == {lines[1]} and lines[0] > lines[1] > margin + 60  # 8 letters, and 2
        assert clipped(browser) == []


CONSOLE = """# Page

```console
$ echo a | sed 's/^/$ /'
printed
$ false || echo "<b>"
<b>
```

```sh
$HOME/run  # $ not typed
```
"""


@pytest.mark.slow
def test_what_is_copied_is_what_is_typed(browser, tmp_path):
    """Of a console block; of any other all of it."""
    copied = """(async number => {
        document.execCommand = () => window.copied = document.activeElement.value  // wants a real hand
        document.querySelectorAll("article [data-clipboard-target]")[number].click()
        return window.copied
    })(%d)"""
    with served(built(tmp_path, page=CONSOLE)) as base:
        browser.width(1280)
        browser.go(base + "page.html")
        assert browser.wait("document.querySelectorAll('article [data-clipboard-target]').length == 2")
        assert browser.script(copied % 0) == "echo a | sed 's/^/$ /'\nfalse || echo \"<b>\""
        assert browser.script(copied % 1).strip() == "$HOME/run  # $ not typed"


def search(browser, words):
    """Types into the field as soon as the index is there."""
    browser.width(1280)
    browser.script("document.querySelector('.md-search__input').focus()")
    assert browser.wait("document.querySelector('.md-search-result__meta').innerText"
                        "?.startsWith('Type to start')")
    browser.call("Input.insertText", text=words)
    browser.call("Input.dispatchKeyEvent", type="keyUp", key="x")  # the page looks when one comes up


@pytest.mark.slow
def test_search_finds(browser, base):
    goal = "04-mounts" if (CHECKOUT / "chapters" / "04-mounts.md").exists() else "diagrams"
    browser.go(base + "index.html")
    search(browser, "pivot_root")
    assert browser.wait(f"document.querySelector('.md-search-result__link[href*=\"{goal}\"]')"
                        "?.href")
    assert strangers(browser, base) == []


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["http", "file"])
def test_search_shows_what_is_written_and_no_whole_classes(browser, base, site, scheme):
    """On a page that is served, and on one that is opened from disk, as `book --build` says."""
    browser.go(base + "index.html" if scheme == "http" else f"file://{site}/index.html")
    search(browser, "mount_setattr")
    shown = "document.querySelector('.md-search-result__list').innerText"
    assert browser.wait(f"{shown}.includes('4 Mounts')")
    browser.script("document.querySelectorAll('.md-search-result details').forEach(e => e.open = true)")
    text = browser.script(shown)
    assert "break off propagation" in text
    assert "class Mounts(Layer):" not in text and "def child(self):" not in text
    assert browser.complaints() == []
    assert strangers(browser, base if scheme == "http" else f"file://{site}/") == []
    link = browser.script("document.querySelector('.md-search-result__link[href*=\"04-mounts\"]').href")
    browser.go(link)
    assert browser.script("document.querySelector('h1').innerText").startswith("4 Mounts")


def test_no_long_code_is_in_the_index_and_no_prose_is_lost(site):
    entries = json.loads((site / "search" / "search_index.json").read_text())["docs"]
    blocks = [block for entry in entries for block in re.findall("<pre>(.*?)</pre>", entry["text"], re.S)]
    assert blocks and max(block.strip().count("\n") for block in blocks) < hooks.FOUND
    assert "ch04_mounts.py, Mounts" in " ".join(entry["text"] for entry in entries)  # where it stands
    script = (site / "search" / "search_index.js").read_text()
    assert json.loads(script.removeprefix("var __index = "))["docs"] == entries


@pytest.mark.slow
def test_the_toggle_goes_round(browser, base):
    browser.prefers("dark")
    browser.width(1280)
    browser.go(base + "index.html")
    seen = []
    for _ in range(4):
        seen.append(browser.script("document.body.dataset.mdColorScheme"))
        browser.script("document.querySelector('.md-header__option label:not([hidden])').click()")
    browser.script("localStorage.clear()")
    # As the system is, light, dark, as the system is.
    assert seen == ["slate", "default", "slate", "slate"]


@pytest.mark.slow
def test_the_focus_can_be_seen(browser, base):
    browser.width(1280)
    browser.go(base + "index.html")
    for _ in range(5):
        for kind in ("rawKeyDown", "keyUp"):
            browser.call("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab",
                         windowsVirtualKeyCode=9)
    outline = browser.script("(s => [s.outlineStyle, s.outlineWidth])"
                             "(getComputedStyle(document.activeElement))")
    assert outline == ["solid", "2px"]


@pytest.mark.slow
def test_on_paper(browser, tmp_path):
    page = "# Page\n\n[there](https://example.org/)\n\n```text\n" + "word " * 80 + "\n```\n"
    with served(built(tmp_path, page=page)) as base:
        browser.width(700)
        browser.go(base + "page.html")
        browser.call("Emulation.setEmulatedMedia", media="print")
        link = "document.querySelector('a[href^=http]')"
        behind = browser.script(f"getComputedStyle({link}, '::after').content")
        assert behind == '" (https://example.org/)"'
        assert browser.script("(e => e.scrollWidth <= e.clientWidth)"
                              "(document.querySelector('pre > code'))")
        assert browser.script("['.md-header', '.md-sidebar', '.md-footer'].every("
                              "s => document.querySelector(s).checkVisibility() == false)")
        browser.call("Emulation.setEmulatedMedia", media="")


def test_serving_says_where_and_ends_cleanly(tmp_path):
    """On a machine whose port 8000 may be taken."""
    process = subprocess.Popen(SERVE, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env={**os.environ, "TMPDIR": str(tmp_path)})
    try:
        address = re.search(r"http://127.0.0.1:\d+/", process.stdout.readline())[0]

        def answers():
            assert process.poll() is None, process.stderr.read()
            with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=10) as answer:
                return b"<title>" in answer.read()
        assert wait_for(answers, Who.patience)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=Who.patience)
        assert "Traceback" not in said
        assert process.returncode in (0, 130)
    finally:
        process.kill()
        process.communicate()
    assert list(tmp_path.iterdir()) == []
