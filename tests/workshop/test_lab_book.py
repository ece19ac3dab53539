"""A chapter in a notebook, where there is a class to serve it."""
import html.parser
import re

import pytest

from conftest import CHECKOUT
from crabcan_workshop.lab.book import book


@pytest.mark.parametrize("chapter", [None, 1, 12])
def test_in_a_class_it_is_a_frame_with_the_page(monkeypatch, chapter):
    monkeypatch.setenv("CRABCAN_CLASS_URL", "http://10.77.0.1:8081")
    found = []
    parser = html.parser.HTMLParser()
    parser.handle_starttag = lambda tag, pairs: found.append((tag, dict(pairs)))
    parser.feed(book(chapter)._repr_html_())
    (tag, attributes), = found
    assert tag == "iframe" and attributes["title"]
    page = re.fullmatch(r"/book/(.+)\.html", attributes["src"])[1]
    assert (CHECKOUT / "chapters" / f"{page}.md").exists()


def test_elsewhere_it_says_where_the_book_is(monkeypatch):
    monkeypatch.delenv("CRABCAN_CLASS_URL", raising=False)
    assert "chapters/" in repr(book(3)) and "03-hostname.md" in repr(book(3)) and "<iframe" not in book(3)._repr_html_()
