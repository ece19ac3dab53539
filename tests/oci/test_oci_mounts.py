"""Mounts of a bundle that shift owners, and the machine's /dev bound into one; sd_notify from within."""
import json
import os
import socket
import subprocess
from pathlib import Path

import pytest
from boxes import Engine
from cells import boxes  # noqa: F401

MAPS = [{"containerID": 0, "hostID": 100000, "size": 65536}]
NOTIFY = "import os, socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); " \
         "s.sendto(b'STATUS=x\\nREADY=1', os.environ['NOTIFY_SOCKET']); print(os.environ['NOTIFY_SOCKET'])"


@pytest.fixture
def engine(root, folder):
    engine = Engine(root, folder)
    yield engine
    engine.clear()


def test_owners_are_shifted_by_the_containers_map_or_the_mounts_own(engine, folder):
    for name in "mine", "theirs":
        (folder / name).mkdir()
        (folder / name / "file").touch()
    config = engine.bundle("sh", "-c", "stat -c %u /mine/file /theirs/file; touch /mine/new")
    for name in ("", "rootfs", *(f"rootfs/{x}" for x in ("usr", "tmp", "proc", "dev", "sys"))):
        os.chown(engine.box / name, 100000, 100000)
    for name in "mine", "theirs":
        (engine.box / "rootfs" / name).mkdir()
    config["linux"]["namespaces"] += [{"type": "user"}]
    config["linux"]["uidMappings"] = config["linux"]["gidMappings"] = MAPS
    own = [{"containerID": 0, "hostID": 100007, "size": 10}]
    config["mounts"] += [
        {"destination": "/mine", "source": str(folder / "mine"), "options": ["bind", "idmap"]},
        {"destination": "/theirs", "source": str(folder / "theirs"), "options": ["rbind", "ridmap"],
         "uidMappings": own, "gidMappings": own}]
    engine.write(config)
    assert engine.does("run", "--bundle", engine.box, "one").split() == ["0", "7"]
    assert os.stat(folder / "mine/new").st_uid == 0, "on the machine it is still root's"


def test_nothing_is_made_in_the_machines_own_dev(engine):
    before = {name: os.lstat(f"/dev/{name}") for name in ("ptmx", "null", "tty")}
    config = engine.bundle("ls", "/dev")
    config["mounts"] = [m for m in config["mounts"] if not m["destination"].startswith("/dev")]
    config["mounts"].insert(1, {"destination": "/dev", "source": "/dev", "options": ["rbind"]})
    config["linux"]["devices"] = [{"path": "/dev/crabcan-test", "type": "c", "major": 1, "minor": 3}]
    engine.write(config)
    assert "null" in engine.does("run", "--bundle", engine.box, "one")
    assert not os.path.lexists("/dev/crabcan-test")
    for name, status in before.items():
        now = os.lstat(f"/dev/{name}")
        assert (now.st_mode, now.st_rdev, now.st_ino) == (status.st_mode, status.st_rdev, status.st_ino), name


def test_ready_is_passed_on_with_the_pid_that_is_true_outside(engine, folder):
    engine.bundle("/usr/bin/python3", "-I", "-c", NOTIFY)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ours:
        ours.bind(str(folder / "us"))
        ours.settimeout(20)
        environment = {**engine.who.environment, "NOTIFY_SOCKET": str(folder / "us")}
        out = open(folder / "out", "w+")
        for words in ["create", "--bundle", str(engine.box), "one"], ["start", "one"]:
            assert subprocess.run([*engine.words, *words], env=environment, stdin=subprocess.DEVNULL, stdout=out,
                                  cwd="/", timeout=60).returncode == 0
        pid = json.loads(Path(engine.root, "one/state.json").read_text())["pid"]
        assert ours.recv(999).decode() == f"READY=1\nMAINPID={pid}"
        engine.becomes("one", "stopped")
        assert Path(folder, "out").read_text() == "/run/notify/notify.sock\n"


def test_places_are_made_for_everybody_whatever_our_callers_umask_is(engine):
    config = engine.bundle("stat", "-c", "%a", "/made", "/made/deeper", "/dev/null")
    config["mounts"].append({"destination": "/made/deeper", "type": "tmpfs", "source": "tmpfs", "options": ["mode=700"]})
    config["root"]["readonly"] = False
    engine.write(config)
    before = os.umask(0o077)
    try:
        assert engine.does("run", "--bundle", engine.box, "one").split() == ["755", "700", "666"]
    finally:
        os.umask(before)


@pytest.mark.parametrize("mapped", [False, True], ids=["", "in a user namespace"])
@pytest.mark.parametrize("words", [
    {"maskedPaths": ["/hidden"], "readonlyPaths": ["/hidden"]}, {"readonlyPaths": ["/dev/null"]},
    {"readonlyPaths": ["/dev/null"], "rootfsPropagation": "shared"},
    {"maskedPaths": ["/dev/zero"], "rootfsPropagation": "rshared"}])
def test_what_is_mounted_over_the_machines_own_does_not_reach_the_machine(boxes, words, mapped):  # noqa: F811
    """Whose mounts are shared, as systemd has them: a copy of /dev/null is its peer until it is made private."""
    box = boxes.box(lambda config: config["linux"].update(words))
    (box.rootfs / "hidden").touch()
    if mapped:
        box.map()
    before = Path("/proc/self/mountinfo").read_text()
    box.up()
    try:
        assert Path("/proc/self/mountinfo").read_text() == before
    finally:
        box.must("delete", options=["--force"])


@pytest.mark.parametrize("name", ["/dev/is-nowhere-else", "/dev/null"])
def test_a_device_where_the_kernel_lets_nobody_make_any(boxes, name):  # noqa: F811
    """In a user namespace: the machine's own is bound, and what it lacks is made outside, with its owner."""
    box = boxes.box(lambda config: config["linux"].update(devices=[
        {"path": name, "type": "c", "major": 1, "minor": 3, "fileMode": 0o626, "uid": 10, "gid": 11}])).map()
    said = box.run(f"stat -c '%t:%T' {name}; stat -c '%a %u:%g' {name}; echo x >{name} && echo written")
    assert said.splitlines()[::2] == ["1:3", "written"]
    assert name == "/dev/null" or said.splitlines()[1] == "626 10:11"
    assert not box.left()


def test_a_tmpfs_is_as_open_as_the_directory_that_it_covers(boxes):  # noqa: F811
    """docker's --tmpfs /root says no mode; runc and crun look, too. Where there was none it is tmpfs's own."""
    given = {"/root": [], "/asked": ["mode=750"], "/root/in/it": [], "/link": ["ro"], "/copied": ["tmpcopyup"]}
    box = boxes.box(lambda config: config["mounts"].extend(
        {"destination": name, "type": "tmpfs", "source": "tmpfs", "options": options} for name, options in given.items()))
    for name, mode in ("root", 0o700), ("asked", 0o711), ("real", 0o3712), ("copied", 0o705):
        (box.rootfs / name).mkdir()
        (box.rootfs / name).chmod(mode)
    (box.rootfs / "link").symlink_to("/real")
    box.config["process"]["args"] = ["stat", "-c", "%a", "/root", "/asked", "/root/in/it", "/real", "/copied"]
    box.write()
    assert box.must("run").split() == ["700", "750", "1777", "3712", "705"]
