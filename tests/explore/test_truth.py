"""The folded state is what the kernel says: looked at after each event, of a process that stands still."""
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from crabcan_workshop.explore.filters import enriched
from crabcan_workshop.explore.paths import point, visible
from crabcan_workshop.explore.reducer import fold, initial, reduce
from crabcan_workshop.explore.start import SETS, capability
from crabcan_workshop.explore.start import mount as line_of

STEPPER = Path(__file__).with_name("stepper.py")
LIMIT_NAMES = {"Max cpu time": "CPU", "Max file size": "FSIZE", "Max data size": "DATA",
               "Max stack size": "STACK", "Max core file size": "CORE", "Max open files": "NOFILE",
               "Max locked memory": "MEMLOCK", "Max address space": "AS", "Max msgqueue size": "MSGQUEUE",
               "Max nice priority": "NICE", "Max realtime priority": "RTPRIO", "Max processes": "NPROC"}


def stepped(who, folder, *words, before=()):
    """[(event, {side: what /proc says})] of a run that is stopped at each event."""
    file = folder / "events"
    command = who.command(*words[:2], "--trace", file, *words[2:], "--", "sleep", "100")
    result = subprocess.run([*before, sys.executable, STEPPER, file, *command], env=who.environment, text=True,
                            capture_output=True, timeout=60)
    assert result.returncode == 137, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def ids(state, process, kind):
    return [str(number) for number in process[kind]]


def namespaces(state, side, real, host, known):
    """Shared where it should be; one id of ours is one inode of the kernel's."""
    for kind, inode in real["namespaces"].items():
        name = state["processes"][side]["namespaces"][kind]["id"]
        assert (inode == host[kind]) == (name == f"{kind}:0"), (kind, name, inode)
        assert known.setdefault(name, inode) == inode, (kind, name, inode)


def identity(state, side, real):
    process, status = state["processes"][side], real["status"]
    for field, kind in (("Uid", "uid"), ("Gid", "gid")):
        assert status[field].split()[:3] == ids(state, process, kind), field
    assert sorted(map(int, status["Groups"].split())) == sorted(process["groups"])
    for name, field in SETS.items():
        bits = int(status[field], 16)
        assert [capability(n) for n in range(64) if bits >> n & 1] == process["capabilities"][name], name
    assert status["NoNewPrivs"] == str(int(process["no_new_privs"]))
    assert status["Seccomp"] == ("2" if process["filters"] else "0")
    assert int(status.get("Seccomp_filters", len(process["filters"]))) == len(process["filters"])
    assert int(status["Umask"], 8) == process["umask"]
    user = state["namespaces"][process["namespaces"]["user"]["id"]]
    if user["parent"] is not None:
        for kind in "uid", "gid":
            assert real[f"{kind}_map"] == [str(n) for line in user["maps"][kind] for n in line], kind
        assert real["setgroups"] == user["setgroups"]
    assert (status["NSpid"].split()[-1] == "1") == process["inits"]


def described(where, found):
    """A mount as both sides can tell it."""
    return (where, found["root"], found["fstype"], found["source"], tuple(found["attributes"]),
            found["propagation"], found["idmapped"])


def mounts(state, side, real):
    """The tree below its root is mountinfo's, mount by mount; root and directory are the same."""
    ours = [(where, state["mounts"][name]) for where, name in visible(state, side)]
    theirs = [line_of(line)[1] for line in real["mountinfo"]]
    theirs = [(found["at"], found) for found in theirs]
    one, other = (Counter(described(*each) for each in every) for every in (ours, theirs))
    assert one == other, (one - other, other - one)
    numbers = {line.split()[0]: line_of(line)[1] for line in real["mountinfo"]}
    process = state["processes"][side]
    for field in "root", "cwd":
        where, (number, path) = process[field], real[field]
        if number in numbers:
            found, mine = numbers[number], state["mounts"][where["mount"]]
            assert (found["fstype"], found["root"]) == (mine["fstype"], mine["root"]), field
            at = point(state, process["root"], where["mount"])
            assert at == found["at"], field
            if field == "cwd":
                assert (at.rstrip("/") + where["path"] or "/") == path, field
        else:
            assert point(state, process["root"], where["mount"]) is None, field


