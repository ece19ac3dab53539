"""The checks are checked: starters fail, ours passes, each wrong answer hears what is wrong."""
import ast
import importlib
import json
import sys
import time

import pytest

from conftest import CHECKOUT
from crabcan_workshop import exercises
from crabcan_workshop.exercises import source
from crabcan_workshop.room import patience

sys.path.insert(0, str(CHECKOUT / "tools"))
import mutate  # noqa: E402

pytestmark = pytest.mark.slow  # left out by --fast

CHAPTERS = {number: exercises.chapter(number) for number in exercises.CHAPTERS}
WRONG = [(number, wrong) for number, chapter in CHAPTERS.items() for wrong in chapter.wrong]
SAMPLE = {(3, "set by the parent"), (4, "chroot for pivot_root"),
          (5, "the mapping is written by the child"),
          (6, "changed on a copy, as the ancestor did"), (7, "no architecture check"),
          (8, "set in the parent, as the ancestor did"),
          (2, "silence taken for success, as the ancestor did")}
CHECK = """
import json, sys
from crabcan_workshop.desk import check
job = json.load(sys.stdin)
print(json.dumps(check.check(job.pop("chapter"), **job).data()))
"""


def check(who, number, text, **job):
    """A check by this user, as data."""
    result = who.script(CHECK, input=json.dumps({"chapter": number, "text": text, **job}))
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def complaints(data):
    return [fact["why"] for fact in data["facts"] if fact["state"] in ("wrong", "harm", "unreached")]


def wrong_text(number, wrong):
    text = source.replaced(CHAPTERS[number].text, wrong["old"], wrong["new"])
    return source.replaced(text, wrong["also_old"],
                           wrong["also_new"]) if "also_old" in wrong else text


# ---------------------------------------------------------------- the files

@pytest.mark.parametrize("number", CHAPTERS)
def test_starter_is_ours_without_the_bodies(number):
    chapter = CHAPTERS[number]
    starter = chapter.starter()
    ours, theirs = source.functions(chapter.text), source.functions(starter)
    assert ours.keys() == theirs.keys()
    assert source.stubs(starter, chapter.targets) == chapter.targets
    for name in ours:
        assert ast.get_docstring(ours[name]) == ast.get_docstring(theirs[name])
        assert ast.unparse(ours[name].args) == ast.unparse(theirs[name].args)
        assert (ast.dump(ours[name]) == ast.dump(theirs[name])) == (name not in chapter.targets)
    assert source.filled(starter, chapter.text, chapter.targets) == chapter.text


@pytest.mark.parametrize("number", CHAPTERS)
def test_every_chapter_has_what_it_needs(number):
    chapter = CHAPTERS[number]
    assert [("targets" in e, "question" in e) for e in chapter.exercises] == [
        (True, False), (True, False), (False, True)]
    assert all(len(e["hints"]) == 3 for e in chapter.exercises)
    assert len(chapter.wrong) >= 4
    says = [wrong["says"] for wrong in chapter.wrong]
    assert not [(a, b) for a in says for b in says if a is not b and a in b]
    for wrong in chapter.wrong:
        ast.parse(wrong_text(number, wrong))  # what it replaces is still there
    statements = {(name, statement) for name, statement, _ in mutants(chapter)}
    assert all((e["function"], e["statement"]) in statements for e in chapter.equivalent)
    assert all(e["reason"] for e in chapter.equivalent)


def mutants(chapter):
    for mutant in source.mutants(chapter.text, chapter.targets):
        ast.parse(mutant[2])  # or it would be noticed for the wrong reason
        yield mutant


# ---------------------------------------------------------------- the checks

@pytest.mark.parametrize("number", CHAPTERS)
def test_starter_fails(root, number):
    data = check(root, number, CHAPTERS[number].starter())
    assert not data["good"] and "nothing is written yet" in data["error"]


