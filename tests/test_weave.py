"""The book's tool: quotes, captured output, coverage, and every refusal; then the book itself."""
import os
import platform
import pwd
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import apart
import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(CHECKOUT / "tools"))

from weaving import coverage, pages, quotes, volatile  # noqa: E402

pytestmark = pytest.mark.slow  # left out by --fast

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


# ---------------------------------------------------------------- quotes

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


# ---------------------------------------------------------------- runs

def test_a_command_and_what_it_prints(book, need_root):
    made = book.written(run("echo out; echo err >&2; echo more; printf 'no end'"))
    assert made == run("echo out; echo err >&2; echo more; printf 'no end'",
                       "$ echo out; echo err >&2; echo more; printf 'no end'\n"
                       "out\nerr\nmore\nno end\n")


def test_streams_are_interleaved_as_on_a_terminal(book, need_root):
    """On a pipe Python would keep its stdout back until the end."""
    script = "import sys; print(1); print(2, file=sys.stderr); print(3)"
    assert "\n1\n2\n3\n```" in book.written(run(f"/usr/bin/python3 -c '{script}'"))


def test_several_commands_share_a_shell_and_two_blocks_nothing(book, need_root):
    made = book.written("<!-- run:\nls; false\n\necho $?; X=1; echo a >file\necho $X; ls; echo \\\n"
                        "  b\n-->\n```console\n```\n" + run("ls; echo $X; cd ~; ls"))
    assert ("```console\n$ ls; false\n$ echo $?; X=1; echo a >file\n1\n$ echo $X; ls; echo \\\n"
            ">   b\n1\nfile\nb\n```" in made)
    assert made.endswith("```console\n$ ls; echo $X; cd ~; ls\n\n```\n")


def test_a_script_is_not_found_by_its_own_words(book, need_root):
    made = book.written(run("pgrep -fc 'word[s]-of-this'; echo words-of-this; "
                            "ls /proc/self/fd | xargs"))
    assert "\n0\nwords-of-this\n0 1 2 3\n```" in made


def test_a_shell_that_ends_before_its_last_command(book, need_root):
    assert "$ exit 0\n\nweave: ended early" in book.refused(run("\nexit 0\necho a\n"))
    assert "$ exit 4\n" in book.refused(run("\ntrue\nexit 4\necho a\n"))


def test_bare_leaves_the_command_out(book, need_root):
    assert book.written(run("echo a", options=" (bare)")).endswith("```console\na\n```\n")


def test_the_environment_is_clean(book, need_root, monkeypatch):
    monkeypatch.setenv("SECRET", "x")
    before = os.umask(0o077)
    try:
        made = book.written(run("env | cut -d= -f1 | sort | xargs; echo $LANG $TERM; umask; cat; "
                                "id -un"))
    finally:
        os.umask(before)
    assert ("\nHOME LANG NO_COLOR OLDPWD PAGER PATH PWD SHLVL TERM TZ _\n" in made
            or "\nHOME LANG NO_COLOR PAGER PATH PWD SHLVL TERM TZ _\n" in made), made
    assert "\nC.UTF-8 dumb\n0022\nroot\n```" in made


def test_colours_are_left_out_and_other_controls_refused(book, need_root):
    assert "\nred plain\n```" in book.written(run(r"printf '\033[31mred\033[0m plain'"))
    assert "control character" in book.refused(run(r"printf 'a\rb'"))
    assert "control character" in book.refused(run(r"printf '\377'"))


def test_paths_of_this_machine_are_refused(book, need_root):
    assert "shows a path of this machine" in book.refused(run("pwd"))
    assert "shows a path of this machine" in book.refused(run(f"echo {book.folder}/x"))


def test_the_exit_status_must_be_as_said(book, need_root):
    book.written(run("exit 3", options=" (exit 3)"))
    errors = book.refused("\n" + run("echo why >&2; exit 3"))
    assert "page.md:2: $ echo why >&2; exit 3\nwhy\nweave: exit status 3, not 0" in errors
    assert "exit status 0, not 1" in book.refused(run("true", options=" (exit 1)"))
    book.written(run("\nfalse\ntrue\n"))  # only the last one's: what the others say can be read
    assert "$ false\n\nweave: exit status 1" in book.refused(run("\ntrue\nfalse\n"))
    errors = book.refused(run("no-such-command"))
    assert "\nbash: no-such-command: command not found\nweave: exit status 127" in errors


