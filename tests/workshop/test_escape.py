"""The escape rooms: each opens to its known solution, and none in the complete runtime."""
import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from conftest import Typist, Who
from crabcan_workshop import chapters
from crabcan_workshop.desk import escape
from crabcan_workshop.room import hiding, weak

pytestmark = pytest.mark.slow  # left out by --fast

ROOMS = escape.rooms()
WEAK = [number for number, words in ROOMS.items() if "weaken" in words]
FLAG = re.compile(r"crab-[0-9a-f]{10}")


@pytest.fixture
def folder():
    """Where whoever plays keeps their state."""
    path = Path("/tmp", f"crabcan-test-{os.getpid()}-{time.monotonic_ns()}")
    path.mkdir()
    path.chmod(0o777)
    yield path
    shutil.rmtree(path)


def nowhere(folder):
    """Settings for a player without a workspace, even if this user has one."""
    return {"XDG_STATE_HOME": str(folder), "CRABCAN_WORKSPACE": str(folder / "none")}


def workshop(who, folder, *words):
    """The command, by this user, who has no workspace."""
    return subprocess.run([*who.python, "-m", "crabcan_workshop", *map(str, words)],
                          env=who.environment | nowhere(folder), text=True,
                          capture_output=True, stdin=subprocess.DEVNULL, timeout=60, cwd="/")


def play(who, folder, number):
    """The known solution finds one flag, of which only the hash is kept; it is returned."""
    result = workshop(who, folder, "escape", number, "-c", ROOMS[number]["solution"])
    found = set(FLAG.findall(result.stdout))
    assert len(found) == 1, (result.stdout, result.stderr)
    value = found.pop()
    path = folder / "crabcan" / "escape.json"
    assert value not in path.read_text()
    assert escape.flag(path, number, "crab-0123456789") == 1
    assert not escape.state(path)[str(number)].get("found")
    assert escape.flag(path, number, value) == 0
    assert escape.state(path)[str(number)]["found"]
    path.unlink()
    return value


def play_complete(who, folder, number):
    """The same attack on all the layers: there is a container, and no flag."""
    result = workshop(who, folder, "escape", number, "--complete", "-c", ROOMS[number]["solution"])
    assert result.returncode != 125, result.stderr
    assert not FLAG.search(result.stdout + result.stderr)


def test_a_room_a_chapter_and_three_more_with_all_that_they_need(root, folder):
    assert list(ROOMS) == list(range(1, len(ROOMS) + 1)) and len(ROOMS) == chapters.WHOLE + len(WEAK)
    text = workshop(root, folder, "escape").stdout
    for words in ROOMS.values():
        assert callable(getattr(hiding, words["set_up"]))
        assert "options" in words or callable(getattr(weak, words["weaken"]))
        assert words["title"] in text and words["story"] in text
        assert words["hint"] not in text and words["solution"] not in text


@pytest.mark.parametrize("number", ROOMS)
def test_the_known_solution_opens_it_and_not_the_complete_runtime(root, folder, number):
    play(root, folder, number)
    play_complete(root, folder, number)


@pytest.mark.parametrize("number", (2, 4, 6, *WEAK))
def test_without_root(user, folder, number):
    play(user, folder, number)
    play_complete(user, folder, number)


@pytest.fixture(scope="module")
def plain(user):
    """A user who has no more than one id, as most who were made before their machine had /etc/subuid."""
    if os.geteuid() != 0:
        pytest.skip("only root can make one")
    name = f"crabcan-p{os.getpid()}"
    subprocess.run(["useradd", "--create-home", "--shell", "/bin/sh", name], check=True, capture_output=True)
    try:
        for kind, option in (("uid", "--del-subuids"), ("gid", "--del-subgids")):
            for line in Path(f"/etc/sub{kind}").read_text().splitlines():
                owner, first, count = line.split(":")
                if owner == name:
                    last = int(first) + int(count) - 1
                    subprocess.run(["usermod", option, f"{first}-{last}", name], check=True)
        yield Who(name, ["/usr/bin/python3"], user.environment["PYTHONPATH"],
                  ["setpriv", f"--reuid={name}", f"--regid={name}", "--init-groups", "--"])
    finally:
        subprocess.run(["userdel", "--remove", name], check=True, capture_output=True)


@pytest.mark.parametrize("number", [number for number in ROOMS if number != 12])
def test_with_one_id_only(plain, folder, number):
    """In there root may not let go of groups: that is no fault, and not AppArmor's."""
    play(plain, folder, number)
    said = workshop(plain, folder, "escape", number, "--complete", "-c", "true").stderr
    assert "setgroups" not in said and "mkdir" not in said, said


def test_a_flag_is_of_one_start_and_one_room(root, folder):
    first, second = (FLAG.search(workshop(root, folder, "escape", 1, "-c", "env").stdout)[0]
                     for _ in range(2))
    assert "not the flag of your last start" in workshop(root, folder, "flag", 1, first).stdout
    assert "workshop escape 2" in workshop(root, folder, "flag", 2, second).stderr
    assert "1 ·" in workshop(root, folder, "escape").stdout
    assert workshop(root, folder, "flag", 1, second).returncode == 0
    assert "1 ●" in workshop(root, folder, "escape").stdout


def test_the_learner_has_a_shell(root, folder):
    """At a terminal, in the room whose hole is the terminal: where job control would spoil it."""
    player = SimpleNamespace(
        environment=root.environment | nowhere(folder),
        command=lambda *words: [*root.python, "-m", "crabcan_workshop", *words])
    with Typist(player, "escape", "9") as typist:
        typist.sees("in > ")
        typist.type("kill -CONT 0\n")
        typist.sees("the watchman: crab-")
        typist.type("exit 7\n")
        typist.process.wait(10)
        assert typist.process.returncode == 7


def test_what_leads_out_leads_into_the_outer_room_only(root, folder):
    """Without chapter 4 the container stands in the room's files: not in the host's."""
    (folder / "private").write_text("x")
    line = f"ls {folder} /course/job.json /course/crabcan_workshop/desk/escape.toml; uname -n"
    result = workshop(root, folder, "escape", 4, "-c", line)
    assert len(result.stderr.splitlines()) == 3, result.stderr
    assert os.uname().nodename not in result.stdout.split()


def test_what_a_killed_room_leaves_the_next_one_removes(root, folder):
    """The container in it has a cgroup of its own, so the room's cannot just be removed."""
    process = subprocess.Popen(
        [*root.python, "-m", "crabcan_workshop", "escape", "1", "-c", "echo ready; sleep 60"],
        env=root.environment | nowhere(folder), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, cwd="/")
    assert process.stdout.readline() == b"ready\n"
    process.kill()
    process.communicate()
    left = lambda: [name for top, names, _ in os.walk("/sys/fs/cgroup") for name in names
                    if name.startswith(f"crabcan-{process.pid}-")]
    assert left()
    result = workshop(root, folder, "escape", 1, "-c", "true")
    assert result.returncode == 0 and not result.stderr
    assert not left()