def limits(state, side, real):
    process = state["processes"][side]
    for line in real["limits"]:
        for title, name in LIMIT_NAMES.items():
            if line.startswith(title):
                words = line[len(title):].split()[:2]
                assert words == ["unlimited" if n == -1 else str(n) for n in process["rlimits"][name]], name
    theirs = dict(line.split(":", 2)[1:] for line in real["cgroup"])
    assert theirs == process["cgroup"], theirs


def descriptors(state, side, real):
    if real["descriptors"] is None:
        return
    ours = state["processes"][side]["descriptors"]
    assert ours.keys() == real["descriptors"].keys(), (ours, real["descriptors"])
    for fd, (link, cloexec, _) in real["descriptors"].items():
        assert ours[fd]["cloexec"] == cloexec, (fd, link, ours[fd])


def others(state, side, real):
    process = state["processes"][side]
    assert process["pid"] == real["pid"]
    net = state["namespaces"][process["namespaces"]["net"]["id"]]
    if "lo" in net["links"]:
        assert net["links"]["lo"]["up"] == real["lo"]
    assert state["namespaces"][process["namespaces"]["uts"]["id"]]["hostname"] == real["hostname"]
    assert (process["session"] == "own") == (real["session"] == real["status"]["NSpid"].split()[0])


def compare(run):
    """Folds, and looks at each state; all differences, with the event."""
    state, wrong, looks = initial(), [], 0
    host, known = run[0][1]["parent"]["namespaces"], {}
    for index, (event, seen) in enumerate(run):
        state = reduce(state, enriched(event))
        for side, real in seen.items():
            looks += 1
            if event["call"] == "rmdir" and event["args"][0] not in state["cgroups"]:
                real["descriptors"] = None  # a sweep has another run's directory open, and does not say so
            for look in (lambda *a: namespaces(*a, host, known), identity, mounts, limits, descriptors, others):
                try:
                    look(state, side, real)
                except (AssertionError, KeyError) as error:
                    wrong.append(f"{index} {event['side']} {event['call']}{event['args']}: {side}: "
                                 f"{type(error).__name__} {error}"[:900])
    return state, wrong, looks


@pytest.mark.parametrize("step", range(2, 10))
def test_each_state_is_what_the_kernel_says(who, folder, step):
    true(stepped(who, folder, "step", str(step)))


def true(run):
    state, wrong, looks = compare(run)
    assert not wrong, "\n".join(wrong[:12])
    assert state["unknown"] == 0 and looks > 20
    assert state["processes"]["child"]["program"] == "/usr/bin/sleep"


@pytest.mark.parametrize("options", [
    "--caps docker", "--uid 7 --cap-add NET_RAW", "--tmpfs /tmp/y --read-only", "--layers all,-mounts"])
def test_and_with_options(who, folder, options):
    true(stepped(who, folder, "step", "9", "--hostname", "x", *options.split()))


@pytest.mark.parametrize("options", ["--layers all,-namespaces", "--layers all,-caps,-seccomp --user 7:8"])
def test_and_with_the_options_of_root(root, folder_of_root, options):
    true(stepped(root, folder_of_root, "step", "9", *options.split()))


SHARED = """mount --make-rshared / && mount -t tmpfs -o nosuid outer "$0" && mkdir "$0/in" &&
mount -t tmpfs -o ro inner "$0/in" && exec "$@" """


@pytest.mark.parametrize("step", ["3", "4", "9"])
def test_where_mounts_are_shared_and_others_hang_from_what_is_added(root, folder_of_root, step):
    """As systemd leaves them: a container's copy follows the host's, until it is made private."""
    place = folder_of_root / "files"
    place.mkdir()
    before = ["unshare", "--mount", "--propagation", "private", "sh", "-c", SHARED, str(place)]
    options = [] if step == "3" else ["--add", f"{place}:/files"]
    run = stepped(root, folder_of_root, "step", step, *options, before=before)
    assert any(" shared:" in line for line in run[0][1]["parent"]["mountinfo"])
    true(run)


@pytest.fixture
def folder_of_root(root, tmp_path_factory):
    return tmp_path_factory.mktemp("steps")
