"""Chapter 10's cgroups: where a container is put, what it may use, and that nothing is left."""
import errno
import fcntl
import os
import subprocess
from pathlib import Path

import bundles
import pytest
from bundles import NAME, Refused, bundle, text
from conftest import UNIFIED, gone, wait_for

from crabcan_steps.layer import LayerError
from crabcan_steps.oci.cgroups import freezer, processes, tree, update
from crabcan_steps.oci.cgroups.words import io_weight, weight
from crabcan_workshop.measure import observe

pytestmark = pytest.mark.usefixtures("root")
PATH = f"/{NAME}/inner"
MEGA = 1 << 20


def both(first, second):
    """What this host's version of cgroups says."""
    return second if UNIFIED else first


# ---------------------------------------------------------------- where

def test_an_absolute_path_is_below_the_top_of_every_tree():
    with bundle(path=PATH) as state:
        trees = observe.cgroups(state["pid"])
        assert set(trees.values()) == {PATH}
        assert processes.processes(state["cgroups"]) == [state["pid"]]
        names = {name for key in trees for name in key.split(",")}
        assert names == set(state["cgroups"]["paths"])


@pytest.mark.parametrize("path", [f"{NAME}/{NAME}-inner", ""], ids=["inner", "none"])
def test_a_relative_path_is_below_our_own(path):
    own = observe.cgroups("self")
    with bundle(path=path) as state:
        for controller, found in observe.cgroups(state["pid"]).items():
            above = os.path.dirname(own[controller]) if controller == "" else own[controller]
            assert found == os.path.normpath(f"/{above}/{path or NAME}").replace("//", "/")


@pytest.mark.parametrize("path", [f"/../../{NAME}/upward", f"/a/../{NAME}/upward"], ids=["above", "beside"])
def test_a_path_leads_nowhere_else(path):
    with bundle(path=path) as state:
        assert set(observe.cgroups(state["pid"]).values()) == {f"/{NAME}/upward"}


def test_a_cgroup_that_somebody_lives_in_is_refused_and_left_alone():
    with bundle(path=PATH) as state:
        with pytest.raises(Refused, match=r"container's cgroup is not empty: 1 process\(es\) found"):
            bundles.start(path=PATH)
        assert processes.processes(state["cgroups"]) == [state["pid"]]
        assert not gone(state["pid"])


def test_so_is_one_whose_lower_cgroups_have_processes():
    with bundle(path=f"{PATH}/below"):
        with pytest.raises(Refused, match="not empty"):
            bundles.start(path=PATH)


def test_a_frozen_one_is_refused():
    path = Path("/sys/fs/cgroup", both("freezer", ""), NAME)
    path.mkdir()
    try:
        (path / both("freezer.state", "cgroup.freeze")).write_text(both("FROZEN", "1"))
        with pytest.raises(Refused, match="container's cgroup unexpectedly frozen"):
            bundles.start(path=f"/{NAME}")
    finally:
        path.rmdir()
    assert not bundles.leftovers(NAME)


def test_two_at_once_do_not_share_one():
    """Each is held until the other has looked: one container, and one refusal."""
    found = [bundles.subprocess.Popen(
        [bundles.sys.executable, "-c", bundles.MAKE], stdin=subprocess.PIPE, stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL, text=True, cwd="/",
        env={**os.environ, "PYTHONPATH": str(bundles.CHECKOUT)}) for _ in range(4)]
    given = {"command": ["sleep", "100"], "config": {"linux": {"cgroupsPath": PATH}}, "id": NAME,
             "systemd": False, "join": None, "keep": True}
    for one in found:
        one.stdin.write(bundles.json.dumps(given))
        one.stdin.close()
        one.stdin = None
    said = [one.stderr.readline() for one in found]
    states = [bundles.json.loads(line) for line in said if line.startswith("{")]
    assert len(states) == 1, said
    assert all("not empty" in line for line in said if not line.startswith("{")), said
    freezer.kill(states[0]["cgroups"])
    for one in found:
        one.wait()
        one.stderr.close()
    processes.remove(states[0]["cgroups"])
    left = bundles.leftovers(NAME)  # at most a parent that a loser has made and the winner has used
    assert {os.path.basename(path) for path in left} <= {NAME}
    tree.release(left)
    assert not bundles.leftovers(NAME)


def test_who_comes_while_another_is_being_made_is_refused():
    """The other has its directories, and nobody in them yet."""
    paths = [Path(path) for _, path in tree.directories(f"/{NAME}", "").values()]
    held = []
    try:
        for path in paths:
            path.mkdir()
            held.append(os.open(path, os.O_RDONLY))
            fcntl.flock(held[-1], fcntl.LOCK_EX)
        with pytest.raises(Refused, match="not empty: another container is just being created"):
            bundles.start(path=f"/{NAME}")
        assert all(path.exists() for path in paths)
    finally:
        for fd in held:
            os.close(fd)
        tree.release(paths)