@pytest.mark.parametrize("number", CHAPTERS)
def test_an_exercise_not_begun_does_not_hold_up_the_other(root, number, request):
    if number not in (3, 6) and not request.config.getoption("--long"):
        pytest.skip("with --long")
    chapter = CHAPTERS[number]
    for place in (0, 1):
        targets = chapter.exercises[place]["targets"]
        data = check(root, number, source.filled(chapter.starter(), chapter.text, targets))
        assert (data["passed"], data["to do"], data["good"]) == ([place + 1], [2 - place], False)


@pytest.mark.parametrize("number", CHAPTERS)
def test_our_solution_passes(who, number):
    data = check(who, number, CHAPTERS[number].text)
    odd = [fact for fact in data["facts"] if fact["state"] != "right"]
    if number == 8 and not who.has_cgroups():  # what could not be tried is not done
        assert data["passed"] == [2] and {fact["state"] for fact in odd} == {"absent"}, odd
        return
    assert data["good"] and not complaints(data), repr(odd)
    if who.has_cgroups():
        assert not [f for f in data["facts"] if f["state"] != "right"]


@pytest.mark.parametrize("number, wrong", WRONG,
                         ids=lambda x: x if isinstance(x, int) else x["name"])
def test_wrong_answer_hears_what_is_wrong(root, number, wrong, request):
    """In most cases it is the first that it hears; then the rest need not be tried each time."""
    quick = (number, wrong["name"]) not in SAMPLE and not request.config.getoption("--long")
    data = check(root, number, wrong_text(number, wrong), quick=quick)
    if quick and not any(wrong["says"] in why for why in complaints(data)):
        data = check(root, number, wrong_text(number, wrong))
    assert not data["good"]
    assert any(wrong["says"] in why for why in complaints(data)), complaints(data)


@pytest.mark.parametrize("number, name", [(3, "set by the parent"), (4, "no MS_PRIVATE"),
                                          (5, "no mapping at all"), (6, "no no_new_privs")])
def test_wrong_answer_of_an_ordinary_user(user, number, name):
    wrong = next(wrong for wrong in CHAPTERS[number].wrong if wrong["name"] == name)
    data = check(user, number, wrong_text(number, wrong))
    assert any(wrong["says"] in why for why in complaints(data)), complaints(data)


# ---------------------------------------------------------------- whatever the learner wrote

START = "        linux.sethostname(self.hostname)\n"
RAISING = {  # in Hostname.child, or in prepare -> the exception that is told first
    "child: a name": ("child", "nonsense()", "NameError", "name 'nonsense' is not defined"),
    "child: a method": ("child", "self.hostname.encodes()", "AttributeError", "encodes"),
    "child: an exit": ("child", "import sys; sys.exit(0)", "SystemExit", "0"),
    "child: memory": ("child", "raise MemoryError", "MemoryError", ""),
    "child: Ctrl-C": ("child", "raise KeyboardInterrupt", "KeyboardInterrupt", ""),
    "child: a generator's end": ("child", "next(iter(()))", "StopIteration", ""),
    "child: too deep": ("child", "f = lambda: f(); f()", "RecursionError", "maximum recursion"),
    "child: waits": ("child", "input('?')", "Waits", "waits for somebody to type"),
    "child: a breakpoint": ("child", "breakpoint()", "Waits", "breakpoint"),
    "prepare: an exit": ("prepare", "import sys; sys.exit(0)", "SystemExit", "0"),
    "prepare: a name": ("prepare", "nonsense()", "NameError", "nonsense"),
    "prepare: too deep": ("prepare", "f = lambda: f(); f()", "RecursionError", "maximum recursion")}
SILENT = {  # what no exception comes of; the facts are there all the same
    "os._exit in the child": ("child", "import os; os._exit(0)"),
    "os._exit in prepare": ("prepare", "import os; os._exit(0)"),
    "closes everything": ("prepare", "import os; os.closerange(0, 100)"),
    "goes on in both": ("prepare", "import os; os.fork()"),
    "another directory": ("prepare", "import os; os.chdir('/proc')"),
    "builtins are gone": ("prepare", "import builtins; builtins.print = builtins.len = None"),
    "modules are gone": ("prepare", "import sys; sys.modules.clear()"),
    "os.write is another": ("prepare", "import os; os.write = lambda *_: 0"),
    "deaf to signals": ("prepare", "import signal; [signal.signal(n, signal.SIG_IGN) for n in (2, 15, 17)]"),
    "kills its parent": ("child", "import os; os.kill(os.getppid(), 9)"),
    "kills everybody": ("child", "import os; os.kill(-1, 9)"),
    "sleeps": ("child", "import time; time.sleep(100)"),
    "prints without end": ("prepare", "while True: print('x' * 1000)")}


