"""Files that readers open on the explorer's page, and save from it."""
import base64
import gzip
import json

import pytest

from crabcan_workshop.explore import record
from pages import Page, lines

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def whole():
    return record.record(9)


@pytest.fixture
def page(browser, tmp_path):
    return Page(browser, tmp_path)


@pytest.mark.parametrize("name, text, says", [
    ("empty.jsonl", "", "empty.jsonl is empty"), ("half.jsonl", '{"call": "open"}\n{"call": "op\n', "half.jsonl, line 2: no JSON"), ("lines", '1 1.0 openat(-100, "/x", 0) = 3\n', "`workshop explore FILE`"),
    ("other.json", '{"events": 7}', "no list of events"), ("newer.jsonl", '{"call": "begin", "options": {"format": 2}}', "of form 2, and this explorer knows 1"),
    ("nan.jsonl", '{"call": "open", "at": NaN}', "line 1: no JSON"), ("list.json", "[1, 2]", "event 1: it names no \"call\""),
    ("picture.png", "\x89PNG\x00", "line 1: no JSON")])
def test_a_broken_file_is_refused_in_words(page, whole, name, text, says):
    page.open({"Chapter 9": whole})
    page.drop(name, text)
    assert says in page.text("[role=alert]")
    assert page.script("explorer.store.getState().recordings.list.length") == 1
    page.click(".fault button")
    assert page.text("[role=alert]") is None
    page.innocent()


def test_a_recording_that_is_cut_off_packed_or_from_elsewhere_is_opened(page, whole):
    """Whoever wrote it was stopped; gzip(1); Windows' ends of lines, and its mark at the beginning."""
    text, packed = lines(whole), "Uint8Array.from(atob(%s), letter => letter.charCodeAt(0))"
    page.open({})
    for name, data in (("cut.jsonl", json.dumps(text[:-40])), ("win.jsonl", json.dumps("\ufeff" + text.replace("\n", "\r\n"))),
                       ("big.jsonl.gz", packed % json.dumps(base64.b64encode(gzip.compress(text.encode())).decode()))):
        page.script("explorer.takeIn(explorer.store, [new File([%s], %s)])" % (data, json.dumps(name)))
        page.settle()
        assert page.text("[role=alert]") is None, name
        assert page.text(".track ~ *, .transport").find(f"of {len(whole) - (name == 'cut.jsonl')}") >= 0
        assert (f"cut off in line {len(whole)}" in page.text()) == (name == "cut.jsonl")
    half = packed % json.dumps(base64.b64encode(gzip.compress(text.encode())[:-40]).decode())
    page.script("explorer.takeIn(explorer.store, [new File([%s], 'half.gz')])" % half)
    assert "half.gz: gzip cannot unpack it: is it all of it?" in page.text("[role=alert]")
    page.innocent()


def test_a_recording_is_opened_and_saved_as_it_was(page, whole):
    page.open({})
    assert "Open a recording" in page.text()
    page.drop("mine.jsonl", lines(whole))
    assert page.text("select option:checked") == "mine.jsonl" or "mine.jsonl" in page.text("header")
    saved = page.script("""(async () => {
        const made = URL.createObjectURL
        const kept = new Promise(go => URL.createObjectURL = blob => (go(blob), made.call(URL, blob)))
        HTMLAnchorElement.prototype.click = () => {};
        [...document.querySelectorAll("header button")].find(e => e.innerText === "Save").click()
        return (await kept).text()
    })()""")
    assert [json.loads(line) for line in saved.splitlines()] == whole
