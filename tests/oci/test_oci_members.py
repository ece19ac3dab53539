"""Chapter 10's cgroups: who is in one, who joins it, who ends it, and who may have none."""
import subprocess
import time
from pathlib import Path

import bundles
import pytest
from bundles import NAME, Refused, bundle
from conftest import UNIFIED, gone, wait_for

from crabcan_steps.layer import LayerError
from crabcan_steps.oci.cgroups import freezer, processes, tree, update
from crabcan_workshop.measure import observe

pytestmark = pytest.mark.usefixtures("root")
PATH = f"/{NAME}/inner"
MEGA = 1 << 20


def both(first, second):
    """What this host's version of cgroups says."""
    return second if UNIFIED else first


# ---------------------------------------------------------------- who is in it

FORKS = ["sh", "-c", "sleep 100 & sleep 100 & sleep 100"]


def test_processes_in_lower_cgroups_count():
    with bundle(path=PATH, command=FORKS) as state:
        groups = state["cgroups"]
        assert wait_for(lambda: len(processes.processes(groups)) == 4)
        moved = processes.processes(groups)[-1]
        for path in tree.unique(groups):
            tree.descend(path, f"{path}/a/b", [])
        processes.join(groups, moved, "a/b")
        assert len(processes.processes(groups)) == 4
        freezer.kill(groups)
        assert processes.processes(groups) == []


def used(state):
    """Processor time of the first process, in ticks."""
    return int(Path(f"/proc/{state['pid']}/stat").read_text().rpartition(")")[2].split()[11])


def test_frozen_processes_stand_still():
    with bundle(path=PATH, command=["sh", "-c", "while :; do :; done"]) as state:
        groups = state["cgroups"]
        freezer.freeze(groups, True)
        assert freezer.frozen(groups)
        before = used(state)
        time.sleep(0.3)
        assert used(state) == before
        update.update(groups, {"pids": {"limit": 30}})
        assert freezer.frozen(groups)
        freezer.freeze(groups, False)
        assert not freezer.frozen(groups)
        assert wait_for(lambda: used(state) > before)


def test_a_frozen_container_can_be_killed():
    with bundle(path=PATH, command=FORKS) as state:
        freezer.freeze(state["cgroups"], True)
        freezer.kill(state["cgroups"])
        assert processes.processes(state["cgroups"]) == []
        assert wait_for(lambda: gone(state["pid"]))


BOMB = "import os\nwhile 1:\n try: os.fork()\n except OSError: pass"


def test_nobody_outruns_kill():
    with bundle(path=PATH, resources={"pids": {"limit": 40}}, command=["python3", "-c", BOMB]) as state:
        assert wait_for(lambda: len(processes.processes(state["cgroups"])) > 30)
        freezer.kill(state["cgroups"])
        assert processes.processes(state["cgroups"]) == []


def test_without_cgroup_kill_too():
    """An older kernel: frozen, killed, thawed, until none is left."""
    with bundle(path=PATH, resources={"pids": {"limit": 40}}, command=["python3", "-c", BOMB]) as state:
        groups = state["cgroups"]
        assert wait_for(lambda: len(processes.processes(groups)) > 30)
        freezer.signal(groups, 9)
        assert wait_for(lambda: not processes.processes(groups))


def test_a_signal_to_all():
    trap = "trap 'exit 0' TERM; while :; do sleep 0.05; done"
    command = ["sh", "-c", f"({trap}) & ({trap}) & {trap}"]
    with bundle(path=PATH, command=command) as state:
        assert wait_for(lambda: len(processes.processes(state["cgroups"])) >= 3)
        time.sleep(0.3)
        freezer.signal(state["cgroups"], 15)
        assert wait_for(lambda: not processes.processes(state["cgroups"]))


def test_removal_waits_for_the_last_one_and_names_who_stays():
    with bundle(path=PATH) as state:
        with pytest.raises(LayerError) as caught:
            processes.remove(state["cgroups"], seconds=0.2)
        assert str(state["pid"]) in caught.value.about
        assert processes.processes(state["cgroups"]) == [state["pid"]]


@pytest.mark.parametrize("sub", ["..", "../other", "a/../../.."])
def test_a_sub_cgroup_is_below(sub):
    other = subprocess.Popen(["sleep", "100"])  # should it be moved all the same, it is ours
    try:
        with bundle(path=PATH) as state:
            before = observe.cgroups(other.pid)
            with pytest.raises(ValueError, match="is not a sub cgroup path"):
                processes.join(state["cgroups"], other.pid, sub)
            assert observe.cgroups(other.pid) == before
    finally:
        other.kill()
        other.wait()


def test_whoever_joins_is_in_all_trees():
    with bundle(path=PATH) as state:
        process, other = bundles.start(join=[state["cgroups"], "", state["pid"]], name="joined")
        assert observe.cgroups(other["pid"]) == observe.cgroups(state["pid"])
        assert processes.processes(state["cgroups"]) == sorted([other["pid"], state["pid"]])
        process.kill()
        process.communicate()


@pytest.mark.skipif(not UNIFIED, reason="only version 2 wants processes in the leaves")
@pytest.mark.parametrize("how", ["layer", "write"])
def test_whoever_joins_a_container_that_has_moved_down_goes_where_its_init_is(how):
    with bundle(path=PATH) as state:
        path = Path(state["cgroups"]["paths"][""])
        (path / "foo").mkdir()
        (path / "foo/cgroup.procs").write_text(str(state["pid"]))
        (path / "cgroup.subtree_control").write_text("+memory")
        if how == "layer":
            process, other = bundles.start(join=[state["cgroups"], "", state["pid"]], name="joined")
            pid = other["pid"]
        else:
            process = subprocess.Popen(["sleep", "100"])
            pid = process.pid
            processes.join(state["cgroups"], pid, init=state["pid"])
        assert observe.cgroups(pid) == {"": f"{PATH}/foo"}
        process.kill()
        process.communicate()


# ---------------------------------------------------------------- who may not

def test_an_ordinary_user_who_asks_for_nothing_gets_nothing(user):
    process, state = bundles.start(who=user)
    assert state["cgroups"]["paths"] == {}
    process.kill()
    process.communicate()


def test_an_ordinary_user_who_asks_for_a_limit_is_told(user):
    with pytest.raises(Refused, match="rootless needs no limits|could not join or create cgroup"):
        bundles.start(who=user, resources={"pids": {"limit": 3}})


def test_an_ordinary_user_who_asks_for_a_place_is_told(user):
    with pytest.raises(Refused, match="unable to apply cgroup configuration.*permission denied"):
        bundles.start(who=user, path=PATH)


def test_a_user_who_asks_for_devices_only_gets_nothing(user):
    """Engines send that list always, and nobody could enforce it there."""
    process, state = bundles.start(who=user, resources={"devices": [{"allow": False, "access": "rwm"}]})
    assert not state["cgroups"]["rules"]
    process.kill()
    process.communicate()