def doing(where, deed):
    text, before = CHAPTERS[3].text, START if where == "child" else "        if spec.hostname is None:\n"
    return source.replaced(text, before, f"        {deed}\n{before}")


@pytest.mark.parametrize("name", RAISING)
def test_an_exception_of_the_learners_comes_first_with_its_line(root, name):
    where, deed, kind, words = RAISING[name]
    text = doing(where, deed)
    data = check(root, 3, text)
    first = data["raised"][0]
    assert first["type"] == kind and words in first["text"], data["raised"]
    assert first["file"] == "ch03_hostname.py" and first["source"] in text
    assert text.splitlines()[first["line"] - 1].strip() == deed
    assert {fact["state"] for fact in data["facts"] if fact["exercise"] == 1} <= {"unreached", "right"}
    assert data["passed"] == [2] and not data["error"]


@pytest.mark.parametrize("name", SILENT)
def test_the_check_answers_whatever_is_done(root, name):
    begin = time.monotonic()
    data = check(root, 3, doing(*SILENT[name]))
    assert data["facts"] and not data["error"], data
    assert all(fact["seen"] for fact in data["facts"] if fact["state"] == "wrong")
    assert time.monotonic() - begin < 40 * patience.factor()
    if name not in ("another directory", "deaf to signals", "modules are gone", "os.write is another"):
        assert 1 not in data["passed"]


@pytest.mark.parametrize("text, says", [
    ("x = " + "(" * 5000 + ")" * 5000, "nested"), ("x = " + "-" * 50_000 + "1", "nested too deep"),
    ("def f(:\n", "line 1"), ("x = '\0'", "ch03_hostname.py")])
def test_a_text_that_is_no_python_is_one_line(root, text, says):
    data = check(root, 3, CHAPTERS[3].text + "\n" + text)
    assert says in data["error"] or "line" in data["error"]
    assert "\n" not in data["error"] and "Traceback" not in data["error"]


def test_what_is_printed_is_set_apart_and_shown(root):
    data = check(root, 3, doing("child", "print('here I am')"))
    assert data["good"] and "here I am" in data["printed"]


def test_beginning_one_exercise_spoils_no_other(root):
    text = CHAPTERS[6].text.replace("self.kept = [number(name) for name in spec.cap_add]\n\n",
                                    "nonsense\n\n")
    data = check(root, 6, text)
    assert data["passed"] == [1] and data["raised"][0]["type"] == "NameError"


OTHER_WAYS = {  # of chapter 3: all of them are right
    "ctypes": "import ctypes; name = self.hostname.encode()\n"
              "        if ctypes.CDLL(None).sethostname(name, len(name)): raise OSError(1, 'no')",
    "socket": "import socket; socket.sethostname(self.hostname)",
    "a program": "import subprocess; subprocess.run(['hostname', self.hostname], check=True)"}


@pytest.mark.parametrize("name", OTHER_WAYS)
def test_another_right_way_passes(who, name):
    """A child shall import nothing, but that is chapter 2's to say, and harmless before chapter 4."""
    data = check(who, 3, source.replaced(CHAPTERS[3].text, START, f"        {OTHER_WAYS[name]}\n"))
    assert data["good"], [fact for fact in data["facts"] if fact["state"] != "right"]


