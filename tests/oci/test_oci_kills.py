"""crabcan-oci, killed before any of its calls: delete --force then leaves nothing, and the name is free.

strace (1) sends the signal, at the N-th call of a name; what was started stays untraced.
"""
import collections
import os
import re
import subprocess

import pytest
from cells import boxes  # noqa: F401
from conftest import wait_for

pytestmark = pytest.mark.slow  # left out by --fast
BEGINS = {"create": r"mkdirat\(.*kill", "start": "flock", "delete": "flock", "exec": r"/ns/"}  # nothing before


def calls_of(command, log):
    """(name, how many-th) of each call since it has begun to do something."""
    counts, found, begun = collections.Counter(), [], False
    for line in log.read_text(errors="replace").splitlines():
        name = re.match(r"(\w+)\(", line)
        if not name:
            continue
        counts[name[1]] += 1
        begun = begun or bool(re.search(BEGINS[command], line))
        if begun and name[1] not in ("exit_group", "restart_syscall"):
            found.append((name[1], counts[name[1]]))
    return found


def killed(box, log, words, inject=()):
    """Runs a command below strace; returns its status."""
    trace = ["strace", "-qq", "-o", str(log), *inject]
    boxes = box.boxes
    result = subprocess.run([*trace, *boxes.words(*words)], **boxes.options(
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60))
    return result.returncode


def words_of(box, command):
    return {"create": ("create", "--bundle", box.folder, box.name), "start": ("start", box.name),
            "delete": ("delete", "--force", box.name), "exec": ("exec", box.name, "true")}[command]


def ready(boxes, command):  # noqa: F811
    box = boxes.box(name=f"kill{os.getpid()}-{boxes.count}")
    if command != "create":
        box.must("create")
    if command in ("delete", "exec"):
        box.must("start")
    return box


@pytest.mark.timeout(0)
@pytest.mark.parametrize("command", BEGINS)
def test_killed_before_any_call(boxes, command, request):  # noqa: F811
    log = boxes.folder / "log"
    for _ in range(2):  # the first may have Python's files to compile
        box = ready(boxes, command)
        assert killed(box, log, words_of(box, command)) == 0
        box.call("delete", options=["--force"])
    calls = calls_of(command, log)
    assert len(calls) > 20
    missed, chosen = 0, calls if request.config.getoption("long") else calls[::len(calls) // 9]
    for name, number in chosen:
        box = ready(boxes, command)
        status = killed(box, log, words_of(box, command),
                        ["-e", f"trace={name}", "-e", f"inject={name}:signal=SIGKILL:when={number}"])
        where = (command, name, number, status)
        missed += status == 0
        if command == "start" and status:
            settle(box, where)
        result = box.call("delete", options=["--force"])
        assert result.returncode == 0 and not result.stderr, (where, result)
        assert wait_for(lambda: not box.left(), 5), (where, box.left())
        box.must("create")  # the name is free
        box.must("delete", options=["--force"])
        assert not box.left(), where
    assert missed * 10 <= len(chosen), missed
    print(command, len(calls), "calls", len(chosen), "kills", missed, "missed")


def settle(box, where):
    """After a `start` that was killed it has been started, or can be."""
    if box.state()["status"] == "created":
        box.must("start")
    assert wait_for(lambda: box.state()["status"] == "running"), where
    assert "already running" in box.call("start").stderr, where


def write_of(log, word):
    """The how-many-th write it is that says a word."""
    writes = [line for line in log.read_text(errors="replace").splitlines() if line.startswith("write(")]
    return 1 + next(at for at, line in enumerate(writes) if f', "{word}"' in line)


@pytest.mark.parametrize("how", ["killed", "failed", "ended", "covered"])
def test_what_an_engine_has_mounted_stays(boxes, how):  # noqa: F811
    """In the machine's mount namespace the root hangs at its own path, over an engine's own mount."""
    log = boxes.folder / "log"
    box = boxes.box(lambda config: config["linux"].update(namespaces=[{"type": "pid"}]))
    box.config["mounts"] = [mount for mount in box.config["mounts"] if mount["destination"] == "/usr"]
    del box.config["hostname"]
    box.write()
    theirs = [subprocess.run(["mount", "--bind", box.rootfs, box.rootfs], check=True)]  # as containerd's overlay
    try:
        before = hanging(box)
        for _ in range(2):  # the first may have Python's files to compile
            box.call("delete", options=["--force"])
            assert hanging(box) == before
            assert killed(box, log, words_of(box, "create")) == 0
        if how == "killed":  # when there is a record, and nothing is mounted yet
            box.must("delete", options=["--force"])
            number = write_of(log, "go")
            assert killed(box, log, words_of(box, "create"), [
                "-e", "trace=write", "-e", f"inject=write:signal=SIGKILL:when={number}"]) < 0
            assert box.record["mounted"] and hanging(box) == before
        elif how == "failed":
            box.must("delete", options=["--force"])
            box.config["process"]["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 1 << 40, "hard": 1 << 40}]
            box.write()
            assert box.call("create").returncode == 1
        elif how == "covered":  # by somebody else, meanwhile
            theirs.append(subprocess.run(["mount", "-t", "tmpfs", "none", box.rootfs], check=True))
            before = hanging(box)
        told = box.call("delete", options=["--force"])
        assert told.returncode == 0 and ("something was mounted over" in told.stderr) == (how == "covered"), told
        assert hanging(box) == before
    finally:
        while hanging(box):
            subprocess.run(["umount", "-l", box.rootfs], check=True)


def hanging(box):
    """The numbers of the mounts at its root, as the tests see them."""
    lines = [line.split() for line in open("/proc/self/mountinfo", errors="replace")]
    return [line[0] for line in lines if line[4] == str(box.rootfs)]
