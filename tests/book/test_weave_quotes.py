"""Code by name in the book: verbatim, and every refusal."""
import os

import pytest

from toybook import MODULE, book, need_root, quote, run  # noqa: F401

pytestmark = pytest.mark.slow  # left out by --fast


@pytest.mark.parametrize("name, text", {
    "__doc__": '"""Chapter 4: small.\n\nWith a blank line."""\n',
    "TWO": "ONE, TWO = 1, 2\n",
    "THREE": '# belongs to THREE\nTHREE = {\n    "a": 1,\n}\n',
    "TWO..THREE": 'ONE, TWO = 1, 2\n# belongs to THREE\nTHREE = {\n    "a": 1,\n}\n',
    "FOUR": "FOUR: int = 4\n",
    "FIVE": "try:\n    FIVE = 5\nexcept NameError:\n    FIVE = 6\n",
    "os": "import os\n",
    "plain": '@staticmethod\n# why\ndef plain(x):\n    def inner():\n        return """text\n'
             'at the margin"""\n\n    return inner  # why\n    # the end\n',
    "plain.inner": 'def inner():\n    return """text\nat the margin"""\n',
    "Thing.__head__": 'class Thing:\n    """A thing."""\n    size = 3\n',
    "Thing.name": '# of the method\n@property\ndef name(self):\n    """Its name."""\n'
                  '    value = f"""\nat the margin"""\n    return value\n',
    "Thing.late": "late = 4\n",
    "Empty.__head__": 'class Empty(Exception):\n    """Nothing."""\n',
    "Empty": 'class Empty(Exception):\n    """Nothing."""\n',
    "Thing": MODULE[MODULE.index("class Thing"):MODULE.index("\n\n\nclass Empty")] + "\n",
    "__main__": 'if __name__ == "__main__":\n    print(plain)\n',
    "*": MODULE,
}.items())
def test_a_name_is_quoted_verbatim(book, name, text):
    before, after = "# A title \n\n\ttext\n", "\nthe rest, without a line end"
    made = book.written(before + quote(name, "old\n") + after)
    assert made == before + quote(name, text) + after


def test_a_block_in_a_list_keeps_its_margin(book):
    page = "- item\n\n    <!-- quote: ch04_small.py::plain.inner -->\n    ```python\n    ```\n"
    assert book.written(page) == page[:-len("    ```\n")] + (
        '    def inner():\n        return """text\n    at the margin"""\n    ```\n')


def test_rules_of_a_profile_are_quoted_by_their_comment(book):
    (book.folder / "crabcan_steps/profiles").mkdir()
    text = ('{"syscalls": [\n  {"comment": "The } one.",\n   "names": ["a"]},\n'
            '  {"comment": "B"}\n]}\n')
    book.put("crabcan_steps/profiles/list.json", text)
    made = book.written(quote("The }", module="profiles/list.json")
                        + quote("B", module="profiles/list.json")
                        + quote("*", module="profiles/list.json"))
    assert made.split("```")[1] == 'python\n{"comment": "The } one.",\n "names": ["a"]},\n'
    assert made.split("```")[3] == 'python\n{"comment": "B"}\n'
    assert made.split("```")[5] == "python\n" + text
    assert "no rule" in book.refused(quote("Th }", module="profiles/list.json"))
    assert "did you mean profiles/list.json" in book.refused(quote("*", module="profiles/lst.json"))


def test_a_program_beside_the_pages_is_quoted_and_run(book, need_root):
    (book.folder / "chapters/first").mkdir()
    book.put("chapters/first/small.py", "print('typed')\n")
    made = book.written(quote("*", module="first/small.py") + run("/usr/bin/python3 small.py; ls"))
    assert "```python\nprint('typed')\n```" in made and "\ntyped\nsmall.py\n```" in made
    book.put("chapters/first/small.py", "print(\n")
    assert "chapters/first/small.py: is not Python" in book.refused(quote("*", module="first/small.py"))


def test_what_is_no_request_is_left_alone(book):
    page = ("<!-- a comment\n```\n-->\n<!-- running late: -->\n```python\n<!-- quote: x.py::Y -->\n"
            "```\n~~~~\n```\n~~~~\n`<!-- run: false -->`\n")
    assert book.written(page) == page


