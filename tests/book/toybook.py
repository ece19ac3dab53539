"""A small book with code of its own, for tools/weave.py to weave."""
import os
import shutil
import subprocess
import sys

import pytest

from conftest import CHECKOUT

sys.path.insert(0, str(CHECKOUT / "tools"))

MODULE = '''"""Chapter 4: small.

With a blank line."""
import os

ONE, TWO = 1, 2
# belongs to THREE
THREE = {
    "a": 1,
}

# ---------------------------------------------------------------- a separator

FOUR: int = 4
try:
    FIVE = 5
except NameError:
    FIVE = 6


@staticmethod
# why
def plain(x):
    def inner():
        return """text
at the margin"""

    return inner  # why
    # the end


class Thing:
    """A thing."""
    size = 3

    # of the method
    @property
    def name(self):
        """Its name."""
        value = f"""
at the margin"""
        return value

    late = 4


class Empty(Exception):
    """Nothing."""


if __name__ == "__main__":
    print(plain)
'''
SLEEP = f"sleep {10_000_000 + os.getpid()}"  # like nobody else's
ALL = ["__doc__", "ONE..THREE", "FOUR..FIVE", "plain", "Thing.__head__", "Thing.name", "Thing.late",
       "Empty", "__main__"]


class Book:
    """A small project in a directory of its own, with a copy of the tool."""

    def __init__(self, folder):
        self.folder = folder
        shutil.copytree(CHECKOUT / "tools", folder / "tools")
        (folder / "crabcan_steps").mkdir()
        (folder / "chapters").mkdir()
        self.put("crabcan_steps/ch04_small.py", MODULE)
        self.put("README.md", "# A book\n")

    def put(self, name, text):
        (self.folder / name).write_bytes(text.encode())
        return self.folder / name

    def page(self, text, name="chapters/04-small.md"):
        self.put(name, text)
        return name

    def weave(self, *args, status=0, **options):
        result = subprocess.run([sys.executable, "-I", self.folder / "tools/weave.py", *args],
                                cwd=self.folder, capture_output=True, text=True, timeout=100,
                                **options)
        assert result.returncode == status, result.stdout + result.stderr
        return result

    def written(self, text, *args):
        """What --write makes of a page; after it --check must be content."""
        name = self.page(text, "page.md")
        self.weave("--write", *args, name)
        self.weave("--check", *args, name)
        return (self.folder / name).read_text()

    def refused(self, text, *args):
        """Why a page is refused; it must stay as it is."""
        name = self.page(text, "page.md")
        errors = self.weave("--write", *args, name, status=2).stderr
        assert (self.folder / name).read_bytes() == text.encode()
        return errors


@pytest.fixture
def book(tmp_path):
    return Book(tmp_path)


@pytest.fixture
def need_root():
    if os.geteuid() != 0:
        pytest.skip("the book's commands run as root")


def quote(name, body="", module="ch04_small.py"):
    return f"<!-- quote: {module}::{name} -->\n```python\n{body}```\n"


def run(command, body="", options=""):
    return f"<!-- run{options}: {command} -->\n```console\n{body}```\n"
