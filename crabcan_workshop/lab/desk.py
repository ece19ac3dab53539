"""The exercises in a notebook: what the commands of `workshop` say, to be called."""
import contextlib
import io
import re
import shlex

from .. import cli, exercises
from ..desk import workspace
from .guess import Answer, unanswered
from .show import Text, pre

# What the terminal tells to type, as it is typed here.
HERE = [(r"workshop hint (\d+) --exercise (\d)", r"hint(\1, exercise=\2)"),
        (r"workshop hint (\d+)", r"hint(\1)"),
        (r"workshop check (\d+) --answer TEXT", r'answer(\1, "TEXT")'),
        (r"workshop try (\d+) (.+)", lambda of: f"look({of[1]}, {shlex.split(of[2])[0]!r})"),
        (r"workshop explore mine (\d+)", r"explore(\1, mine=True)"),
        (r"workshop flag (\d+) VALUE", r'flag(\1, "VALUE")'),
        (r"workshop ask --done", "ask(done=True)"), (r"workshop take (\d+)", r"take(\1)"),
        (r"workshop escape (\d+) --hint", r"%escape \1 --hint"),
        (r"workshop escape (\d+)", r"%%escape \1"),
        (r"with --yes", "with yes=True"), (r"(?m)^workshop: ", "")]


class Said(Text):
    """What the terminal would print; a page wraps it."""

    def _repr_html_(self):
        return pre(self)


def here(text):
    """A text of the terminal's, for the notebook."""
    for pattern, words in HERE:
        text = re.sub(pattern, words, text)
    return text


def place():
    """The learner's workspace, the same as the terminal's; made if there is none yet."""
    found = workspace.find()
    if not (found.folder / workspace.PROGRESS).exists():
        found.start()
    return found


def said(*words):
    """What a command of `workshop` says."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            cli.main([str(word) for word in words])
        except SystemExit:  # argparse: how it is used, and then what is wrong
            return Said(out.getvalue().strip().rpartition("error: ")[2])
    return Said(here(out.getvalue()))


def own(*words):
    """The same, of a command that needs the workspace."""
    try:
        place()
    except workspace.WorkspaceError as error:
        return Said(error)
    return said(*words)


def hint(chapter, level=None, exercise=None):
    """A hint, and a better one the next time; or that of a level, 1 to 3."""
    more = [level] if level else []
    return own("hint", chapter, *more, *([f"--exercise={exercise}"] if exercise else []))


def status():
    """How far you are in all chapters; each that is begun is checked."""
    return own("status")


def solution(chapter, yes=False):
    """Our own code: free when you have passed."""
    return own("solution", chapter, *["--yes"] * yes)


def diff(chapter, yes=False):
    """Yours beside ours: free when you have passed."""
    return own("diff", chapter, *["--yes"] * yes)


def reset(chapter):
    """Begins a chapter again; your file goes to the attic."""
    return own("reset", chapter)


def pack():
    """All that you wrote, in one file to take home: a click on its name, left, downloads it."""
    return own("pack")


def ask(text="", done=False):
    """Your teacher sees that you want help; done=True when you have been helped."""
    return own("ask", "--done") if done else own("ask", "--", *text.split())


def take(chapter):
    """The answer of a chapter that your teacher gave to all; your file goes to the attic."""
    return own("take", chapter)


def look(chapter, line):
    """Runs a line of shell in the room of the checks, where `crabcan` is made with your file."""
    return own("try", chapter, line)


def answer(chapter, text):
    """Is this the answer to a chapter's question? Without one it asks the question."""
    if unanswered(text):
        asked = exercises.chapter(chapter).question["question"]
        return Answer(None, f"Question: {asked}")
    words = str(own("check", chapter, f"--answer={text}")).strip()
    right = words.startswith("Right")
    return Answer(right, words if right else f"No: {words}")


def flag(room, value):
    """Is this the flag of your last start of that room?"""
    if unanswered(value):
        return Answer(None, f"Flag? It looks like crab-0123456789. Find it with %%escape {room}.")
    words = str(said("flag", "--", room, value)).strip()
    right = words.startswith("Yes")
    return Answer(right, words if right else f"No: {words}")
