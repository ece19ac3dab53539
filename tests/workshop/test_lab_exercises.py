"""The exercises in a notebook: a real kernel, and real checks of what is in its cells."""
import json
import os
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest

from conftest import CHECKOUT
from crabcan_workshop import exercises
from crabcan_workshop.desk import commands, workspace
from test_lab import html

pytestmark = pytest.mark.slow  # left out by --fast

CHAPTER = exercises.chapter(3)
FLAG = re.compile(r"crab-[0-9a-f]{10}")
OURS, STARTER = CHAPTER.text, CHAPTER.starter()


# Reads a cell from each line (JSON), runs it, and prints what came of it.
DRIVER = """
import json, sys
from jupyter_client.manager import start_new_kernel

manager, client = start_new_kernel(kernel_name="python3")
for line in sys.stdin:
    seen = {"text": "", "html": "", "stderr": "", "error": "", "into": None}

    def take(message):
        content, kind = message["content"], message["msg_type"]
        if kind in ("execute_result", "display_data"):
            seen["text"] += content["data"]["text/plain"]
            seen["html"] += content["data"].get("text/html", "")
        elif kind == "stream" and content["name"] == "stderr":
            seen["stderr"] += content["text"]
        elif kind == "error":
            seen["error"] += " ".join(content["traceback"])
    reply = client.execute_interactive(json.loads(line), timeout=60, output_hook=take)
    for entry in reply["content"].get("payload", ()):
        if entry["source"] == "set_next_input" and entry["replace"]:
            seen["into"] = entry["text"]
    print(json.dumps(seen), flush=True)
client.stop_channels()
manager.shutdown_kernel(now=True)
"""


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    """A function that runs a cell: what it shows, and what comes `into` the cell."""
    home = tmp_path_factory.mktemp("home")
    environment = {**os.environ, "HOME": str(home), "IPYTHONDIR": str(home / "ipython"),
                   "JUPYTER_RUNTIME_DIR": str(home / "run"), "PYTHONPATH": str(CHECKOUT)}
    environment.pop("CRABCAN_WORKSPACE", None)
    with subprocess.Popen([sys.executable, "-P", "-c", DRIVER], text=True, env=environment,
                          cwd=home, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as driver:
        def run(source):
            driver.stdin.write(json.dumps(source) + "\n")
            driver.stdin.flush()
            return SimpleNamespace(**json.loads(driver.stdout.readline()), home=home)
        run("from crabcan_workshop.lab import *\n%load_ext crabcan_workshop.lab")
        yield run
        driver.stdin.close()
        driver.wait(30)


@pytest.fixture
def place(kernel, tmp_path):
    """A new workspace, which the kernel uses."""
    kernel(f"import os; os.environ['CRABCAN_WORKSPACE'] = {str(tmp_path / 'mine')!r}")
    return workspace.Workspace(tmp_path / "mine")


# ---------------------------------------------------------------- %mine, %%mine

def test_the_file_comes_into_the_cell_and_the_starter_fails_visibly(kernel, place):
    seen = kernel("%mine ch03_hostname")
    assert seen.into == "%%mine ch03_hostname\n" + STARTER
    again = kernel(seen.into)
    assert "nothing is written yet: begin with Hostname.prepare" in again.text
    assert "nothing is written yet" in again.html and "hint(3)" in again.text
    assert not again.error and not again.stderr
    assert not (place.folder / "attic").exists()
    assert place.progress()["3"]["attempts"] == 1  # to fetch the file is no attempt


def test_a_right_cell_passes_and_an_open_question_follows(kernel, place):
    seen = kernel("%%mine ch03_hostname\n" + OURS)
    assert "exercises 1 and 2 passed" in seen.text and "✗" not in seen.text
    assert 'answer(3, "TEXT")' in seen.text and "workshop" not in seen.text
    assert place.text(CHAPTER) == OURS and place.progress()["3"]["passed"] == [1, 2]
    assert "Question: How many bytes" in kernel('answer(3, "...")').text
    assert "No: The kernel says something else. hint(3, exercise=3)" in kernel("answer(3, 63)").text
    assert "Right" in kernel("answer(3, 64)").text
    assert "3 hostname     ● ● ●" in kernel("status()").text


def test_it_shows_the_facts_of_the_terminal(kernel, place, capsys):
    """A wrong one: the same lines, but for what is to be typed next."""
    wrong = OURS.replace("    def child(self):\n        linux.sethostname",
                         "    def parent(self, pid, undo):\n        linux.sethostname")
    seen = kernel("%%mine ch03_hostname\n" + wrong)
    commands.main(SimpleNamespace(command="check", dir=place.folder, chapter=3, answer=None,
                                  json=False, all_mine=False))
    drawn = lambda text: re.sub(r"w[0-9a-f]{6}|\b[a-z]+-[a-z]+-\d+\b", "NAME", text)  # each check draws its own
    terminal = drawn(capsys.readouterr().out)
    assert "your machine would now be called 'NAME'" in terminal
    assert drawn(seen.text).splitlines() == [
        re.sub(r"workshop try 3 ('.*')", r"look(3, \1)", line.replace("workshop hint 3", "hint(3)"))
        for line in terminal.splitlines()]
    for line in terminal.splitlines():
        assert line.split()[-1] in seen.html or "workshop" in line
    html(SimpleNamespace(_repr_html_=lambda: seen.html))
    assert "right" in kernel("%%mine ch03_hostname\n" + OURS).html  # signs are words, too
    seen = kernel("look(3, 'echo $(crabcan step 3 --hostname called -- hostname)')")
    assert seen.text == "called"


def test_what_the_cell_replaces_goes_to_the_attic(kernel, place):
    kernel("%%mine ch03_hostname\n" + OURS)
    place.path(CHAPTER).write_text("# from an editor\n" + OURS)
    seen = kernel("%%mine ch03_hostname\n" + OURS)
    assert "ch03_hostname.py as it was before is kept: " in seen.text and "kept" in seen.html
    assert [path.read_text() for path in (place.folder / "attic").iterdir()] == [
        "# from an editor\n" + OURS]
    assert "kept" not in kernel("%%mine ch03_hostname\n" + OURS).text  # nothing has changed
    assert "is the starter again" in kernel("reset(3)").text
    assert len(list((place.folder / "attic").iterdir())) == 2


@pytest.mark.parametrize("fault, said", [
    ("def invent(:\n    pass\n", "✗ ch03_hostname.py, line 2: invalid syntax: def invent(:"),
    ("x = '\0'\n", "✗ ch03_hostname.py: ")], ids=["syntax", "NUL"])
def test_a_cell_that_is_no_python_is_one_line(kernel, place, fault, said):
    seen = kernel("%%mine ch03_hostname\n#\n" + fault)
    assert said in seen.text and "Traceback" not in seen.text + seen.stderr and not seen.error
    assert place.text(CHAPTER) == "#\n" + fault  # as an editor would have kept it


@pytest.mark.parametrize("line, said", [
    ("%mine ch03_hostnme", "no exercise file called ch03_hostnme. Try: %mine ch03_hostname"),
    ("%mine", "which file? Try: %mine ch03_hostname"),
    ("%%mine seccomp\nx = 1", "Try: %mine ch07_seccomp"),
    ("%%escape 99\nid", "choose from 1, 2"), ("%%escape four\nid", "try: %%escape 4")])
def test_a_word_that_is_wrong_is_one_line_with_a_cure(kernel, place, line, said):
    seen = kernel(line)
    assert said in seen.stderr and seen.stderr.count("\n") == 1 and not seen.error
    assert not place.folder.exists()


def test_chapter_7_is_found_by_its_own_name_too(kernel, place):
    assert kernel("%mine ch07_seccomp").into.startswith("%%mine bpf\n")


def test_a_workspace_that_cannot_be_made_is_one_line(kernel, tmp_path):
    (tmp_path / "file").write_text("")
    kernel(f"os.environ['CRABCAN_WORKSPACE'] = {str(tmp_path / 'file' / 'mine')!r}")
    assert "Not a directory" in kernel("%mine ch03_hostname").stderr
    assert "Not a directory" in kernel("hint(3)").text


def test_unless_said_otherwise_it_is_the_terminals_workspace(kernel):
    kernel("os.environ.pop('CRABCAN_WORKSPACE', None)")
    seen = kernel("%mine ch03_hostname")
    assert "Your ~/my-container/ch03_hostname.py is now in this cell" in seen.text
    assert (seen.home / "my-container" / "ch03_hostname.py").read_text() == STARTER


# ---------------------------------------------------------------- hints

def test_hints_get_better(kernel, place):
    seen = [kernel("hint(3)").text for _ in range(4)]
    assert [f"hint {level} of 3" in text for level, text in zip((1, 2, 3, 3), seen)] == [True] * 4
    assert "exercise 3" in kernel("hint(3, exercise=3)").text
    assert kernel("hint(3, 1)").text == seen[0] == kernel("hint(3, level=1)").text
    assert "hint 1 of 3" in kernel("hint(5, 1)").text
    assert "hint 2 of 3" in kernel("hint(5)").text
    bad = kernel("hint(99)")
    assert "no chapter '99': they are 1 to 12" in bad.text and not bad.error
    assert "with yes=True" in kernel("solution(3)").text
    assert "def invent" in kernel("solution(3, yes=True)").text


# ---------------------------------------------------------------- %%escape, flag

def test_an_escape_room(kernel, place):
    assert "no flag of room 3 yet: %%escape 3" in kernel('flag(3, "crab-0")').text
    seen = kernel("%%escape 3\nhostname\nexit 4")
    value = FLAG.search(seen.text)[0]
    assert "[exit status 4]" in seen.text and value in seen.html
    html(SimpleNamespace(_repr_html_=lambda: seen.html))
    assert "Flag? It looks like" in kernel('flag(3, "...")').text
    wrong = kernel('flag(3, "crab-0123456789")').text
    assert wrong.startswith("No: ") and "%escape 3 --hint" in wrong and "workshop" not in wrong
    assert "Yes: room 3 is open" in kernel(f'flag(3, "{value}")').text
    assert not FLAG.search(kernel("%%escape 3 --complete\nhostname").text)  # but plucky-crab-7, say
    assert "uname(2)" in kernel("%escape 3 --hint").text
    assert "named after its secret" in kernel("%escape 3").text
