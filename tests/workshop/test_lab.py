"""What the notebooks use, without a notebook: real containers, and what is shown of them."""
import json
import os
import signal
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import pytest
from IPython.core.error import UsageError

from conftest import CHECKOUT, gone, wait_for
from crabcan_workshop import chapters, lab
from crabcan_workshop.lab import containers, magic, running, show
from crabcan_workshop.measure.matrix import PROPERTIES

pytestmark = pytest.mark.slow  # left out by --fast


def html(thing):
    """The HTML of something, having seen that its elements are closed in order."""
    text, opened = thing._repr_html_(), []

    class Elements(HTMLParser):
        def handle_starttag(self, tag, attributes):
            opened.append(tag)

        def handle_endtag(self, tag):
            assert opened.pop() == tag

    Elements().feed(text)
    assert opened == []
    return text


def in_lab(who, text):
    """Runs Python with the lab's names, as root or as a user; returns what it prints, from JSON."""
    done = who.script(f"import json\nfrom crabcan_workshop.lab import *\n{text}")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


# ---------------------------------------------------------------- containers

def test_run_takes_a_quoted_string_or_a_list_and_gives_all_three_results(who):
    results = in_lab(who, """
one = run("sh -c 'echo out; echo err >&2; exit 3'", step=4)
two = run(["printenv", "A B"], step=4, env={"A B": "c d"}, workdir="/tmp")
print(json.dumps([one.stdout, one.others, one.status, two.stdout, one.lit]))""")
    assert results == ["out\n", "err\n", 3, "c d\n", ["args", "clone", "hostname", "mounts"]]


def test_options_are_those_of_the_command_line():
    words = containers.arguments({"cap_add": ["CHOWN", "KILL"], "read_only": True, "uid": 0,
                                  "env": {"A": "b"}, "memory": None, "debug": False})
    assert words == ["--cap-add", "CHOWN", "--cap-add", "KILL", "--read-only", "--uid", "0",
                     "--env", "A=b"]


def test_the_badges_show_what_stands():
    assert containers.standing(3, "all") == ["args", "clone", "hostname"]
    assert containers.standing(9, "all,-caps") == [n for n in show.NAMES if n != "caps"]
    text = html(lab.Result(3, "<b>\n", "", 0, ["args", "clone", "hostname"]))
    assert text.count("✓") == 3 and "&lt;b&gt;" in text and "4 mounts" in text


def test_an_error_of_the_runtime_is_one_framed_line_and_no_exception():
    result = lab.run("true", step=3, memroy="64M")
    assert result.status == 2 and "did you mean --memory?" in result.error and result.lit == []
    text = html(result)
    assert "Error:" in text and "Traceback" not in text and "✓" not in text
    assert lab.run("no-such-command", step=4).status == 127
    assert lab.run("false", step=4).error == ""


def test_a_failure_is_an_exception_only_if_one_asks():
    with pytest.raises(subprocess.CalledProcessError) as caught:
        lab.run("no-such-command", step=4, check=True)
    assert "no-such-command" in caught.value.__notes__[0]


def test_what_takes_too_long_is_ended_and_says_so():
    begin = time.monotonic()
    result = lab.run("sh -c 'echo begun; sleep 600'", step=4, timeout=3)
    assert time.monotonic() - begin < 60
    assert result.status == 125 and "no end after 3 s" in result.error
    assert result.stdout == "begun\n"


def test_the_notebooks_folder_cannot_replace_our_modules(tmp_path, monkeypatch):
    (tmp_path / "json.py").write_text("raise SystemExit('the wrong json')")
    (tmp_path / "argparse.py").write_text("raise SystemExit('the wrong argparse')")
    monkeypatch.chdir(tmp_path)
    assert lab.run("true", step=2).status == 0
    assert lab.matrix([0, 1]).closed(1) == {"environ"}


def test_start_leaves_one_waiting_to_be_looked_at(who):
    answers = in_lab(who, """
box = start(step=5)
answers = [box.pid, box.status("NSpid").split()[1:], sorted(box.own()), len(box.namespaces().rows)]
box.stop(); box.stop()
print(json.dumps(answers + [repr(box)]))""")
    pid, numbers, own, rows, text = answers
    assert numbers == [str(pid), "1"] and {"net", "pid", "user", "uts"} <= set(own) and rows >= 7
    assert "stopped" in text and wait_for(lambda: gone(pid))