@pytest.mark.parametrize("text, reason", [
    (quote("Thing.nam"), "page.md:1: no 'Thing.nam' in ch04_small.py: did you mean Thing.name"),
    ("text\n" + quote("plain", module="ch04_smal.py"),
     "page.md:2: no ch04_smal.py in crabcan_steps: did you mean ch04_small.py?"),
    (quote("late"), "did you mean Thing.late?"),
    (quote("ONE..TREE"), "did you mean THREE?"),
    (quote("THREE..ONE"), "page.md:1: ONE stands above THREE"),
    ("<!-- quote: ch04_small.py -->\n```\n```\n", "must be MODULE.py::NAME"),
    ("<!-- quote twice: ch04_small.py::ONE -->\n```\n```\n", "page.md:1: unknown option 'twice'"),
    ("<!-- Qoute: ch04_small.py::ONE -->\n```\n```\n", "page.md:1: 'Qoute': did you mean quote?"),
    ("<!-- quote ch04_small.py -->\n```\n```\n", "with a colon"),
    ("<!-- quote: ch04_small.py::ONE -->\n\n```\n```\n", "page.md:1: a quote needs a fenced block"),
    ("<!-- quote: ch04_small.py::ONE -->\n  ```\n  ```\n",
     "page.md:1: a quote needs a fenced block"),
    ("<!-- quote: ch04_small.py::ONE -->", "page.md:1: a quote needs a fenced block"),
    ("<!-- quote: ch04_small.py::ONE --> text\n```\n```\n", "page.md:1: text after the comment"),
    ("<!-- quote: ch04_small.py::ONE\n```\n```\n", "page.md:1: this comment has no end"),
    ("text\n```python\n", "page.md:2: this fence (```) is never closed"),
    (quote("ONE")[:-4], "page.md:2: this fence (```) is never closed"),
    (run("true", options=" (user, exit 1000)"), "page.md:1: unknown option 'exit 1000'"),
    (run("true", options=" exit 1"), "page.md:1: unknown option 'exit 1'"),
    (run(""), "page.md:1: run names no command"),
    ("<!-- run: true -->\n", "page.md:1: a run needs a fenced block"),
])
def test_refused(book, text, reason):
    assert reason in book.refused(text, "--no-run")


def test_refused_a_name_that_is_bound_twice(book):
    book.put("crabcan_steps/ch04_small.py", "A = 1\nB = 2\nA = 3\n")
    assert "A is bound 2 times in ch04_small.py (lines 1, 3)" in book.refused(quote("A"))


def test_refused_a_text_that_closes_its_fence(book):
    book.put("crabcan_steps/ch04_small.py", 'A = """\n```\n"""\n')
    assert "use a longer fence (````)" in book.refused(quote("A"))
    assert '"""\n````' in book.written(quote("A").replace("```", "````"))


def test_refused_what_is_no_python_no_text_or_not_there(book):
    page = book.page(quote("A"))
    book.put("crabcan_steps/ch05_bad.py", "def (:\n")
    errors = book.weave("--check", page, status=2).stderr
    assert "crabcan_steps/ch05_bad.py: is not Python" in errors
    (book.folder / "crabcan_steps/ch05_bad.py").unlink()
    (book.folder / page).write_bytes(b"\xff")
    assert f"{page}: is not UTF-8" in book.weave("--check", page, status=2).stderr
    assert "nowhere.md: No such file" in book.weave("--check", "nowhere.md", status=2).stderr


def test_all_problems_of_all_files_are_told_and_only_sound_files_are_written(book):
    one = book.page(quote("nothing") + quote("Nowhere") + quote("ONE"), "chapters/04-one.md")
    two = book.page(quote("ONE"), "chapters/05-two.md")
    errors = book.weave("--write", status=2).stderr
    assert f"{one}:1: no 'nothing'" in errors and f"{one}:4: no 'Nowhere'" in errors
    assert "ONE, TWO" not in (book.folder / one).read_text()
    assert "ONE, TWO" in (book.folder / two).read_text()


def test_check_shows_what_differs_and_changes_nothing(book):
    text = quote("Empty", "class Empty:\n")
    page = book.page(text)
    out = book.weave("--check", page, status=1).stdout
    assert out.splitlines()[0] == f"--- {page}:1"
    assert "-class Empty:\n+class Empty(Exception):\n+    \"\"\"Nothing.\"\"\"\n" in out
    assert "\033" not in out
    assert (book.folder / page).read_text() == text


def test_a_write_keeps_mode_and_owner_and_leaves_sound_files_untouched(book):
    page = book.folder / book.page(quote("Empty"))
    page.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(page, 65534, 65534)
    owner = page.stat().st_uid
    book.weave("--write")
    assert (page.stat().st_mode & 0o777, page.stat().st_uid) == (0o640, owner)
    before = page.stat().st_ino
    assert "wrote" not in book.weave("--write").stderr
    assert page.stat().st_ino == before
    assert not list(page.parent.glob(".weave*"))


def test_wrong_usage(book):
    assert "required" in book.weave(status=2).stderr
    assert "invalid choice" in book.weave("--check", "--only", "x", status=2).stderr
    assert "exit status: 0" in book.weave("--help").stdout
