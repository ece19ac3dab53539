"""Scopes asked of systemd, where there is one to ask."""
import os
import subprocess

import bundles
import pytest
from bundles import NAME, Refused, text
from conftest import UNIFIED, gone, wait_for

from crabcan_steps.layer import LayerError
from crabcan_steps.oci.cgroups import freezer, processes, properties, systemd, update
from crabcan_workshop.measure import observe

RUNS = os.path.isdir("/run/systemd/system")
running = pytest.mark.skipif(not RUNS, reason="no systemd runs here")
MEGA = 1 << 20
LIMITS = {"memory": {"limit": 64 * MEGA, "swap": 96 * MEGA, "reservation": 32 * MEGA},
          "cpu": {"shares": 100, "quota": 50000, "period": 100000, "cpus": "0"}, "pids": {"limit": 20}}


def shown(unit, name, user=None):
    command = ["systemctl", *(["--user"] if user else []), "show", "--value", "-p", name, unit]
    prefix, environment = (user.prefix, user.environment) if user else ([], None)
    return subprocess.run([*prefix, *command], env=environment, check=True, text=True,
                          capture_output=True).stdout.strip()


def end(state, process, user=None):
    """As `delete` does, by whoever has made it; then the unit is gone."""
    if user:
        done = user.script("import json, sys\nfrom crabcan_steps.oci.cgroups import freezer, processes\n"
                           "groups = json.loads(sys.argv[1])\nfreezer.kill(groups)\n"
                           "processes.remove(groups)", bundles.json.dumps(state["cgroups"]))
        assert done.returncode == 0, done.stderr
    else:
        freezer.kill(state["cgroups"])
        processes.remove(state["cgroups"])
    process.kill()
    process.communicate()
    unit = state["cgroups"]["unit"]
    assert wait_for(lambda: shown(unit, "LoadState", user) == "not-found")
    assert not bundles.leftovers(unit)


@running
def test_a_scope(root):
    process, state = bundles.start(path=f"crabcan-test.slice:crabcan:{NAME}", systemd=True,
                                   resources=LIMITS)
    unit = f"crabcan-{NAME}.scope"
    assert set(observe.cgroups(state["pid"]).values()) == {
        f"/crabcan.slice/crabcan-test.slice/{unit}"}
    assert state["cgroups"]["unit"] == unit
    assert {name: shown(unit, name) for name in ("TasksMax", "Delegate", "CPUQuotaPerSecUSec",
                                                 "AllowedCPUs", "Slice")} == {
        "TasksMax": "20", "Delegate": "yes", "CPUQuotaPerSecUSec": "500ms", "AllowedCPUs": "0",
        "Slice": "crabcan-test.slice"}
    if UNIFIED:
        assert shown(unit, "MemoryMax") == text(state, "", "memory.max") == str(64 * MEGA)
        assert text(state, "", "memory.swap.max") == str(32 * MEGA)
        assert text(state, "", "cpu.weight") == shown(unit, "CPUWeight") == "17"
    update.update(state["cgroups"], {"memory": {"limit": 80 * MEGA}, "pids": {"limit": 30}})
    assert (shown(unit, "TasksMax"), text(state, "pids", "pids.max")) == ("30", "30")
    subprocess.run(["systemctl", "daemon-reload"], check=True)
    assert text(state, "pids", "pids.max") == "30"
    assert text(state, "memory", "memory.max" if UNIFIED else "memory.limit_in_bytes") == str(80 * MEGA)
    end(state, process)
    subprocess.run(["systemctl", "stop", "crabcan.slice"], check=True)  # slices stay as they are


@running
def test_without_a_path_it_is_in_the_systems_slice(root):
    process, state = bundles.start(systemd=True)
    assert state["cgroups"]["unit"] == f"crabcan-{NAME}.scope"
    assert set(observe.cgroups(state["pid"]).values()) == {f"/system.slice/crabcan-{NAME}.scope"}
    end(state, process)


@running
def test_annotations_become_properties(root):
    notes = {"org.systemd.property.TimeoutStopUSec": "uint64 7000000", "something.else": "x",
             "org.systemd.property.Description": "'a word'"}
    process, state = bundles.start(systemd=True, config={"annotations": notes})
    unit = state["cgroups"]["unit"]
    assert (shown(unit, "TimeoutStopUSec"), shown(unit, "Description")) == ("7s", "a word")
    end(state, process)


@running
@pytest.mark.parametrize("resources", [{"memory": {"swappiness": 300}},
                                       {"hugepageLimits": [{"pageSize": "5MB", "limit": 1}]}])
def test_a_create_that_fails_leaves_no_unit(root, resources):
    with pytest.raises(Refused, match="linux.resources"):
        bundles.start(systemd=True, resources=resources)
    assert wait_for(lambda: shown(f"crabcan-{NAME}.scope", "LoadState") == "not-found")
    assert not bundles.leftovers(f"crabcan-{NAME}")


@running
@pytest.mark.skipif(not UNIFIED, reason="an ordinary user has no version 1")
def test_a_scope_of_an_ordinary_users(user):
    process, state = bundles.start(who=user, systemd=True, resources={"pids": {"limit": 20}},
                                   path=f"user.slice:crabcan:{NAME}")
    unit = state["cgroups"]["unit"]
    assert text(state, "pids", "pids.max") == "20" == shown(unit, "TasksMax", user)
    assert observe.cgroups(state["pid"])[""].endswith(f"/user.slice/{unit}")
    assert not gone(state["pid"])
    joined, other = bundles.start(who=user, join=[state["cgroups"], "", state["pid"]], name="joined")
    assert observe.cgroups(other["pid"]) == observe.cgroups(state["pid"]) != observe.cgroups(joined.pid)
    joined.kill()
    joined.communicate()
    end(state, process, user)


@pytest.mark.skipif(RUNS, reason="systemd runs here")
def test_where_no_systemd_runs_that_is_said(root):
    with pytest.raises(Refused, match="systemd not running on this host"):
        bundles.start(systemd=True)


@running
@pytest.mark.parametrize("path", ["/a/b", "a:b", "a:b:c:d", "a.scope:b:c", "a/b.slice:b:c",
                                  "a--b.slice:b:c"])
def test_a_path_of_another_form_is_refused(root, path):
    with pytest.raises(Refused, match="slice"):
        bundles.start(systemd=True, path=path)


def test_where_a_slice_is():
    assert systemd.nested("a-b-c.slice") == "/a.slice/a-b.slice/a-b-c.slice"
    assert systemd.nested("-.slice") == ""


def test_properties():
    assert properties.bits("cpu.cpus", "0-3,9") == [0b1111, 0b10]
    assert properties.quota(33333, 100000)[1] == ("CPUQuotaPerSecUSec", "t", 340000)
    assert properties.arguments([("PIDs", "au", [4, 5]), ("Slice", "s", "x.slice")]) == [
        "2", "PIDs", "au", "2", "4", "5", "Slice", "s", "x.slice"]
    for bad in "1-", "x", "3,,4":
        with pytest.raises(LayerError):
            properties.bits("cpu.cpus", bad)
