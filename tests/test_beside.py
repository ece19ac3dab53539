"""Several processes test as one would: all of it, once, told as by one; and end as one."""
import os
import re
import signal
import subprocess
import sys

import pytest

from conftest import Who, gone, wait_for
from test_apart import copy, inner  # noqa: F401

pytestmark = pytest.mark.slow  # left out by --fast

LOG = """
import os, pathlib, pytest, time, warnings
log = pathlib.Path(__file__).with_name("log")
def note(word):
    with log.open("a") as file: file.write(f"{word} {os.getpid()}\\n")
def until(word):
    end = time.monotonic() + 60
    while word not in log.read_text(): assert time.monotonic() < end; time.sleep(0.02)
"""
ONE = LOG + """
def test_one(pytestconfig): note("one"); until("two"); assert pytestconfig.getoption("worker")
def test_wrong(): note("wrong"); warnings.warn("look"); assert "this" == "that"
@pytest.mark.skip(reason="not today")
def test_skipped(): pass
"""
TWO = LOG + """
def test_two(): note("two"); until("one")
@pytest.mark.xfail
def test_fails(): note("fails"); assert False
@pytest.fixture
def breaks(): yield; raise OSError("broken")
def test_torn(breaks): note("torn")
"""
ALONE = LOG + """
@pytest.mark.alone
def test_alone():
    words = dict(line.split() for line in log.read_text().splitlines())
    assert len(words) == 5 and len({*words.values()}) == 2
    assert [pid for pid in set(words.values()) if os.path.exists(f"/proc/{pid}")] == [str(os.getpid())]
"""


@pytest.fixture
def files(copy):  # noqa: F811
    for name, text in (("a_alone", ALONE), ("one", ONE), ("two", TWO)):  # what is alone comes last
        (copy / f"tests/new/test_{name}.py").parent.mkdir(exist_ok=True)
        (copy / f"tests/new/test_{name}.py").write_text(text)
    return copy


def test_all_of_it_once_and_told_as_by_one(root, files):
    result = inner(files, "--processes=2", "--durations=3", "tests/new")
    out = result.stdout
    assert result.returncode == 1, out
    assert re.search(r"\n1 failed, 4 passed, 1 skipped, 1 xfailed, 1 warning, 1 error in ", out), out
    assert out.count("100%") == 1 and "AssertionError: assert 'this' == 'that'" in out and "OSError: broken" in out
    assert "SKIPPED [1] tests/new/test_one.py" in out and "slowest 3 durations" in out and "Warning: look" in out
    assert "process 1, after" in out and "/tmp of the tests, until" not in out  # a copy in /tmp has no other
    assert len((files / "tests/new/log").read_text().splitlines()) == 5


def test_one_file_has_one_process(root, files):
    (files / "tests/new/test_one.py").write_text(
        "def test_it(pytestconfig): assert pytestconfig.getoption('worker') is None")
    assert inner(files, "tests/new/test_one.py").returncode == 0
    assert inner(files, "--processes=2", "tests/new/test_one.py").returncode == 1


def test_what_has_failed_is_known_next_time(root, files):
    words = [sys.executable, "-m", "pytest", "--processes=2", "tests/new"]
    subprocess.run(words, cwd=files, capture_output=True, timeout=Who.patience)
    result = subprocess.run([*words, "--lf"], cwd=files, text=True, capture_output=True, timeout=Who.patience)
    assert "\n1 failed, 1 passed, 1 warning, 1 error in" in result.stdout, result.stdout


def test_what_fails_beside_others_has_a_second_chance_alone_and_is_named(root, files):
    seldom = "def test_{}(): first = '{} ' not in log.read_text(); note('{}'); assert not first, 'a moment'\n"
    for name, text in (("one", LOG + "def test_one(): note('one')\n" + seldom.format(*["noise"] * 3) + "def test_wrong(): assert 0"),
                       ("escape", LOG + "def test_two(): note('two')\n" + seldom.format(*["got_out"] * 3))):
        (files / f"tests/new/test_{name}.py").write_text(text)
    for name in ("two", "a_alone"):
        (files / f"tests/new/test_{name}.py").unlink()
    result = inner(files, "--processes=2", "--second-chance", "tests/new")
    assert result.returncode == 1 and "\n2 failed, 3 passed in" in result.stdout, result.stdout
    assert "TRIED AGAIN, alone: tests/new/test_one.py::test_noise: at first: AssertionError: a moment" in result.stdout
    assert "FAILED tests/new/test_one.py::test_wrong" in result.stdout
    assert "FAILED tests/new/test_escape.py::test_got_out" in result.stdout and result.stdout.count("TRIED") == 2
    (files / "tests/new/test_one.py").write_text("def test_noise(x): pass\n" + "\n".join(
        f"def test_{number}(): assert 0" for number in range(11)))
    result = inner(files, "--processes=2", "--second-chance", "tests/new/test_one.py")
    assert "\n11 failed, 1 error in" in result.stdout and "\nTRIED" not in result.stdout, result.stdout


def test_the_first_that_fails_can_end_all(root, files):
    (files / "tests/new/test_two.py").write_text(LOG + "def test_two(): note('two'); time.sleep(1000)")
    result = inner(files, "--processes=2", "-x", "tests/new")
    assert result.returncode == 1 and "\n1 failed, 1 passed" in result.stdout, result.stdout
    assert "stopping after 1 failures" in result.stdout


def test_a_process_that_ends_by_itself_is_told(root, files):
    (files / "tests/new/test_two.py").write_text(LOG + "def test_two(): note('two'); os.kill(os.getpid(), 9)")
    result = inner(files, "--processes=2", "tests/new")
    assert result.returncode == 3, result
    assert " of the tests ended with 137 in tests/new/test_two.py::test_two" in result.stdout, result.stdout


def test_a_test_that_nobody_has_run_is_a_failure(root, files):
    for path in (files / "tests/new").glob("test_*.py"):
        path.unlink()
    (files / "tests/new/test_two.py").write_text(
        LOG + "import pytest\n@pytest.mark.parametrize('x', [str(os.getpid())])\ndef test_two(x): note('two')")
    (files / "tests/new/test_one.py").write_text(LOG + "def test_one(): note('one')")
    result = inner(files, "--processes=2", "tests/new")
    assert result.returncode == 1 and "NOT RUN tests/new/test_two.py::test_two[" in result.stdout, result.stdout
    assert "\n2 passed in" in result.stdout, result.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_ends_all(root, files, number):
    """Also who leads, and alone: its workers, and what their tests have started, end with it."""
    stays = "note('it'); import subprocess; note(f'child {subprocess.Popen([\"sleep\", \"1000\"]).pid}'); time.sleep(1000)"
    for name in "one", "two":
        (files / f"tests/new/test_{name}.py").write_text(LOG + f"def test_{name}(): {stays}")
    log = files / "tests/new/log"
    with subprocess.Popen([sys.executable, "-m", "pytest", "--processes=2", "tests/new"], cwd=files, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert wait_for(lambda: log.exists() and log.read_text().count("child") == 2, Who.patience)
        os.kill(process.pid, number)
        out = process.communicate(timeout=Who.patience)[0]
    assert process.returncode == {signal.SIGINT: 2}.get(number, -number), out
    assert ("KeyboardInterrupt" in out) == (number == signal.SIGINT), out
    pids = re.findall(r"\d+", log.read_text())
    assert len(pids) == 6 and wait_for(lambda: all(map(gone, pids)), Who.patience), pids
