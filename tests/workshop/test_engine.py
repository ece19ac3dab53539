"""`workshop engine`: an engine set up for once, its calls shown in order, and all of it taken down."""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conftest import CHECKOUT, wait_for
from crabcan_workshop.engine import calls, image
from crabcan_workshop.engine.calls import Call

OURS = Path(sys.executable).with_name("crabcan-oci")
PROGRAMS = {"podman": "podman", "docker": "dockerd", "containerd": "ctr"}
pytestmark = pytest.mark.timeout(200)


def workshop(*words, **options):
    return subprocess.run([sys.executable, "-m", "crabcan_workshop", "engine", *words], cwd=CHECKOUT, text=True,
                          capture_output=True, timeout=150, **{"stdin": subprocess.DEVNULL} | options)


def need(engine):
    if not OURS.exists():
        pytest.skip("not set up by ./workshop: no crabcan-oci")
    if not shutil.which(PROGRAMS[engine], path=os.environ["PATH"] + ":/usr/sbin"):
        pytest.skip(f"{engine} is not installed")


def left():
    """Directories and cgroups of engines' that are there."""
    tops = Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").glob("*/")
    return [*Path("/tmp").glob("crabcan-engine-*"), *(group for top in tops for group in top.glob("engine-*"))]


@pytest.mark.parametrize("engine", PROGRAMS)
def test_a_tour(root, engine):
    need(engine)
    before = left()
    result = workshop(engine, "--json")
    assert result.returncode == 0, result.stdout + result.stderr
    steps = json.loads(result.stdout)["steps"]
    assert not [step for step in steps if step["status"]], steps
    found = [call["command"] for step in steps for call in step["calls"]]
    wanted = ["create", "start", "exec", "pause", "resume", "kill", "delete"]
    assert [command for command in dict.fromkeys(found) if command in wanted] == wanted, found
    assert "uid=0(root)" in str([step["output"] for step in steps])
    assert all(call["meaning"] and call["milliseconds"] for step in steps for call in step["calls"])
    assert left() == before


def test_a_command_of_one_s_own(root):
    need("podman")
    result = workshop("podman", "--", "sh", "-c", "echo from within; exit 7")
    assert result.returncode == 7, result.stderr
    assert "from within" in result.stdout
    shown = re.findall(r"^    (\w+) +\d+ ms  (.+)", result.stdout, re.M)
    assert [name for name, _ in shown] == ["create", "start", "delete"], result.stdout
    assert "\033" not in result.stdout


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("engine", ["podman", "docker"])
def test_a_signal_leaves_nothing(root, engine, number):
    need(engine)
    before = left()
    process = subprocess.Popen([sys.executable, "-m", "crabcan_workshop", "engine", engine, "--", "sleep", "50"],
                               cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    assert wait_for(lambda: len(left()) > len(before), 60)
    time.sleep(1)
    os.killpg(process.pid, number) if number == signal.SIGINT else process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert wait_for(lambda: left() == before, 20), left()


@pytest.mark.slow
def test_killed_it_leaves_no_process(root):
    """kill -9: the daemon and its containers go; the directory stays, as nobody is left to remove it."""
    need("docker")
    before = left()
    process = subprocess.Popen([sys.executable, "-m", "crabcan_workshop", "engine", "docker", "--", "sleep", "51"],
                               cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert wait_for(lambda: running("sleep\0" + "51"), 60)
    process.kill()
    process.communicate(timeout=60)
    assert wait_for(lambda: not running("sleep\0" + "51"), 20)
    for path in (path for path in left() if path not in before):
        if str(path).startswith("/tmp"):
            shutil.rmtree(path)
        else:
            for below in [*sorted(path.rglob("*/"), reverse=True), path]:
                wait_for(lambda below=below: gone(below), 5)


def running(words):
    """Whether a process whose command line has these words is not just what asks for it."""
    for entry in os.scandir("/proc"):
        try:
            line = Path(entry.path, "cmdline").read_text() if entry.name.isdigit() else ""
        except OSError:
            continue
        if line.startswith(words):
            return True
    return False


def gone(path):
    try:
        path.rmdir()
    except OSError:
        return not path.exists()
    return True


def test_errors_are_one_line_with_a_cure(root, tmp_path):
    empty = {**os.environ, "PATH": str(tmp_path)}
    if not os.path.exists("/usr/sbin/podman"):
        result = workshop("podman", env=empty)
        assert result.returncode == 1 and result.stderr.count("\n") == 1
        assert "not installed: apt-get install" in result.stderr
    assert "invalid choice: 'rkt'" in workshop("rkt").stderr
    assert "--tty wants a COMMAND" in workshop("podman", "--tty").stderr
    assert "examples:" in workshop("--help").stdout


def test_an_ordinary_user_is_told(user):
    result = user.script("import sys; from crabcan_workshop.cli import main; sys.exit(main(['engine', 'docker']))")
    assert result.returncode == 1
    assert "wants root: sudo workshop engine docker" in result.stderr.replace("./workshop", "workshop") or \
        "no crabcan-oci" in result.stderr


@pytest.mark.parametrize("words, command, meaning", [
    ("--root /r --log-format json kill --all ID 9", "kill", "signal 9 to each process in it"),
    ("kill ID TERM", "kill", "signal TERM to its first process"),
    ("--log=/l delete --force ID", "delete", "end it if it still runs"),
    ("update --resources - ID", "update", "other limits"), ("--version", "--version", "which runtime"),
    ("create --bundle /b --pid-file /p ID", "create", "its program waits")])
def test_a_call_is_told(words, command, meaning):
    call = Call(words.split(), 0)
    assert call.command == command and meaning in call.meaning()
    assert "exit status 3" in Call(words.split(), 0, 10, 3).meaning()


def test_calls_are_noted_as_they_are(tmp_path):
    path = calls.script(tmp_path / "runtime", "/bin/false", tmp_path / "calls")
    for words in (["state", "a b", "c\nd", ""], ["start", "'x"]):
        assert subprocess.run([path, *words]).returncode == 1
    found = calls.read(tmp_path / "calls")
    assert [call.words for call in found] == [["state", "a b", "c\nd", ""], ["start", "'x"]]
    assert all(call.status == 1 and call.took > 0 for call in found)


def test_the_image_is_the_same_each_time(tmp_path):
    try:
        image.archive(tmp_path / "one")
        image.archive(tmp_path / "two")
    except image.EngineError as error:
        pytest.skip(str(error))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