def test_a_command_has_its_time_and_leaves_nothing_running(book, need_root):
    begin = time.monotonic()
    for command in (SLEEP, f"exec >/dev/null 2>&1; {SLEEP}", "while :; do echo y; done"):
        errors = book.refused(run(command), "--timeout", "0.5")
        assert "took longer than 0.5 s" in errors
    made = book.written(run(f"{SLEEP} & echo started"))
    assert made.endswith("\nstarted\n```\n")
    assert time.monotonic() - begin < 20
    assert not sleepers()


def sleepers():
    """The processes that run our SLEEP."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes() == SLEEP.replace(" ", "\0").encode() + b"\0":
                found.append(path)
        except OSError:
            pass
    return found


def test_a_weave_that_is_ended_ends_its_commands(book, need_root):
    book.page(run(SLEEP, options=" (user)"), "page.md")
    weave = subprocess.Popen([sys.executable, book.folder / "tools/weave.py", "--write", "page.md"],
                             cwd=book.folder, stderr=subprocess.PIPE)
    for _ in range(200):
        if sleepers():
            break
        time.sleep(0.05)
    else:
        pytest.fail("it did not start")
    before = set(Path("/tmp").glob("weave-*"))
    weave.terminate()
    assert weave.wait(20) == 143, weave.stderr.read()
    weave.stderr.close()
    assert not sleepers()
    assert before - set(Path("/tmp").glob("weave-*"))
    with pytest.raises(KeyError):
        pwd.getpwnam("crabcan-weave")


def test_the_next_weave_heals_what_a_killed_one_left(book, need_root):
    book.page(run(SLEEP, options=" (user)"), "page.md")
    before = set(Path("/tmp").glob("weave-*"))
    weave = subprocess.Popen([sys.executable, book.folder / "tools/weave.py", "--write", "page.md"],
                             cwd=book.folder)
    try:
        while not sleepers():
            assert weave.poll() is None
            time.sleep(0.05)
    finally:
        weave.kill()
        weave.wait()
    left = set(Path("/tmp").glob("weave-*")) - before
    try:
        assert pwd.getpwnam("crabcan-weave")
        assert "\ncrabcan-weave\n```" in book.written(run("id -un", options=" (user)"))
    finally:
        for path in sleepers():
            os.kill(int(path.parent.name), signal.SIGKILL)
        for path in left:
            shutil.rmtree(path, ignore_errors=True)


def test_equal_commands_run_once_and_two_at_a_time(book, need_root):
    log = book.folder / "log"
    once = run(f"echo x >>$(dirname {log})/log; sleep 0.7")
    made = book.written(once + once)  # --write and --check: twice in all
    assert made.count("$ echo x") == 2
    assert log.read_text() == "x\nx\n"
    name = book.page(run("sleep 1.51") + run("sleep 1.52"), "page.md")
    begin = time.monotonic()
    book.weave("--write", name)
    assert time.monotonic() - begin < 2.9


def test_what_varies_is_left_as_it_stands_and_what_matters_is_not(book, need_root):
    command = "date +%T.%N; readlink /proc/self/ns/mnt; echo pid $$; echo 137"
    old = f"$ {command}\n01:02:03.123\nmnt:[4026531000]\npid 99999\n137\n"
    text = run(command, old)
    assert book.written(text) == text
    page = book.page(run(command, old.replace("\n137", "\n138")))
    out = book.weave("--check", page, status=1).stdout
    assert "-138\n+137\n" in out
    assert "-pid" not in out and "+mnt" not in out  # only what matters is shown
    book.weave("--write", page)
    assert "pid 99999" not in (book.folder / page).read_text()  # an output is of one run, whole


def test_an_ordinary_user_runs_the_real_crabcan(book, need_root):
    for name in "crabcan_steps", "crabcan_workshop":
        shutil.rmtree(book.folder / name, ignore_errors=True)
        shutil.copytree(CHECKOUT / name, book.folder / name)
    (book.folder / ".venv").symlink_to(sys.prefix)
    book.folder.chmod(0o700)  # whatever the user may read of a checkout
    inside = "sh -c 'hostname; id -u; cat /proc/self/uid_map'"
    made = book.written(
        run("id -un; touch file; ls -l file | cut -d' ' -f3; tty <&2 | cut -c 1-9; "
            ": >/dev/stderr", options=" (user)")
        + run(f"crabcan step 5 --hostname box -- {inside}", options=" (user)")
        + run(f"crabcan run --hostname box -- {inside}")
        + run("./workshop step 3 -- hostname; workshop crabcan step 3 --hostname b -- hostname")
        + run("crabcan run -- false", options=" (exit 1)") + run("workshop doctor | cut -c 1-9"))
    one, two, three, four, _, six = [block.split("\n", 2)[2] for block in made.split("```")[1::2]]
    assert one == "crabcan-weave\ncrabcan-weave\n/dev/pts/\n"
    assert two.startswith("box\n0\n") and three.startswith("box\n0\n")
    assert two.split() == ["box", "0", "0", "5000", "1", "1", "500000", "65536"] != three.split()
    assert "HOSTNAME\nb\n" == volatile.normal(four)
    assert "all\nchapter 2" in six.replace("      ", "")
    with pytest.raises(KeyError):
        pwd.getpwnam("crabcan-weave")


def test_two_weaves_take_turns_with_the_user(book, need_root):
    book.page(run("sleep 0.5; id", options=" (user)"), "page.md")
    command = [sys.executable, book.folder / "tools/weave.py", "--check", "page.md"]
    weaves = [subprocess.Popen(command, cwd=book.folder, stdout=subprocess.PIPE, text=True)
              for _ in range(3)]
    for weave in weaves:
        out, _ = weave.communicate(timeout=30)
        assert "+uid=5000(crabcan-weave) gid=5000(crabcan-weave) groups=" in out


def test_an_ordinary_weaver_is_told_to_be_root(book):
    if os.geteuid() == 0:
        copy = Path("/tmp", f"weave-test-{os.getpid()}")  # tmp_path is root's alone
        shutil.copytree(book.folder, copy)
        subprocess.run(["chmod", "-R", "a+rX", copy], check=True)
        book, options = Book.__new__(Book), {"user": 65534, "group": 65534}
        book.folder = copy
    else:
        copy, options = None, {}
    try:
        (book.folder / "page.md").write_text(run("true"))
        result = subprocess.run(["/usr/bin/python3", "tools/weave.py", "--check", "page.md"],
                                cwd=book.folder, capture_output=True, text=True, **options)
    finally:
        if copy:
            shutil.rmtree(copy)
    assert result.returncode == 2
    assert "page.md:1: the book's commands are root's: use sudo" in result.stderr


def test_cgroup_v2_is_not_asked_of_other_hosts(book, need_root):
    made = book.written(run("echo new", "kept\n", " (needs cgroup v2)"))
    unified = os.path.exists("/sys/fs/cgroup/cgroup.controllers")
    assert ("kept" in made) == (not unified)
    assert ("$ echo new\nnew\n" in made) == unified


def test_a_program_that_is_not_there_is_not_asked_of_this_host(book, need_root):
    made = book.written(run("echo new", "kept\n", " (needs no-such-program)")
                        + run("echo too", "kept\n", " (needs sh)")
                        + run("echo not", "kept\n", " (needs sh no-such-program)"))
    assert made.count("kept") == 2 and "$ echo too\ntoo\n" in made


def test_only_and_no_run(book, need_root):
    page = book.page(quote("Empty") + run("echo a"))
    text = (book.folder / page).read_text()
    book.weave("--write", "--no-run", "--only", "runs", page)
    assert (book.folder / page).read_text() == text
    book.weave("--write", "--only", "runs", page)
    assert (book.folder / page).read_text() == quote("Empty") + run("echo a", "$ echo a\na\n")
    book.weave("--check", "--only", "runs", page)
    assert "+class" in book.weave("--check", "--no-run", page, status=1).stdout
    book.weave("--write", "--only", "quotes", page)
    book.weave("--check", page)


# ---------------------------------------------------------------- what counts as the same

@pytest.mark.parametrize("one, other", [
    ("mnt:[4026531841]", "mnt:[4026532178]"),
    ("plucky-otter-17 x", "tidy-crab-3     x"),
    ("crabcan-4481-7f03e637b2d0/x", "crabcan-123456-7abc/x"),
    ("write('/proc/4483/uid_map'", "write('/proc/99182/uid_map'"),
    ("clone3(CLONE_NEWPID) = [4480, 6]", "clone3(CLONE_NEWPID) = [99480, 6]"),
    ('{"pid": 4480, "microseconds": 12}', '{"pid": 99999, "microseconds": 1234}'),
    ("NSpid:\t4480\t1", "NSpid:\t123\t1"),
    ("strace: Process 4480 attached", "strace: Process 559 attached"),
    ("   4480 pts/0    00:00:00 bash", " 124480 pts/1    00:00:01 bash"),
    ("root      4480  4470  0 11:49 ?  x", "root    994480  3470  0 09:00 ?  x"),
    ("prctl(22, 2, 139654724092208)", "prctl(22, 2, 94654724092352)"),
    ("36 25 0:32 / /tmp rw shared:5 - tmpfs", "999 998 0:44 / /tmp rw shared:61 - tmpfs"),
    ("drwxr-xr-x 2 root root 40 Nov 24 11:49 a", "drwxr-xr-x 2 root root 40 Jan  1 00:01 a"),
    ("2025-11-24 a", "2026-01-01 a"), ("Nov 24 2025", "Jan  1 2026"),
    ("Device: 0,61", "Device: 0,129"), ("Inode: 1234", "Inode: 777777"),
    ("tmpfs (0:61)", "tmpfs (0:129)"), ("ls: /dev/pts/0", "ls: /dev/pts/12"),
    ("/memory/aa789186b88d37a956c731fd19f7303e/x", "/memory/bb789186b88d37a956c731fd19f7303e/x"),
    ("6fa459ea-ee8a-3ca4-894e-db77e160355e", "7da459ea-ee8a-3ca4-894e-db77e160355e"),
    ("/pids/cgroup.procs', '4480')", "/pids/cgroup.procs', '94480')"),
    ("1.25 s, 3 ms", "0.5 s, 12.5 ms"), ("total 1234", "total 888"), ("a b ", "a b"),
    ("Linux box 6.1.0-28-amd64 #1 SMP PREEMPT_DYNAMIC Debian (2024-11-22) x86_64 GNU/Linux",
     "Linux box 6.18.44-fc #3 SMP Mon Nov 24 x86_64 GNU/Linux"),
    ("MemTotal:  8123456 kB", "MemTotal: 16123456 kB"),
    ("real\t0m0.012s", "real\t0m1.900s"),
    ("runc   28.1   (24.0 to 40.2)", "runc   31.5   (27.2 to 141.0)"),
    ("cold / runc   0.91   (at most 0.9)", "cold / runc   1.12   (at most 0.9)"),
    ("A, 2 processors, load 0.1 0.2 0.3; x", "B C, 64 processors, load 9.1 0.2 0.3; y"),
    ("warm start: 1.5 MiB by the parent, 1.7 MiB by the child, 4.3 µs each",
     "warm start: 1.6 MiB by the parent, 1.8 MiB by the child, 2.9 µs each"),
    ("the watchman: crab-0123456789", "the watchman: crab-abcdef0123"),
    ("/tmp/tmpab12cd3_/x", "/tmp/tmpzz12cd3k/x"),
    ("/tmp/root.Ab12Cd/x", "/tmp/root.Xb12Cd/x"),
])
def test_varies(one, other):
    assert volatile.normal(one) == volatile.normal(other) != one


@pytest.mark.parametrize("one, other", [
    ("pid 1", "pid 2"), ("1", "4480"), ("exit status 137", "exit status 125"), ("137", "0"),
    ("137 is its status", "125 is its status"),
    ("uid=0(root)", "uid=65534(nobody)"), ("0 1500000000 65536", "0 0 4294967295"),
    ("67108864", "1073741824"), ("CapEff:\t000001ffffffffff", "CapEff:\t0000000000000000"),
    ("crw-rw-rw- 1 root root 1, 3", "crw-rw-rw- 1 root root 1, 5"), ("mode 0600", "mode 0644"),
    ("NSpid:\t4480\t1", "NSpid:\t4480\t7"), ("/proc/1/ns", "/proc/7/ns"),
    ("pids.max 64", "pids.max 20"),
    ("setrlimit(7, [64, 64])", "setrlimit(7, [1024, 1024])"), ("127.0.0.1:80", "127.0.0.1:90"),
    ("umount2('.', 2)", "umount2('.', 2): Invalid argument"), ("plucky", "plucky-otter"),
    ("crab-0123456789", "crab"),
    ("CLONE_NEWPID", "CLONE_NEWPID|CLONE_NEWNS"),
    ("mount_setattr('', 36864", "mount_setattr('', 4096"),
])
def test_matters(one, other):
    assert volatile.normal(one) != volatile.normal(other)


def test_every_invented_hostname_is_known():
    from crabcan_steps.ch03_hostname import ANIMALS, MOODS, invent
    names = [f"{mood}-{animal}-7" for mood in MOODS for animal in ANIMALS] + [invent()]
    assert {volatile.normal(name) for name in names} == {"HOSTNAME"}


# ---------------------------------------------------------------- coverage

def test_coverage_of_a_book_that_quotes_all(book):
    book.page("".join(quote(name) for name in ALL) + quote("Thing"))
    book.weave("--write")
    assert "100%  ch04_small.py\n" in book.weave("--coverage").stdout
    book.weave("--check")


@pytest.mark.parametrize("left_out, told", [
    ("plain", "ch04_small.py:21-29  plain: not quoted"),
    ("Thing.name", "ch04_small.py:36-42  Thing.name: not quoted"),
    ("Thing.late", "ch04_small.py:44  Thing.late: not quoted"),
    ("__doc__", "ch04_small.py:1-3  __doc__: not quoted"),
])
def test_what_is_not_quoted_is_told(book, left_out, told):
    book.page("".join(quote(name) for name in ALL if name != left_out))
    book.weave("--write")
    assert told in book.weave("--coverage", status=1).stdout
    assert told in book.weave("--check", status=1).stdout
    book.weave("--check", "chapters/04-small.md")  # of one file: without coverage


def test_the_rest_of_the_code_counts_and_what_stands_beside_does_not(book):
    book.page("".join(quote(name) for name in ALL if name != "Thing.name"))
    book.page(quote("Thing.name"), "chapters/90-beside.md")
    book.weave("--write")
    assert "Thing.name: not quoted" in book.weave("--coverage", status=1).stdout
    (book.folder / "chapters/90-beside.md").rename(book.folder / "chapters/80-rest.md")
    book.weave("--coverage")


def test_another_chapter_may_quote_it_too_but_a_number_without_code_is_none(book):
    book.put("crabcan_steps/ch05_other.py", "")
    book.page("".join(quote(name) for name in ALL if name != "Thing.name"))
    book.page("\n" + quote("Thing"), "chapters/05-other.md")
    book.weave("--write")
    book.weave("--coverage")
    (book.folder / "chapters/05-other.md").rename(book.folder / "chapters/10-later.md")
    assert "Thing.name: not quoted" in book.weave("--coverage", status=1).stdout


def test_a_module_is_due_with_its_chapter_and_others_with_all(book):
    book.put("crabcan_steps/__init__.py", '"""A package."""\n\nVERSION = 1\n')
    book.put("crabcan_steps/ch05_other.py", "")
    book.page("no quotes yet", "chapters/05-other.md")
    out = book.weave("--coverage").stdout
    assert "0%  ch04_small.py  (its chapter is not written yet)" in out
    assert "0%  __init__.py  (its chapter is not written yet)" in out
    book.page("none yet")
    assert "ch04_small.py:1-3" in book.weave("--coverage", status=1).stdout
    book.page("".join(quote(name) for name in ALL))
    out = book.weave("--coverage", status=1).stdout
    assert "__init__.py:3  VERSION: not quoted" in out and "__init__.py:1" not in out


def test_a_room_s_files_count_and_what_is_empty_does_not(book):
    (book.folder / "crabcan_steps/room").mkdir()
    book.put("crabcan_steps/room/__init__.py", "")
    book.put("crabcan_steps/room/helper.py", "ONE = 1\n")
    book.page("".join(quote(name) for name in ALL))
    out = book.weave("--coverage", status=1).stdout
    assert "room/helper.py:1 " in out and "room/__init__.py" not in out
    book.page("".join(quote(name) for name in ALL) + quote("ONE", module="room/helper.py"))
    book.weave("--write")
    book.weave("--check")


# ---------------------------------------------------------------- the real code, the real book

def test_every_module_can_be_quoted_in_pieces():
    """Its names, functions and methods, the __main__ block: together all of its code, once."""
    library = quotes.Library(CHECKOUT / "crabcan_steps")
    assert len(library.sources) > 10
    for name, source in library.sources.items():
        pieces = {places[0] for key, places in source.names.items()
                  if key not in source.local and key != "*" and len(places) == 1}
        assert source.code <= {n for first, last in pieces for n in range(first, last + 1)} \
            or name == "__main__.py"  # a bare call has no name: it is quoted with *
    lines = library.quote(pages.Block("x:1", "quote", {}, "ch04_mounts.py::Mounts.child", ""))[0]
    assert lines[0] == "def child(self):" and lines[-1] == '    linux.chdir("/")'


def reference():
    """Why the captured outputs cannot be compared here, or nothing."""
    release = platform.freedesktop_os_release()
    here = (release.get("ID"), release.get("VERSION_ID"), platform.machine(), sys.version_info[:2])
    if here != ("debian", "12", "x86_64", (3, 11)):
        return f"outputs are compared on Debian 12, x86_64, Python 3.11: this is {here}"
    return "" if os.geteuid() == 0 else "outputs are compared as root"


def weave_the_book(*args):
    result = subprocess.run([*apart.on_the_machines_network(), sys.executable, "-I",
                             CHECKOUT / "tools/weave.py", "--check", *args],
                            capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_book_shows_what_the_commands_print():
    if reference():
        pytest.skip(reference())
    weave_the_book("--only", "runs")