@pytest.mark.parametrize("number", CHAPTERS)
def test_what_is_to_be_looked_at_is_a_command_that_runs(root, number):
    """In the room, as it stands; its own status may be anything."""
    facts = importlib.import_module(f"crabcan_workshop.exercises.ch{number:02}").FACTS
    lines = "\n".join(f"( {fact.look} ) </dev/null >/dev/null" for fact in facts if fact.look)
    tell = "import sys; from crabcan_workshop.desk import check; from crabcan_workshop.room import door\n" \
           "print(door.ask(int(sys.argv[1]), {}, check.SHELL + sys.argv[2])['err'])"
    for chunk in range(0, len(lines.splitlines()), 6):
        some = "\n".join(lines.splitlines()[chunk:chunk + 6])
        said = root.script(tell, number, some).stdout
        assert "/bin/sh:" not in said and "sh: " not in said.replace("sh: 0: Cannot fork", ""), said


def test_a_way_that_the_room_forbids_is_called_so(root):
    """It is right where the kernel allows it."""
    deed = "        open('/proc/sys/kernel/hostname', 'w').write(self.hostname)\n"
    data = check(root, 3, source.replaced(CHAPTERS[3].text, START, deed))
    assert "it is the room that forbids it" in complaints(data)[0]


def test_a_syntax_error_is_one_line(root):
    data = check(root, 3, CHAPTERS[3].text.replace("def invent():", "def invent("))
    assert data["error"].startswith("ch03_hostname.py, line") and "\n" not in data["error"]


def test_all_mine_uses_the_other_files_too(root, folder):
    root.script("import sys; from crabcan_workshop.desk import workspace\n"
                "workspace.Workspace(sys.argv[1]).start()", folder)
    (folder / "ch03_hostname.py").write_text(CHAPTERS[3].text)
    result = root.script("import sys; from crabcan_workshop.cli import main; "
                         "sys.exit(main(sys.argv[1:]))",
                         "check", "3", "--all-mine", "--dir", folder)
    assert result.returncode == 1 and "still to be written: " in result.stdout, result.stdout


@pytest.mark.parametrize("number", CHAPTERS)
def test_the_question_has_an_answer(root, number):
    answers = {1: "0 1 2 3", 2: "Alive", 3: "64", 4: "EROFS", 5: "/", 6: "cap_chown", 7: "enosys",
               8: "17",
               9: "seccomp", 10: "time", 11: "No route to host", 12: "diff id"}
    tell = "import sys; from crabcan_workshop.desk import check\n" \
           "print(*(check.answer(int(sys.argv[1]), text) for text in (sys.argv[2], '41')))"
    assert root.script(tell, number, answers[number]).stdout == "True False\n"


# ---------------------------------------------------------------- are the checks sharp, and quick?

@pytest.mark.timeout(900)
@pytest.mark.parametrize("number", CHAPTERS)
def test_each_deleted_statement_is_noticed(root, number, request):
    """Mutation: what is not noticed stands in the TOML, with its reason, and nothing else does."""
    if number != 3 and not request.config.getoption("--long"):
        pytest.skip("with --long; or tools/mutate.py")
    found = list(mutate.survivors(CHAPTERS[number]))
    assert [(f, s) for f, s, dead, reason in found if not dead and not reason] == []
    assert [(f, s) for f, s, dead, reason in found if dead and reason] == []
    survivors = {(f, s) for f, s, dead, _ in found if not dead}
    assert {(e["function"], e["statement"]) for e in CHAPTERS[number].equivalent} == survivors


@pytest.mark.parametrize("number", [2, 7])
def test_a_check_takes_less_than_four_seconds(root, number):
    """Of a processor's time, so that other work on the machine does not count; and an emulated
    processor is slow."""
    enough = 4 * patience.factor()
    code = "import resource, sys; from crabcan_workshop.desk import check; from crabcan_workshop import exercises\n" \
           "n = int(sys.argv[1]); assert check.check(n, text=exercises.chapter(n).text).good\n" \
           "for who in resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN:\n" \
           "    used = resource.getrusage(who); print(used.ru_utime + used.ru_stime)"
    best = 9
    for _ in range(3):  # a busy machine makes even processor time longer
        result = root.script(code, number)
        assert result.returncode == 0, result.stderr
        best = min(best, sum(map(float, result.stdout.split())))
        if best < enough:
            return
    assert best < enough
