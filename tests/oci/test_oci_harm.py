"""Files that are made to harm, and states of others: each tried on ours."""
import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from cells import (SETS, all_boxes, bind, boxes, folder_of_user, refused, status, text,  # noqa: F401
                   without)
from conftest import wait_for


# ---------------------------------------------------------------- files that are made to harm

@pytest.mark.parametrize("harm", ["fifo", "huge", "link to itself", "link outside", "directory", "no text", "odd numbers"])
@pytest.mark.parametrize("proc", [True, False], ids=["with /proc", "with a /proc of the image's"])
def test_a_passwd_that_is_none(boxes, harm, proc):
    """HOME is looked up in it; nothing hangs, nothing of the machine's is read."""
    box = boxes.box(lambda config: config["process"].update(args=["sh", "-c", "echo $HOME"]))
    etc = box.rootfs / "etc"
    etc.mkdir()
    passwd = etc / "passwd"
    (boxes.folder / "passwd").write_text("root:x:0:0:root:/outside:/bin/sh\n")
    if harm == "fifo":
        os.mkfifo(passwd)
    elif harm == "huge":
        with open(passwd, "w") as file:
            file.truncate(1 << 40)
    elif harm == "link to itself":
        passwd.symlink_to("passwd")
    elif harm == "link outside":
        passwd.symlink_to(boxes.folder / "passwd")
    elif harm == "directory":
        passwd.mkdir()
    elif harm == "no text":
        passwd.write_bytes(bytes(range(256)) * 9 + b"\n\xff:\xff:0:\xff::\n::::::\n")
    else:
        passwd.write_text("root:x:0:99999999999999999999:::\nroot:x:-1:0::::\n0:x:٣:0:a:b:c\n")
    if not proc:  # every descriptor leads to a FIFO there
        without(box.config, "/proc")
        fds = box.rootfs / "proc/self/fd"
        fds.mkdir(parents=True)
        for fd in range(100):
            os.mkfifo(fds / str(fd))
        box.write()
    result = box.call("run", timeout=20)
    assert (result.returncode, result.stdout) == (0, "/\n"), result


def test_config_as_a_fifo(boxes):
    box = boxes.box()
    (box.folder / "config.json").unlink()
    os.mkfifo(box.folder / "config.json")
    refused(box, "is no regular file", timeout=20)


@pytest.mark.parametrize("kind", ["mount", "network", "pid", "user", "cgroup", "uts", "ipc"])
def test_a_namespace_that_is_a_fifo_or_a_file(boxes, kind):
    for make in os.mkfifo, Path.touch:
        path = boxes.folder / f"space-{make.__name__}"
        make(path)

        def change(config):
            spaces = config["linux"]["namespaces"]
            spaces[:] = [space for space in spaces if space["type"] != kind] + [{"type": kind, "path": str(path)}]
        refused(boxes.box(change), "setns", timeout=20)


def test_a_log_that_nobody_reads(boxes):
    os.mkfifo(boxes.folder / "log")
    result = boxes.oci("--log", boxes.folder / "log", "state", "nothing", timeout=20)
    assert result.returncode == 1 and "does not exist" in result.stderr


def test_the_pid_file_follows_no_link(boxes):
    """In a directory where others may write its other name is known before."""
    (boxes.folder / "precious").write_text("precious")
    places = boxes.folder / "public"
    places.mkdir()
    box = boxes.box()
    for pid in range(os.getpid(), os.getpid() + 3000):
        (places / f".pid.{pid % 4194304}").symlink_to(boxes.folder / "precious")
    (places / "pid").symlink_to(boxes.folder / "precious")
    box.call("create", options=["--pid-file", places / "pid"])
    assert (boxes.folder / "precious").read_text() == "precious"


