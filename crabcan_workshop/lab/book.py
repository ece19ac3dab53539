"""A chapter of the book in a notebook, where the machine serves it: in a class."""
import os

from ..chapters import NAMES
from .show import escape

PLACE = "/book/"  # of the door of a class, beside the lab
HEIGHT = 700  # pixels


def book(chapter=None, height=HEIGHT):
    """The book, or one of its chapters, in a frame; a right click on it puts it into a view of its own."""
    if not os.environ.get("CRABCAN_CLASS_URL"):
        return Page(None, f"The book: workshop book, in a terminal, or chapters/ of the course{of(chapter)}", height)
    return Page(PLACE + (f"{chapter:02}-{NAMES[chapter]}.html" if chapter else "index.html"), "The book", height)


def of(chapter):
    return f": {chapter:02}-{NAMES[chapter]}.md" if chapter else ""


class Page:
    """A page in a frame; as text, where it is."""

    def __init__(self, path, text, height):
        self.path, self.text, self.height = path, text, height

    def __repr__(self):
        return f"{self.text}: {self.path}" if self.path else self.text

    def _repr_html_(self):
        if not self.path:
            return f"<p>{escape(self.text)}</p>"
        return (f'<iframe title="{escape(self.text)}" src="{escape(self.path)}" '
                f'style="width:100%;height:{int(self.height)}px;border:1px solid #8886"></iframe>')
