"""workshop compare: ours is at least as tight as the others, and the attempts can succeed."""
import io
import json
import subprocess

import pytest
from rich.console import Console

from crabcan_workshop.measure import compare

pytestmark = pytest.mark.slow  # left out by --fast

ALWAYS = ("no container", "crabcan", "runc", "bubblewrap")  # `./workshop test` installs these
OPEN_ON_ANY_HOST = {"pid", "environ", "files", "mounts", "users", "keys", "ipc", "network",
                    "filter", "session", "fds", "umask", "set-uid", "keyctl", "nesting", "aslr", "af_netlink"}
OPEN_IN_OURS = {"cpu", "af_netlink"}
COMPARED = {}


@pytest.fixture
def compared(who):
    """runtime -> (cells, note), of `workshop compare`, run once for each user."""
    if who.name not in COMPARED:
        result = subprocess.run([*who.python, "-m", "crabcan_workshop", "compare", "--json"],
                                env=who.environment, text=True, capture_output=True, cwd="/")
        assert result.stdout, result.stderr
        runtimes = json.loads(result.stdout)["runtimes"]
        table = {name: (words["cells"], words["note"]) for name, words in runtimes.items()}
        COMPARED[who.name] = table, result.returncode
    return COMPARED[who.name][0]


def test_those_that_are_always_there_run(compared):
    for name in ALWAYS:
        assert compared[name][0], f"{name}: {compared[name][1]}"


@pytest.mark.parametrize("row", compare.ROWS)
def test_ours_is_at_least_as_tight(compared, who, row):
    others = {name: cells[row] for name, (cells, _) in compared.items()
              if cells and name != "no container"}
    assert others["crabcan"] == "closed" or "closed" not in others.values(), others
    if row not in OPEN_IN_OURS and (row not in ("memory", "pids") or who.has_cgroups()):
        assert others["crabcan"] in ("closed", "absent"), row  # absent: time, i386


def test_what_is_closed_in_ours_was_tried_and_can_succeed(compared, who):
    """What no container closes, the same attempts do on the host, as the same user."""
    host = compared["no container"][0]
    wanted = OPEN_ON_ANY_HOST
    if who.root:
        wanted = wanted | {"caps", "devices", "secrets", "/proc", "af_packet", "dmesg", "ptrace"}
    assert {row for row in wanted if host[row] != "open"} == set()


def test_known_truths_about_the_others(compared):
    runc, bwrap = compared["runc"][0], compared["bubblewrap"][0]
    assert runc["session"] == runc["no_new"] == runc["fds"] == "closed"
    assert runc["parent"] == runc["filter"] == "open"  # `runc spec` writes no filter
    assert bwrap["network"] == "closed" and bwrap["session"] == bwrap["parent"] == "open"


def test_the_exit_status_and_the_table_tell_of_a_row_where_ours_is_looser(compared, who):
    assert COMPARED[who.name][1] == 0 and compare.looser(compared) == {}
    ours, note = compared["crabcan"]
    worse = compared | {"crabcan": (ours | {"fds": "open"}, note)}
    assert compare.looser(worse)["fds"][0] == "runc"
    assert "fds: runc" in drawn(worse) and "ours NOT" in drawn(worse)
    assert "ours NOT" not in drawn(compared)


def drawn(table, **settings):
    file = io.StringIO()
    compare.draw(table, Console(file=file, soft_wrap=True, highlight=False, **settings))
    return file.getvalue()


def test_the_table_names_who_is_missing_and_is_plain_in_a_pipe(compared):
    text = drawn(compared | {"podman": (None, "not installed")})
    assert "podman: not installed" in text and "\033[" not in text
    lines = text.splitlines()
    assert all(any(line.startswith(row + " ") for line in lines) for row in compare.ROWS)
    assert "\033[" in drawn(compared, force_terminal=True, color_system="standard")
