"""The row of the matrix that has a way out: nothing else is open for it, and if it were, the row would say so."""
import json
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from test_walls import OPEN, without  # noqa: E402
from world import as_before, fresh, world  # noqa: E402, F401

from crabcan_workshop import chapters  # noqa: E402


def row(who):
    """({property: cell}, note) of `workshop matrix`, its last row."""
    result = subprocess.run([*who.python, "-m", "crabcan_workshop.lab.fresh", "rows", str(chapters.NETWORK)], cwd="/",
                            env=who.environment, text=True, capture_output=True, timeout=60)
    assert result.returncode == 0, result.stderr
    step, cells, note = json.loads(result.stdout)
    assert step == chapters.NETWORK
    return cells, note


def test_nothing_else_is_open_for_a_way_out(world, as_before, user):
    for who in world.root, world.user(user):
        cells, note = row(who)
        others = {name: cell for name, cell in cells.items() if cell != "closed"}
        assert others.keys() <= ({"memory", "pids", "cpu"} if note else set()) and "wrong" not in others.values(), (others, note)


def test_without_its_rules_the_row_is_wrong(world, as_before, tmp_path):
    cells, _ = row(without(world, tmp_path, OPEN.items()))
    assert {name for name, cell in cells.items() if cell != "closed"} == {"network"} and cells["network"] == "wrong"


def test_a_machine_without_a_way_out_is_told(fresh, user):
    """As a user: there is nothing that pasta could pass on."""
    fresh.do(fresh.host, "ip route flush default; ip -6 route flush default")
    cells, note = row(fresh.user(user))
    assert set(cells.values()) == {"absent"} and "way out" in note