@pytest.mark.parametrize("resources", [
    {"pids": {"limit": 5}, "hugepageLimits": [{"pageSize": "3TB", "limit": 1}]},
    {"cpu": {"cpus": "4000"}}, {"memory": {"swappiness": 101}},
    {"devices": [{"allow": True, "access": "x"}]}])
def test_a_create_that_fails_leaves_nothing(resources):
    with pytest.raises(Refused, match="linux.resources"):
        bundles.start(path=PATH, resources=resources)
    assert not bundles.leftovers(NAME)


def test_what_was_there_before_a_failed_create_is_there_after_it():
    path = Path("/sys/fs/cgroup", both("pids", ""), NAME)
    path.mkdir()
    try:
        with pytest.raises(Refused):
            bundles.start(path=f"/{NAME}/x", resources={"cpu": {"cpus": "4000"}})
        assert bundles.leftovers(NAME) == [str(path)]
    finally:
        path.rmdir()


def test_a_parent_that_others_use_stays():
    with bundle(path=f"/{NAME}/one") as one:
        with bundle(path=f"/{NAME}/two"):
            pass
        assert not gone(one["pid"])


# ---------------------------------------------------------------- limits

FIRST = {"memory": {"limit": 64 * MEGA, "reservation": 32 * MEGA},
         "cpu": {"shares": 100, "quota": 500000, "period": 1000000, "burst": 2000, "cpus": "0",
                 "mems": "0"}, "pids": {"limit": 20}}


def test_limits():
    with bundle(path=PATH, resources=FIRST) as state:
        said = {file: text(state, file.partition(".")[0], file) for file in both(
            ["memory.limit_in_bytes", "memory.soft_limit_in_bytes", "cpu.shares", "cpu.cfs_quota_us",
             "cpu.cfs_period_us", "cpu.cfs_burst_us", "cpuset.cpus", "cpuset.mems", "pids.max"],
            ["memory.max", "memory.low", "cpu.weight", "cpu.max", "cpu.max.burst", "cpuset.cpus",
             "cpuset.mems", "pids.max"])}
        assert list(said.values()) == both(
            ["67108864", "33554432", "100", "500000", "1000000", "2000", "0", "0", "20"],
            ["67108864", "33554432", "17", "500000 1000000", "2000", "0", "0", "20"])


def test_a_limit_bites():
    script = "for i in 1 2 3 4 5 6 7 8; do sleep 0.1 & done; echo done"
    command = ["sh", "-c", f"sleep 1; {script}; sleep 100"]
    with bundle(path=PATH, resources={"pids": {"limit": 3}}, command=command) as state:
        assert wait_for(lambda: text(state, "pids", "pids.events") != "max 0", 10)


@pytest.mark.parametrize("limit, version, said", [
    (0, "1.3.0", "1"), (0, "1.2.1", "max"), (0, "1.0.2-dev", "max"), (-1, "1.3.0", "max"), (7, "1.0.2-dev", "7")])
def test_pids(limit, version, said):
    """Until 1.3 engines wrote 0 where they meant no limit: `podman run --pids-limit -1` of Debian 12."""
    with bundle(path=PATH, config={"ociVersion": version, "linux": {"resources": {"pids": {"limit": limit}}, "cgroupsPath": PATH}}) as state:
        assert text(state, "pids", "pids.max") == said


def test_nothing_is_what_engines_mean_by_zero():
    zeros = {"memory": {"limit": 0, "swap": 0, "reservation": 0, "disableOOMKiller": False},
             "cpu": {"shares": 0, "quota": 0, "period": 0, "realtimeRuntime": 0, "cpus": "", "mems": ""},
             "blockIO": {"weight": 0, "weightDevice": []}, "hugepageLimits": [], "network": {},
             "unified": {}, "somethingNew": {"x": 1}}
    with bundle(path=PATH, resources=zeros) as state:
        assert text(state, "memory", both("memory.limit_in_bytes", "memory.max")) in (
            "max", "9223372036854771712")


def test_weights():
    assert [weight(shares) for shares in (0, 2, 100, 1024, 3333, 262144, 1 << 40)] == [
        "1", "1", "17", "100", "256", "10000", "10000"]
    assert [io_weight(value) for value in (10, 750, 1000)] == ["1", "7475", "10000"]


@pytest.mark.parametrize("resources, option", [
    ({"memory": {"swappiness": 50}}, "memory.swappiness"),
    ({"memory": {"disableOOMKiller": True}}, "memory.disableOOMKiller"),
    ({"network": {"classID": 1}}, "network.classID"),
    ({"network": {"priorities": [{"name": "lo", "priority": 1}]}}, "network.priorities"),
    ({"cpu": {"realtimeRuntime": 1000}}, "cpu.realtimeRuntime"),
    ({"blockIO": {"leafWeight": 10}}, "blockIO.leafWeight"),
    ({"rdma": {"mlx": {"hcaHandles": 1}}}, "rdma"),
    ({"hugepageLimits": [{"pageSize": "5MB", "limit": 1}]}, "hugepageLimits"),
    ({"unified": {"nothing.max": "1"}}, "unified"), ({"unified": {"../pids.max": "1"}}, "unified"),
    ({"unified": {"cgroup": "1"}}, "unified"), ({"memory": {"useHierarchy": False}}, "useHierarchy")])
