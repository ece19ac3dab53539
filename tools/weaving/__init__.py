"""What tools/weave.py is made of: pages, quotes, runs, and what counts as the same output."""
import difflib


class Problem(Exception):
    """Something in a page that cannot be woven: where, and why."""

    def __init__(self, where, reason):
        super().__init__(f"{where}: {reason}")


def near(word, words):
    """`: did you mean X?`, if something of a like name exists."""
    found = [w for w in words if w.endswith("." + word)][:3]
    found = found or difflib.get_close_matches(word, words, 3)
    return f": did you mean {' or '.join(found)}?" if found else ""