def test_one_that_does_not_start_says_why():
    with pytest.raises(running.StartError, match="must exist in the container") as caught:
        lab.start(step=4, workdir="/nowhere")
    assert len(caught.value._render_traceback_()) == 1


def test_a_killed_kernel_leaves_no_container():
    script = "from crabcan_workshop.lab import start\nprint(start(step=4).pid, flush=True)\ninput()"
    with subprocess.Popen([*containers.PYTHON, "-c", script], text=True, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as kernel:
        pid = int(kernel.stdout.readline())
        os.kill(kernel.pid, signal.SIGKILL)
    assert wait_for(lambda: gone(pid))


# ---------------------------------------------------------------- %%inside

def test_the_cell_runs_inside(monkeypatch):
    names = {}
    monkeypatch.setattr(magic, "get_ipython", lambda: SimpleNamespace(user_ns=names))
    result = magic.inside("--step 3 --into it --hostname 'a-b'", "hostname\necho $$")
    assert names["it"] is result and result.stdout == "a-b\n1\n"
    python = magic.inside("--python --step 4", "import os\nprint(os.getpid())")
    assert python.stdout == "1\n"
    with pytest.raises(UsageError, match="--step"):
        magic.inside(f"--step {chapters.LAST + 1}", "true")


def test_a_world_has_an_internet_of_its_own(who):
    said = who.script("from crabcan_workshop.lab import world\n"
                      "print(world('ask $SERVER $PORT; ip route | cut -d\" \" -f3 | head -n 1; echo $SERVER'))").stdout
    heard, *way = said.split("\n")[:3]
    assert ", you are " in heard and way[0] == way[1] != "", said
    assert lab.world("false; ask 127.0.0.1 9") == "Connection refused\n"


# ---------------------------------------------------------------- views

def test_matrix(who):
    cells, text = in_lab(who, "m = matrix([0, 4])\nprint(json.dumps([m[4], m._repr_html_()]))")
    assert {name for name, cell in cells.items() if cell == "closed"} == {
        name for name, (chapter, *_) in PROPERTIES.items() if chapter <= 4}
    assert text.count('scope="row"') == 2 and text.count('scope="col"') == len(PROPERTIES) + 1
    assert text.count(">closed</span>") == 6  # in words, for those who do not see the dots


def test_matrix_as_text():
    text = repr(lab.matrix(1))
    assert "1 args           ●  ·" in text and "2 clone" not in text
    html(lab.matrix([1]))


def test_observe_sees_both_sides():
    host, inside = lab.observe(0), lab.observe(6)
    rows = {name: (probe, proc) for name, probe, proc in inside.rows}
    assert rows["pid"] == ("pid: 1; host process seen: no", "pid namespace: its own")
    assert rows["caps"] == ("chroot: no", "Inh 0, Prm 0, Eff 0, Bnd 0, Amb 0")
    assert "host file read: yes" in repr(host) and "pid namespace: shared" in repr(host)
    html(inside)


def test_trace_can_be_filtered():
    calls = lab.trace(step=4, hostname="x")
    assert [e["args"] for e in calls.layer("hostname").call("sethostname")] == [["x"]]
    assert {e["layer"] for e in calls.layer("mounts")} == {"mounts"}
    assert 0 < len(calls.side("parent")) < len(calls)
    assert "pivot_root(&#x27;.&#x27;, &#x27;.&#x27;)" in html(calls.layer("mounts"))
    with pytest.raises(running.StartError, match="without clone"):
        lab.trace(step=4, layers="all,-clone")


# ---------------------------------------------------------------- guesses

@pytest.mark.parametrize("guess, actual, right", [
    ("...", 1, None), (..., 1, None), ("", 1, None), (None, 1, None),
    (1, "1\n", True), ("1", 1, True), (2, 1, False), (0, 0, True), ("0", 0, True),
    ("Yes", True, True), (False, False, True), ("no", True, False),
    ("a, c", {"c", "a"}, True), ("a", {"c", "a"}, False), ("nothing", [], True), (3, {1, 2}, False),
    ("Still here", "still  here\n", True), (0.5, "0.5", True)])
def test_check(guess, actual, right):
    answer = lab.check(guess, actual, "Because.")
    assert answer.right is right
    assert ("Because." in answer.text) == (right is not None)
    html(answer)


def test_without_a_guess_the_answer_stays_secret():
    assert "4711" not in lab.check("...", "4711").text


# ---------------------------------------------------------------- before the first cell

IPYTHON = [sys.executable, "-m", "IPython", "--no-banner", "--colors=NoColor", "--HistoryManager.enabled=False",
           "--ext=crabcan_workshop.first_cell", "-c"]


def cell(text, tmp_path):
    return subprocess.run([*IPYTHON, text], text=True, capture_output=True, cwd=CHECKOUT, timeout=60,
                          env=os.environ | {"IPYTHONDIR": str(tmp_path)})


@pytest.mark.parametrize("text", ["run('true')", "r = run('true')", "matrix()", "%mine ch03_hostname",
                                  "get_ipython().run_cell_magic('inside', '--step 3', 'true')"])
def test_a_cell_before_the_first_says_so(text, tmp_path):
    said = cell(text, tmp_path)
    assert "run the first cell of this notebook" in said.stdout + said.stderr
    assert (said.stdout + said.stderr).count("\n") <= 2 or "get_ipython" in text, said


def test_another_name_is_the_learners_own_mistake(tmp_path):
    assert "name 'rnu' is not defined" in cell("rnu('true')", tmp_path).stdout
    first = "from crabcan_workshop.lab import *; get_ipython().run_line_magic('load_ext', 'crabcan_workshop.lab'); "
    assert "layers" not in cell(first + "print(run('true', step=2).status)", tmp_path).stderr


def test_an_interrupted_cell_is_one_line(tmp_path):
    text = "from crabcan_workshop.lab import *; print('go', flush=True); run('sleep 600', step=4)"
    with subprocess.Popen([*IPYTHON, text], text=True, cwd=CHECKOUT, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, start_new_session=True,
                          env=os.environ | {"IPYTHONDIR": str(tmp_path)}) as shell:
        assert shell.stdout.readline() == "go\n"
        time.sleep(1)
        os.kill(shell.pid, signal.SIGINT)
        said = shell.communicate(timeout=60)[0]
    assert said == "Interrupted: what ran in the cell was ended.\n"


def test_the_labs_kernels_load_it():
    """As ./workshop set it up; pytest from elsewhere cannot tell."""
    config = Path(sys.prefix, "etc", "ipython", "ipython_config.py")
    if not Path(sys.prefix, "lab.there").exists():
        pytest.skip("not set up by ./workshop")
    assert "crabcan_workshop.first_cell" in config.read_text()


# ---------------------------------------------------------------- what must not last, or grow

def test_a_flood_is_cut_off_and_said(root):
    result = lab.run("yes")
    assert result.status == 125 and "more than 4 MB of output" in result.error
    assert len(result.stdout) == containers.MOST


def test_input_longer_than_a_pipe_arrives(root):
    assert lab.run("wc -c", stdin="x" * 300_000).stdout.strip() == "300000"


def test_a_name_given_to_another_ends_the_first(root):
    box = lab.start(step=4)
    first = box.process
    box = lab.start(step=4)
    assert first.poll() is not None and box.process.poll() is None
    box.stop()


def test_an_interrupted_cell_leaves_containers_alone(root):
    """Jupyter sends the signal to the kernel's process group."""
    with lab.start(step=4) as box:
        assert os.getpgid(box.process.pid) != os.getpgid(0)


def test_after_its_end_there_is_nothing_to_look_at(root):
    box = lab.start(step=4)
    box.stop()
    for look in (lambda: box.status("Uid"), box.namespaces, box.own, lambda: box.proc("limits")):
        with pytest.raises(running.Ended, match="has ended"):
            look()


def test_a_command_that_is_not_there_is_no_container(root):
    with pytest.raises(running.StartError, match="nope: command not found"):
        lab.start("nope")
