"""The page with recordings in it: one file that needs nothing else. What a recording says stays data."""
import json
import os
from pathlib import Path

from .. import chapters
from .sources import sources

PAGE = Path(__file__).with_name("page.html")
PLACE = '<script type="application/json" id="recordings">[]</script>'
TITLE = "<title>The explorer"  # by which we know a page of ours
USUAL = {"args": [], "options": {}, "result": None, "errno": 0, "microseconds": 0, "at": 0}  # if a key is not there
HEAD = ("side", "chapter", "layer", "call")  # of which there are few, so that an event has but the number of its own


def document(recordings, book=None, beside=None):
    """The page as text. recordings: (name, a word about it, events), the first of them is shown.

    book: what stands before the names of the book's pages in a link; beside: which recording to compare with."""
    about = {"chapters": {n: f"{n:02}-{name}" for n, name in chapters.NAMES.items()}, "source": sources(), "book": book}
    told = {"recordings": [{"name": name, "about": word, **slim(events)} for name, word, events in recordings],
            "about": about, "beside": beside}
    data = json.dumps(told, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c").replace("\u2028", "\\u2028")
    page = PAGE.read_text()
    if page.count(PLACE) != 1:
        raise ValueError(f"{PAGE.name} has no place for recordings")
    return page.replace(PLACE, PLACE.replace("[]", data))


def slim(events):
    """Events without what goes without saying: of ten thousand that is a megabyte (page/files.js puts it back)."""
    heads, rest = {}, []
    for event in events:
        head = json.dumps({key: event[key] for key in HEAD if key in event})
        rest.append({"is": heads.setdefault(head, len(heads)), **{
            key: value for key, value in event.items() if key not in HEAD
            and (key not in USUAL or value != USUAL[key] or type(value) is not type(USUAL[key]))}})
    return {"heads": list(map(json.loads, heads)), "events": rest}


def save(text, path):
    """Writes a page, over an older one of ours only. Raises FileExistsError."""
    path = Path(path)
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        with open(path, errors="replace") as old:
            if TITLE not in old.read(4096):
                raise
        path.unlink()
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    with open(fd, "w") as file:
        file.write(text)