def test_tmpcopyup_copies_and_follows_nothing(boxes):
    outside = boxes.folder / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    box = boxes.box(lambda config: config["mounts"].append(
        {"destination": "/data", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup", "ro", "size=1m"]}))
    data = box.rootfs / "data/in"
    data.mkdir(parents=True)
    (data / "link").symlink_to(outside)
    (data / "up").symlink_to("../" * 12 + str(outside)[1:] + "/secret")
    (data / "file").write_text("file\n")
    (data / "file").chmod(0o4750)
    os.mkfifo(data / "fifo")
    os.mknod(data / "node", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    said = box.run("cd /data/in; readlink link; cat link/secret up; cat file; stat -c %a file; stat -c %F fifo node; "
                   "touch file || echo no")
    assert said.splitlines() == [str(outside), "file", "4750", "fifo", "character special file", "no"]


def test_a_ptmx_of_the_image_is_not_the_machines(boxes):
    """As a device in its /dev it would open a terminal of the machine's."""
    box = boxes.box()
    without(box.config, "/dev")
    (box.rootfs / "dev").mkdir()
    os.mknod(box.rootfs / "dev/ptmx", stat.S_IFCHR | 0o666, os.makedev(5, 2))
    box.config["mounts"].sort(key=lambda mount: mount["destination"])
    assert box.run("readlink /dev/ptmx") == "pts/ptmx\n"


# ---------------------------------------------------------------- states

def test_a_directory_of_states_of_somebody_else_s(boxes, user):
    """Records say which programs run after the end: nobody else may write them."""
    trap = boxes.folder / "trap"
    box = boxes.box(lambda config: config.update(hooks={"poststop": [
        {"path": "/usr/bin/touch", "args": ["touch", str(trap)]}]}))
    box.must("create")
    for harm, back in ((lambda: os.chown(boxes.root, user.uid, -1), lambda: os.chown(boxes.root, 0, -1)),
                       (lambda: os.chmod(boxes.root, 0o777), lambda: os.chmod(boxes.root, 0o711))):
        harm()
        for words in ("create", "--bundle", box.folder, "other"), ("delete", "--force", box.name), ("list",), (
                "state", box.name), ("kill", box.name), ("exec", box.name, "true"), ("start", box.name):
            result = boxes.oci(*words)
            assert result.returncode in (1, 255) and "belongs to somebody else" in result.stderr, (words, result)
        assert not trap.exists()
        back()
    box.must("delete", options=["--force"])
    assert trap.exists()


def test_the_default_place_of_an_ordinary_user_is_no_link(user, folder_of_user):
    """Without XDG_RUNTIME_DIR it is in /tmp, where somebody else may have been before."""
    place = Path(f"/tmp/crabcan-{user.uid}")
    place.symlink_to(folder_of_user)
    try:
        result = user.script("import os; os.environ.pop('XDG_RUNTIME_DIR', None); from crabcan_steps.oci.__main__ import main\n"
                             "raise SystemExit(main(['list']))")
        assert result.returncode == 1 and result.stderr.count("\n") == 1, result
        assert not os.listdir(folder_of_user)
    finally:
        place.unlink()


def test_directories_on_the_way_are_only_ours(boxes):
    """Whatever our caller's umask is."""
    boxes.root = boxes.folder / "one/two"
    box = boxes.box(lambda config: config["process"].update(args=["true"]))
    box.must("run", umask=0)
    assert not (boxes.folder / "one").stat().st_mode & 0o022


@pytest.mark.parametrize("name", ["a/b", "../x", "..", ".", "", "/", "x/../../y", "a\nb", "a b", "x" * 256, "é", "\udcff"])
def test_ids_that_are_paths(boxes, name):
    box = boxes.box()
    for words in ("create", "--bundle", box.folder), ("start",), ("delete", "--force"), ("state",), ("kill",), ("exec",):
        result = boxes.oci(*words, "--", os.fsencode(name).decode(errors="surrogateescape"), *(["true"] if words == ("exec",) else []))
        assert result.returncode in (1, 255) or words[0] == "delete" and result.returncode == 0, (words, result)
        assert result.stderr.count("\n") <= 1, result
    assert not boxes.root.exists() or not os.listdir(boxes.root)
    assert not list(boxes.folder.glob("y")) and not list(boxes.folder.glob("x"))


def test_a_name_that_is_no_text(boxes):
    """Of a process, in /proc/PID/stat; of somebody's mount, in mountinfo."""
    odd = os.fsencode(boxes.folder) + b"/\xff\xfe"
    os.mkdir(odd)
    box = boxes.box(lambda config: bind(config, boxes.folder, "/mnt"))
    shutil.copy("/usr/bin/sleep", odd + b"/\xff")
    box.config["process"]["args"] = ["sh", "-c", "exec /mnt/$(printf '\\377\\376')/$(printf '\\377') 100"]
    box.write()
    box.up()
    assert wait_for(lambda: b"\xff" in Path(f"/proc/{box.record['pid']}/stat").read_bytes())
    assert box.state()["status"] == "running"
    box.must("exec", "true")
    box.must("kill", "KILL")
    assert wait_for(lambda: box.state()["status"] == "stopped")
    box.must("delete")
    os.mkdir(odd + b"m")
    subprocess.run([b"mount", b"-t", b"tmpfs", b"tmpfs", odd + b"m"], check=True)
    try:
        assert boxes.box(lambda config: config["mounts"].append(
            {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup"})).run("echo well") == "well\n"
    finally:
        subprocess.run([b"umount", odd + b"m"], check=True)


def test_descriptors_of_our_callers_caller_are_not_passed_on(boxes):
    """LISTEN_FDS is for who LISTEN_PID says (sd_listen_fds(3)); an engine may have it from systemd."""
    box = boxes.box(lambda config: config["process"].update(args=["sh", "-c", "ls -d /proc/self/fd/3 2>&1"]))
    words = ["sh", "-c", 'exec 3</etc/hostname; exec "$@"', "sh", *boxes.words("run", "--bundle", box.folder, box.name)]
    for pid, seen in (("1", False), (None, True)):
        environment = {"LISTEN_FDS": "1"} | ({"LISTEN_PID": pid} if pid else {})
        said = subprocess.run(words, **boxes.options(environment, stdin=subprocess.DEVNULL)).stdout
        assert said and ("No such file" not in said) is seen, said
