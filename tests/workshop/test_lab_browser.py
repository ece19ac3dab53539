"""Lab 3 as a learner meets it: JupyterLab in a real browser, its cells run by the keyboard."""
import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from conftest import CHECKOUT, wait_for
from crabcan_workshop import exercises

pytestmark = pytest.mark.slow  # left out by --fast

CHAPTER = exercises.chapter(3)
SHIFT, CONTROL = 8, 2
ACTIVE = "document.querySelector('.jp-Notebook .jp-Cell.jp-mod-active')"
OUTPUT = f"({ACTIVE}.querySelector('.jp-OutputArea')?.innerText ?? '')"
# Every cell that was started has ended, and so has the kernel's work.
DONE = """document.querySelector('.jp-Notebook-ExecutionIndicator')?.dataset.status == 'idle' &&
    ![...document.querySelectorAll('.jp-InputPrompt')].some(e => e.innerText.includes('*'))"""


@pytest.fixture
def lab():
    """JupyterLab as `./workshop lab` starts it, for one who is new: its address, and home."""
    home = Path("/tmp", f"crabcan-lab-{os.getpid()}")  # short: sockets are in it
    home.mkdir()
    own = {"HOME": "", "IPYTHONDIR": "ipython", "JUPYTER_RUNTIME_DIR": "run",
           "JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data"}
    environment = {**os.environ, **{name: str(home / folder) for name, folder in own.items()}}
    environment.pop("CRABCAN_WORKSPACE", None)
    with open(home / "said", "w") as said, subprocess.Popen(
            [CHECKOUT / "workshop", "lab", "--port", "0"], env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said) as server:
        try:
            yield SimpleNamespace(address=address(server, home / "said"), home=home)
        finally:
            server.terminate()  # it ends its kernels
            server.wait(30)
            shutil.rmtree(home)


def address(server, said):
    """What it tells its user to open."""
    for _ in range(600):
        found = re.search(r"http://127.0.0.1:\d+/lab\?token=\w+", said.read_text())
        if found:
            return found[0]
        assert server.poll() is None, said.read_text()
        time.sleep(0.1)
    pytest.fail(f"no address: {said.read_text()}")


def press(page, name, code, number, modifiers=0):
    for kind in ("rawKeyDown", "keyUp"):
        page.call("Input.dispatchKeyEvent", type=kind, key=name, code=code, modifiers=modifiers,
                  windowsVirtualKeyCode=number)


def enter(page, modifiers=0):
    """Enter begins to edit a cell; with Control it runs it, with Shift it goes on to the next."""
    press(page, "Enter", "Enter", 13, modifiers)
    time.sleep(0.1)
    assert page.wait(DONE, 60), "the kernel is still busy"


def fill(page, text):
    """Puts another text into the cell, and runs it."""
    enter(page)
    press(page, "a", "KeyA", 65, CONTROL)
    page.call("Input.insertText", text=text)
    enter(page, CONTROL)


@pytest.mark.timeout(240)
def test_lab_3_in_a_browser(browser, lab):
    course = (CHECKOUT / "notebooks" / "03-hostname.ipynb").read_text()
    browser.width(720, 1000)  # narrow: beside a terminal, say
    where, token = lab.address.split("?")
    browser.go(f"{where}/tree/03-hostname.ipynb?{token}")
    assert browser.wait("document.querySelectorAll('.jp-Notebook .jp-Cell').length > 5 && "
                        "!document.querySelector('#jupyterlab-splash')", 60)
    assert browser.wait(DONE, 60)
    browser.script("document.querySelector('.jp-Notebook .jp-Cell').click()")
    browser.script("document.querySelector('.jp-Notebook').focus()")

    source = f"({ACTIVE}.querySelector('.cm-content')?.innerText ?? '')"
    for _ in range(40):
        if browser.script(source).startswith("%mine"):
            break
        enter(browser, SHIFT)
    assert browser.script(source).strip() == "%mine ch03_hostname"
    enter(browser, CONTROL)
    assert browser.wait(f"{source}.includes('NotImplementedError(\"invent\")')")
    assert browser.script(source).startswith("%%mine ch03_hostname")
    assert browser.wait(f"{OUTPUT}.includes('nothing is written yet')")

    wrong = CHAPTER.text.replace("    def child(self):\n", "    def parent(self, pid, undo):\n")
    fill(browser, f"%%mine ch03_hostname\n{wrong}")
    assert browser.wait(f"{OUTPUT}.includes('your machine would now be called')")
    assert browser.script(f"{ACTIVE}.querySelector('table').rows.length") >= 3
    assert browser.script("(e => e.scrollWidth <= e.clientWidth)"
                          f"({ACTIVE}.querySelector('[role=region]'))")
    fill(browser, f"%%mine ch03_hostname\n{CHAPTER.text}")
    assert browser.wait(f"{OUTPUT}.includes('exercises 1 and 2 passed')")
    assert (lab.home / "my-container" / CHAPTER.file).read_text() == CHAPTER.text

    fill(browser, "from crabcan_workshop.lab import hand; hand()")
    button = f"{ACTIVE}.querySelector('.jp-OutputArea button')"
    assert browser.wait(f"{button}?.innerText == 'I want help'")
    for up, words in (True, "My hand is up"), (False, "I want help"):
        browser.script(f"{button}.click()")
        assert browser.wait(f"{button}.innerText == '{words}'")
        assert wait_for(lambda: (lab.home / "my-container" / ".ask.json").exists() is up)

    for _ in range(10):
        enter(browser, SHIFT)
    assert browser.wait("document.querySelector('.jp-Notebook').innerText.includes('All true.')")
    press(browser, "s", "KeyS", 83, CONTROL)
    copy = lab.home / "my-container" / "notebooks" / "03-hostname.ipynb"
    assert wait_for(lambda: "All true." in copy.read_text()), "it was not saved"
    assert (CHECKOUT / "notebooks" / copy.name).read_text() == course
    slow = re.compile(r"Plugin .* took [\d.]+ms to activate\.")  # a busy machine is no fault of the page's
    assert [said for said in browser.complaints() if not slow.search(said)] == []
    assert all(re.match("(http|ws)://127.0.0.1:|data:|blob:", url) for url in browser.requests())