def test_what_cannot_be_had_is_refused_by_name(resources, option):
    """None of it is passed over; a host that has it sets it."""
    try:
        with bundle(path=PATH, resources=resources) as state:
            assert not UNIFIED or option == "rdma"
            group, _, key = option.partition(".")
            file = {"memory.swappiness": ("memory", "memory.swappiness", "50"),
                    "memory.disableOOMKiller": ("memory", "memory.oom_control", "oom_kill_disable 1"),
                    "cpu.realtimeRuntime": ("cpu", "cpu.rt_runtime_us", "1000"),
                    "network.classID": ("net_cls", "net_cls.classid", "1")}[option]
            assert text(state, *file[:2]).startswith(file[2])
    except Refused as error:
        assert option in str(error) or "cgroup version 2" in str(error), error
    assert not bundles.leftovers(NAME)


@pytest.mark.skipif(not UNIFIED, reason="version 2's own words")
def test_unified():
    asked = {"memory.high": "20971520", "pids.max": "99", "cpu.max": "10000 100000", "cpu.weight": "42"}
    with bundle(path=PATH, resources={"pids": {"limit": 5}, "unified": asked}) as state:
        assert {file: text(state, "", file) for file in asked} == asked


def test_swap_is_counted_as_the_specification_does():
    file = both("memory.memsw.limit_in_bytes", "memory.swap.max")
    limits = {"memory": {"limit": 64 * MEGA, "swap": 96 * MEGA}}
    with bundle(path=PATH, resources=limits) as state:
        assert text(state, "memory", file) == str(both(96, 32) * MEGA)
        for memory, swap in (30, 50), (60, 80), (20, 20):  # below and above what was there
            update.update(state["cgroups"], {"memory": {"limit": memory * MEGA, "swap": swap * MEGA}})
            assert text(state, "memory", file) == str(both(swap, swap - memory) * MEGA)
        update.update(state["cgroups"], {"memory": {"limit": -1}})
        assert text(state, "memory", file) in ("max", "9223372036854771712")


# ---------------------------------------------------------------- update

def test_update_keeps_what_is_not_named():
    with bundle(path=PATH, resources=FIRST) as state:
        def cpu():
            return both(f"{text(state, 'cpu', 'cpu.cfs_quota_us')} {text(state, 'cpu', 'cpu.cfs_period_us')}"
                        if not UNIFIED else "", text(state, "cpu", "cpu.max") if UNIFIED else "")
        update.update(state["cgroups"], {"cpu": {"period": 900000}})
        assert cpu() == "500000 900000"
        update.update(state["cgroups"], {"cpu": {"quota": 600000}})
        assert cpu() == "600000 900000"
        update.update(state["cgroups"], {"cpu": {"quota": -1}})
        assert cpu() == both("-1 900000", "max 900000")
        update.update(state["cgroups"], {"cpu": {"quota": 3000, "period": 10000}})
        assert cpu() == "3000 10000"
        assert text(state, "pids", "pids.max") == "20"


def test_idle():
    with bundle(path=PATH, resources=FIRST) as state:
        for value in 1, 0, 1:
            update.update(state["cgroups"], {"cpu": {"idle": value}})
            assert text(state, "cpu", "cpu.idle") == str(value)
        with pytest.raises(LayerError, match="cpu.idle"):
            update.update(state["cgroups"], {"cpu": {"idle": 2}})
        assert text(state, "cpu", "cpu.idle") == "1"


def test_an_update_that_fails_changes_nothing():
    with bundle(path=PATH, resources=FIRST) as state:
        for bad in {"cpus": "4000"}, {"period": 10}:
            with pytest.raises(LayerError, match="linux.resources.cpu") as caught:
                update.update(state["cgroups"], {"memory": {"limit": 128 * MEGA}, "pids": {"limit": 9},
                                                 "cpu": {"shares": 512} | bad})
            assert caught.value.errno in (errno.EINVAL, errno.ERANGE)
            assert text(state, "pids", "pids.max") == "20"
            assert text(state, "cpu", both("cpu.shares", "cpu.weight")) == both("100", "17")
            assert text(state, "memory", both("memory.limit_in_bytes", "memory.max")) == str(64 * MEGA)


def test_a_memory_limit_below_what_is_used():
    command = ["python3", "-c", "x = b'x' * 20_000_000; import time; time.sleep(100)"]
    with bundle(path=PATH, resources=FIRST, command=command) as state:
        file = both("memory.usage_in_bytes", "memory.current")
        assert wait_for(lambda: int(text(state, "memory", file)) > 20_000_000)
        with pytest.raises(LayerError) as caught:
            update.update(state["cgroups"], {"memory": {"limit": 4096, "checkBeforeUpdate": True}})
        assert both("unable to set memory limit", "rejecting memory limit") in caught.value.about
        assert not gone(state["pid"])
