"""The page with recordings in it: one file that needs nothing else. What a recording says stays data."""
import json
import os
from pathlib import Path

PAGE = Path(__file__).with_name("page.html")
PLACE = '<script type="application/json" id="recordings">[]</script>'
TITLE = "<title>The explorer"  # by which we know a page of ours


def document(recordings):
    """The page as text. recordings: (name, a word about it, events), the first of them is shown."""
    told = [{"name": name, "about": about, "events": events} for name, about, events in recordings]
    data = json.dumps(told, separators=(",", ":")).replace("<", "\\u003c").replace("\u2028", "\\u2028")
    page = PAGE.read_text()
    if page.count(PLACE) != 1:
        raise ValueError(f"{PAGE.name} has no place for recordings")
    return page.replace(PLACE, PLACE.replace("[]", data))


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
