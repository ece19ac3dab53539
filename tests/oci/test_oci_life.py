"""A container's life when things go wrong: many at once, two who want the same, hooks that misbehave."""
import contextlib
import json
import os
import signal
import socket
import subprocess
import time

import pytest
from cells import all_boxes, boxes, cgroups, processes, text  # noqa: F401
from conftest import wait_for

HOOKS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")


def all_end(started):
    return [(process.communicate(timeout=100), process.returncode)[1] for process in started]


# ---------------------------------------------------------------- many at once

@pytest.mark.timeout(0)
def test_many_creates_at_once(boxes, request):
    """20, with --long 100, four or so a processor at work; then each is deleted."""
    count = 100 if request.config.getoption("long") else 20
    made = [boxes.box() for _ in range(count)]
    started = [boxes.start("create", "--bundle", box.folder, box.name, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL) for box in made]
    assert all_end(started) == [0] * count
    listed = json.loads(boxes.oci("list", "--format", "json").stdout)
    assert {row["id"] for row in listed} == {box.name for box in made} and {row["status"] for row in listed} == {"created"}
    assert all_end([boxes.start("delete", "--force", box.name) for box in made]) == [0] * count
    assert not any(box.left() for box in made)


def test_the_same_name_many_times_at_once(boxes):
    """One of them has it; the others say so."""
    box = boxes.box()
    words = ("create", "--bundle", box.folder, box.name)
    started = [boxes.start(*words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(8)]
    assert sorted(all_end(started)) == [0] + [1] * 7
    box.must("start")
    box.must("delete", options=["--force"])
    assert not box.left()


def open_things():
    """What a leak would add to: mounts, cgroups, keyrings, processes of this user's."""
    return {"mounts": len(text("/proc/self/mountinfo").splitlines()),
            "keys": int(text("/proc/key-users").split("0:")[1].split()[1].split("/")[0]) if os.path.exists("/proc/key-users") else 0}


@pytest.mark.timeout(0)
def test_no_leak(boxes, request):
    """30 lives, with --long 1,000."""
    box = boxes.box(lambda config: config["process"].update(args=["true"]))
    before = open_things()
    for _ in range(1000 if request.config.getoption("long") else 30):
        box.must("create")
        box.must("start")
        box.must("delete", options=["--force"])
        assert not os.listdir(boxes.root)
    assert not box.left() and not cgroups(box.name)
    after = open_things()
    assert after["mounts"] == before["mounts"]
    assert wait_for(lambda: open_things()["keys"] <= before["keys"] + 3, 20), (before, open_things())


# ---------------------------------------------------------------- two at once

def race(boxes, *commands):
    """Starts all at the same moment; returns statuses and what they say."""
    started = [boxes.start(*words) for words in commands]
    said = [process.communicate(timeout=100)[1] for process in started]
    for process, line in zip(started, said):
        assert process.returncode in (0, 1, 255, 137) and line.count("\n") <= 1 and "Traceback" not in line, line
        assert "rror:" not in line.replace("error running", ""), line  # a Python exception's name
    return [process.returncode for process in started], said


@pytest.mark.timeout(0)
@pytest.mark.parametrize("one, other", [("start", "start"), ("delete", "delete"), ("exec", "delete"), ("kill", "delete"),
                                        ("start", "delete"), ("state", "delete"), ("pause", "delete"), ("start", "kill"),
                                        ("exec", "exec"), ("list", "delete"), ("create", "delete"), ("update", "delete")])
def test_two_at_once(boxes, one, other, request):
    """Each ends, with one line at most; and what is left can be deleted."""
    words = {"delete": ["delete", "--force"], "update": ["update", "--pids-limit", "50"]}
    more = {"exec": ["true"], "kill": ["KILL"]}
    for turn in range(20 if request.config.getoption("long") else 2):
        box = boxes.box()
        if one != "create":
            box.must("create")
        if one not in ("create", "start"):
            box.must("start")

        def command(verb):
            name = [] if verb == "list" else [box.name]
            bundle = ["--bundle", str(box.folder)] if verb == "create" else []
            return [*words.get(verb, [verb]), *bundle, *name, *more.get(verb, [])]
        commands = [command(one), command(other)]
        if one == "create":  # whose first process would keep our pipe
            with open(os.devnull, "w") as null:
                started = [boxes.start(*line, stdout=null, stderr=null) for line in commands]
                assert set(all_end(started)) <= {0, 1}
        else:
            statuses, said = race(boxes, *(commands if turn % 2 else commands[::-1]))
            if one == other == "start":
                assert sorted(statuses) == [0, 1] and "already running" in "".join(said), said
        assert box.call("delete", options=["--force"]).returncode == 0
        assert wait_for(lambda: not box.left(), 5), box.left()


# ---------------------------------------------------------------- a create that fails

FAILS = {
    "no such program": lambda box: box.config["process"].update(args=["/nowhere"]),
    "no such directory for a mount": lambda box: box.config["mounts"].append(
        {"destination": "/x", "type": "bind", "source": "/nowhere", "options": ["bind"]}),
    "a file system that is none": lambda box: box.config["mounts"].append({"destination": "/x", "type": "nonsense"}),
    "a hook that fails": lambda box: box.config.update(hooks={"createContainer": [{"path": "/usr/bin/false"}]}),
    "a limit that cannot be": lambda box: box.config["linux"].update(resources={"cpu": {"cpus": "4000"}}),
    "a user in no map": lambda box: box.config["linux"].update(
        namespaces=box.config["linux"]["namespaces"] + [{"type": "user"}], uidMappings=[
            {"containerID": 5, "hostID": 100000, "size": 1}], gidMappings=[{"containerID": 5, "hostID": 100000, "size": 1}]),
    "a namespace that is gone": lambda box: box.config["linux"]["namespaces"].append(
        {"type": "cgroup", "path": "/proc/4194303/ns/cgroup"}),
    "a parameter that is none": lambda box: box.config["linux"].update(sysctl={"net.ipv4.no_such_thing": "1"}),
    "no such root": lambda box: box.config["root"].update(path="nowhere"),
    "a terminal that nobody takes": lambda box: box.config["process"].update(terminal=True),
    "a filter that cannot be": lambda box: box.config["linux"].update(seccomp={
        "defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/nowhere/socket",
        "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}]}),
    "a limit above ours": lambda box: box.config["process"].update(
        rlimits=[{"type": "RLIMIT_NOFILE", "soft": 1 << 40, "hard": 1 << 40}]),
}


@pytest.mark.parametrize("reason", FAILS)
def test_a_create_that_fails_leaves_nothing(boxes, reason):
    box = boxes.box()
    good = json.dumps(box.config)
    FAILS[reason](box)
    box.write()
    result = box.call("create")
    assert result.returncode == 1 and result.stderr.count("\n") == 1 and result.stderr.startswith("crabcan-oci: "), result
    assert not box.left(), box.left()
    box.config = json.loads(good)
    box.write()
    box.must("create")
    box.must("delete", options=["--force"])
    assert not box.left()


@pytest.mark.parametrize("path", ["nowhere/pid", "", "/proc/pid", "state"])
def test_a_pid_file_that_cannot_be_written(boxes, path):
    """Then there is nobody who knows the process: it ends."""
    box = boxes.box()
    result = box.call("create", options=["--pid-file", boxes.folder / path if path[:1] != "/" else path])
    assert result.returncode == 1 and result.stderr.count("\n") == 1, result
    assert wait_for(lambda: not box.left(), 5), box.left()


# ---------------------------------------------------------------- hooks

BAD = {"fails": ["sh", "-c", "echo why >&2; exit 3"], "hangs": ["sleep", "60"], "is killed": ["sh", "-c", "kill -SEGV $$"],
       "prints a lot": ["sh", "-c", "yes | head -c 3000000 >&2; exit 1"], "is not there": ["/nowhere"],
       "is no program": ["/usr"]}
SAYS = {"fails": "exit status 3: why", "hangs": "longer than 1 s", "is killed": "segmentation fault", "prints a lot": "exit status 1",
        "is not there": "o such file", "is no program": "ermission denied"}


@pytest.mark.parametrize("moment", HOOKS)
def test_a_hook_that_misbehaves(boxes, moment):
    """Before the program runs it is an error, and nothing is left; after its end it is only told."""
    for kind, words in BAD.items():
        path = words[0] if words[0][0] == "/" else f"/usr/bin/{words[0]}"
        box = boxes.box(lambda config: config.update(hooks={moment: [{"path": path, "args": words, "timeout": 1}]}))
        begun = time.monotonic()
        results = [box.call("create")]
        if not results[0].returncode:
            results.append(box.call("start"))
        told = box.call("delete", options=["--force"])
        line = "".join(result.stderr for result in results) if moment != "poststop" else told.stderr
        where = (moment, kind, results, told)
        assert [result.returncode for result in results] == {"poststop": [0, 0], "poststart": [0, 1], "startContainer": [0, 1]
                                                             }.get(moment, [1]), where
        assert moment in line and SAYS[kind] in line and line.count("\n") == 1 and len(line) < 13000, where
        assert told.returncode == 0 and time.monotonic() - begun < 20, where
        assert wait_for(lambda: not box.left(), 5), (where, box.left())


@pytest.mark.parametrize("moment, command", [("prestart", "create"), ("createRuntime", "create"), ("createContainer", "create"),
                                             ("createRuntime", "run"), ("poststart", "start"), ("poststart", "run"),
                                             ("poststop", "delete")])
def test_a_signal_ends_a_hook_that_hangs(boxes, moment, command):
    """It may have no timeout; whoever has run it ends, with it, and leaves nothing."""
    number = signal.SIGINT if moment == "createRuntime" else signal.SIGTERM
    begun = boxes.folder / "begun"
    box = boxes.box()
    box.config["hooks"] = {moment: [{"path": "/bin/sh", "args": [
        "sh", "-c", f"touch {begun}; while sleep 1; do :; done", f"hook-of-{box.name}"]}]}
    box.write()
    if command in ("start", "delete"):
        box.must("create")
    if command == "delete":
        box.must("kill", "KILL")
        assert wait_for(lambda: box.state()["status"] == "stopped", 10)
    process = boxes.start(command, *(["--bundle", box.folder] if command in ("create", "run") else []), box.name,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        assert wait_for(begun.exists, 10) and processes(f"hook-of-{box.name}")
        process.send_signal(number)
        assert process.wait(10) == 128 + number
    finally:
        process.kill()
        process.wait()
    assert wait_for(lambda: not processes(f"hook-of-{box.name}"), 5)  # a child that was just born has its words, too
    assert wait_for(lambda: not box.left(), 5), box.left()


def test_what_a_hook_prints_is_kept_by_nobody(boxes):
    """But for its first 4 KiB: else one that never ends would fill the machine's memory."""
    size = boxes.folder / "size"
    for moment in "createRuntime", "createContainer":
        box = boxes.box(lambda config: config.update(hooks={moment: [{"path": "/bin/sh", "args": [
            "sh", "-c", f"yes | head -c 3000000 >&2; stat -Lc %s /proc/self/fd/2 >{size}; exit 1"]}]}))
        said = box.call("create").stderr
        assert "exit status 1: y" in said and len(said) < 13000
        assert int(size.read_text()) < 100_000, "it is in a file of ours"


def test_all_hooks_run_in_their_namespaces(boxes):
    """Who is where: outside but for createContainer and startContainer."""
    log = boxes.folder / "log"
    log.touch()

    def change(config):
        bind(config)
        config["hooks"] = {moment: [{"path": "/bin/sh", "args": ["sh", "-c", f"echo {moment} $(readlink /proc/self/ns/mnt) "
                                     f"$(pwd) >>{'/log' if moment == 'startContainer' else log}"]}] for moment in HOOKS}

    def bind(config):
        config["mounts"].append({"destination": "/log", "type": "bind", "source": str(log), "options": ["bind"]})
    box = boxes.box(change).up()
    inside = os.readlink(f"/proc/{box.pid}/ns/mnt")
    box.must("delete", options=["--force"])
    rows = [line.split() for line in log.read_text().splitlines()]
    assert [row[0] for row in rows] == list(HOOKS)
    assert [row[1] == inside for row in rows] == [False, False, True, True, False, False]


# ---------------------------------------------------------------- who waits for whom

def test_nobody_is_waited_for_for_ever(boxes):
    """Neither whoever makes a container, and has stopped, nor an engine that takes no calls."""
    begun, full = boxes.folder / "begun", boxes.folder / "socket"
    held = boxes.box(lambda config: config.update(hooks={"createRuntime": [
        {"path": "/bin/sh", "args": ["sh", "-c", f"touch {begun}; exec sleep 600"]}]}))
    nothing = {"stdout": subprocess.DEVNULL}
    creator = boxes.start("create", "--bundle", held.folder, held.name, **nothing, stderr=subprocess.DEVNULL)
    listener, callers = socket.socket(socket.AF_UNIX), []
    listener.bind(str(full))
    listener.listen(0)
    with contextlib.suppress(BlockingIOError):  # until its queue is full
        while True:
            callers.append(socket.socket(socket.AF_UNIX))
            callers[-1].setblocking(False)
            callers[-1].connect(str(full))
    terminal = boxes.box(lambda config: config["process"].update(terminal=True))
    asks = boxes.box(lambda config: config["linux"].update(seccomp={
        "defaultAction": "SCMP_ACT_ALLOW", "listenerPath": str(full),
        "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}]}))
    calls = []
    try:
        assert wait_for(begun.exists, 10)
        calls += [boxes.start("delete", "--force", held.name, **nothing), boxes.start("kill", held.name, **nothing),
                 boxes.start("create", "--bundle", terminal.folder, "--console-socket", full, terminal.name, **nothing),
                 boxes.start("create", "--bundle", asks.folder, asks.name, **nothing)]
        said = [call.communicate(timeout=20)[1] for call in calls]
        assert [call.returncode for call in calls] == [1] * 4, said
        for line in said[:2]:
            assert f"process {creator.pid} is at work on it" in line, said
        for line in said[2:]:
            assert str(full) in line and "takes no calls" in line, said
        creator.send_signal(signal.SIGTERM)
        assert creator.wait(10) == 143
    finally:
        for process in (creator, *calls):
            process.kill()
            process.wait()
        for one in (listener, *callers):
            one.close()
    assert not terminal.left() + asks.left() + held.left()


# ---------------------------------------------------------------- paths

def test_relative_paths_and_links_on_the_way(boxes):
    """--root, --bundle and root.path may be relative, and lead through links; what is printed is whole."""
    box = boxes.box(lambda config: config["root"].update(path="way/rootfs"))
    (box.folder / "way").symlink_to(".")
    (boxes.folder / "link").symlink_to(box.folder.name)
    (boxes.folder / "real").mkdir()
    (boxes.folder / "state link").symlink_to("real")
    words = [*boxes.python, "-m", "crabcan_steps.oci", "--root", "state link"]
    options = boxes.options() | {"cwd": str(boxes.folder), "stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
    subprocess.run([*words, "create", "--bundle", "./link/../link/", "box"], check=True, **options | {"stderr": None})
    try:
        said = subprocess.run([*words, "state", "box"], check=True, **options | {"stdout": subprocess.PIPE}).stdout
        assert json.loads(said)["bundle"] == str(box.folder) and json.loads(said)["rootfs"] == str(box.rootfs)
        boxes.root = boxes.folder / "real"  # the same place, by its own name
        assert json.loads(boxes.oci("state", "box").stdout)["status"] == "created"
    finally:
        subprocess.run([*words, "delete", "--force", "box"], check=True, **options)


def test_exit_statuses(all_boxes):
    """128+n for a signal; of exec as of run."""
    for script, status in (("exit 0", 0), ("exit 42", 42), ("exit 255", 255), ("kill -TERM $$; sleep 9", None), ("kill -9 $$", None)):
        box = all_boxes.box(lambda config: config["process"].update(args=["sh", "-c", script]))
        if status is not None:
            assert box.call("run").returncode == status
    box = all_boxes.box().up()
    for script, status in (("exit 0", 0), ("exit 42", 42), ("kill -TERM $$", 143), ("kill -9 $$", 137), ("kill -SEGV $$", 139)):
        assert box.call("exec", "sh", "-c", script).returncode == status, script
    running = box.boxes.start("exec", box.name, "sleep", "50")
    assert wait_for(lambda: any("sleep" in text(f"/proc/{pid}/comm") and pid != str(box.pid)
                                for pid in text("/proc/self/mounts") and filter(str.isdigit, os.listdir("/proc"))
                                if os.path.exists(f"/proc/{pid}") and inside(pid, box)), 10)
    box.must("delete", options=["--force"])
    running.communicate(timeout=30)
    assert running.returncode == 137


def inside(pid, box):
    try:
        return os.readlink(f"/proc/{pid}/ns/pid") == os.readlink(f"/proc/{box.record['pid']}/ns/pid")
    except OSError:
        return False
