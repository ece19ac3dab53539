"""Attacks on runtimes that have worked on others, each tried on ours: those of CVEs, and their kind.

Where a guard stands, its test was seen to fail with the guard taken out.
"""
import contextlib
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cells import (SETS, all_boxes, bind, boxes, folder_of_user, refused, status, text,  # noqa: F401
                   without)
from conftest import CHECKOUT, wait_for


# ---------------------------------------------------------------- CVE-2019-5736: the interpreter

@pytest.fixture
def own_python(tmp_path):
    """An interpreter that belongs to whoever runs it: a copy, never the machine's."""
    folder = tmp_path / "python"
    subprocess.run([sys.executable, "-m", "venv", "--copies", "--without-pip", folder], check=True)
    program = folder / "bin/python3"
    assert not program.is_symlink() and program.stat().st_ino != os.stat(sys.executable).st_ino
    return program


WRITE = """import os, sys, time
end = time.time() + float(sys.argv[2])
while time.time() < end:
    for pid in [sys.argv[1]] if sys.argv[1] else filter(str.isdigit, os.listdir("/proc")):
        if pid == str(os.getpid()) and not sys.argv[1]: continue
        try: fd = os.open(f"/proc/{pid}/exe", os.O_RDONLY)
        except OSError: continue
        for _ in range(20):
            try:
                os.write(os.open(f"/proc/self/fd/{fd}", os.O_WRONLY), b"#!/bin/pwned")
                print("written")
            except OSError: time.sleep(.002)
        os.close(fd)
"""


FIND = "import os, prctl, pyseccomp; print(*(os.path.dirname(x.__file__) for x in (prctl, pyseccomp)), sep=':')"


@pytest.mark.parametrize("how", ["command", "script", "watcher"])
def test_the_interpreter_cannot_be_overwritten(boxes, own_python, how):
    """As the command, as the #! line of one, or held by somebody who watches what exec starts."""
    site = subprocess.run([sys.executable, "-c", FIND],
                          capture_output=True, text=True, check=True).stdout
    boxes.python, boxes.path = [str(own_python)], f"{CHECKOUT}:{site.strip()}"
    before = own_python.read_bytes()
    share = boxes.folder / "share"
    share.mkdir()
    (share / "attack.py").write_text(WRITE)
    (share / "script").write_text("#!/proc/self/exe\n" + HOLD)
    (share / "script").chmod(0o755)
    box = boxes.box(lambda config: [config["process"]["capabilities"].update({
        name: ["CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE"] for name in SETS}), bind(config, share, "/mnt")])
    if how == "watcher":
        box.config["process"]["args"] = ["python3", "/mnt/attack.py", "", "3"]
        box.write()
        box.up()
        for _ in range(6):
            box.call("exec", "sleep", "0.1")
    else:
        box.up()
        # what is executed hands itself over to a process that goes on trying when it has ended
        first = ["/mnt/script"] if how == "script" else ["/proc/self/exe", "-I", "-S", "-c", HOLD]
        result = box.call("exec", *first)
        assert result.returncode == 0, result.stderr
        time.sleep(1)
    box.must("delete", options=["--force"])
    assert own_python.read_bytes() == before


HOLD = """import os, time
fd = os.open("/proc/self/exe", os.O_RDONLY)
if os.fork() == 0:
    os.set_inheritable(fd, True)
    os.execv("/bin/sh", ["sh", "-c", f"sleep .2; for i in 1 2 3; do echo pwned >/proc/self/fd/{fd}; done 2>/dev/null"])
"""


def test_who_waits_cannot_be_looked_into(boxes):
    """Whoever shares its PID namespace, as containers of one pod may, and has as much power as it."""
    box = boxes.box()
    box.must("create")
    assert not readable(box.pid)
    box.must("start")
    assert wait_for(lambda: text(f"/proc/{box.pid}/comm") == "sleep\n") and readable(box.pid)


def readable(pid):
    """Whether root with just the container's capabilities may look into a process (ptrace(2))."""
    mine = ["setpriv", "--bounding-set=-all,+chown,+kill,+setuid,+setgid", "--"]
    return subprocess.run([*mine, "cat", f"/proc/{pid}/environ"], capture_output=True).returncode == 0


# ---------------------------------------------------------------- CVE-2024-21626: a descriptor as cwd

@contextlib.contextmanager
def open_root():
    top = os.open("/", os.O_RDONLY)
    try:
        yield top
    finally:
        os.close(top)


def test_no_descriptor_of_ours_is_a_working_directory(boxes):
    """create looks the directory up when it is made, and again when all is closed; so does exec."""
    with open_root() as top:
        box = boxes.box().up()
        for fd in range(3, 16):
            made = boxes.box(lambda config: config["process"].update(cwd=f"/proc/self/fd/{fd}"))
            refused(made, "self/fd", pass_fds=(top,))
            for words in ["--cwd", f"/proc/self/fd/{fd}", box.name, "pwd"], [box.name, f"/proc/self/fd/{fd}/bin/true"]:
                result = boxes.oci("exec", *words, pass_fds=(top,))
                assert result.returncode == 255 and not result.stdout and "self/fd" in result.stderr, result


def test_preserve_fds_of_a_directory(boxes):
    """The program gets it, as was asked; it is no way to start elsewhere."""
    with open_root() as top:
        keep = ["--preserve-fds", str(top - 2)]
        box = boxes.box(lambda config: config["process"].update(cwd=f"/proc/self/fd/{top}"))
        refused(box, "symbolic links", options=keep, pass_fds=(top,))
        box = boxes.box(lambda config: config["process"].update(args=["readlink", f"/proc/self/fd/{top}"]))
        assert box.must("run", options=keep, pass_fds=(top,)) == "/\n"


def test_a_link_to_a_descriptor_is_no_working_directory(boxes):
    box = boxes.box(lambda config: config["process"].update(cwd="/way"))
    for fd in range(3, 12):
        with contextlib.suppress(FileNotFoundError):
            (box.rootfs / "way").unlink()
        (box.rootfs / "way").symlink_to(f"/proc/self/fd/{fd}")
        refused(box, "symbolic links")


# ---------------------------------------------------------------- links in the root

@pytest.mark.parametrize("place", ["/proc", "/sys"])
def test_proc_and_sys_as_links(boxes, place):
    """CVE-2019-19921, CVE-2023-27561, CVE-2023-28642: what is masked would not be what is used."""
    box = boxes.box(lambda config: config["mounts"].append({"destination": "/sys", "type": "sysfs", "source": "sysfs"}))
    (box.rootfs / "elsewhere").mkdir()
    (box.rootfs / place[1:]).symlink_to("elsewhere")
    refused(box, place, "ordinary directory")


@pytest.mark.parametrize("target", ["/proc/sys", "/proc/self/attr", "/proc", "/proc/1", "/proc/../proc/sys"])
@pytest.mark.parametrize("link", [False, True], ids=["by name", "by a link of the image"])
def test_nothing_is_put_over_proc(boxes, target, link):
    """CVE-2019-16884: a volume of an image's, over the files by which its label is set."""
    def change(config):
        bind(config, boxes.folder, "/volume" if link else target)
    box = boxes.box(change)
    if link:
        (box.rootfs / "volume").symlink_to(target)
    refused(box, "inside /proc")


def test_a_file_may_lie_over_one_of_proc(boxes):
    """As lxcfs gives them."""
    (boxes.folder / "uptime").write_text("mine\n")
    box = boxes.box(lambda config: bind(config, boxes.folder / "uptime", "/proc/uptime"))
    assert box.run("cat /proc/uptime") == "mine\n"


@pytest.mark.parametrize("link", ["../../../../../../outside", "/outside", "/proc/self/root/outside", "/proc/1/root/outside"])
def test_links_lead_nowhere_outside(boxes, link):
    """Targets of mounts, devices, masks, and what is made where something is missing (CVE-2024-45310)."""
    outside = boxes.folder / "outside"
    outside.mkdir()
    link = link.replace("/outside", str(outside))
    before = os.stat(outside)
    def change(config):
        bind(config, "/etc", "/data")
        bind(config, "/etc/hostname", "/file/deep/name")
        config["mounts"].append({"destination": "/temp/one/two", "type": "tmpfs", "source": "tmpfs"})
        config["linux"].update(maskedPaths=["/masked"], readonlyPaths=["/only"],
                               devices=[{"path": "/node/null", "type": "c", "major": 1, "minor": 3}])
    box = boxes.box(change)
    for name in "data", "file", "temp", "masked", "only", "node":
        (box.rootfs / name).symlink_to(link)
    box.config["process"]["args"] = ["true"]
    box.write()
    assert box.call("run").returncode == link.startswith("/proc")  # else it is a place in there
    assert not os.listdir(outside) and os.stat(outside).st_mtime_ns == before.st_mtime_ns
    assert str(outside) not in text("/proc/self/mountinfo")


# ---------------------------------------------------------------- what is masked

def evil_dev(box, folder):
    """A /dev of the image's, bound over /dev, whose null leads elsewhere."""
    dev = folder / "dev"
    (dev / "pts").mkdir(parents=True)
    (dev / "null").symlink_to("/proc/sys/kernel/hostname")
    box.config["mounts"] = [mount for mount in box.config["mounts"] if not mount["destination"].startswith("/dev")]
    bind(box.config, dev, "/dev")
    box.write()


def test_what_masks_is_the_machines_null(boxes):
    """CVE-2025-31133: the container's own may be a link by the time it is used."""
    box = boxes.box(lambda config: config["linux"].update(maskedPaths=["/proc/version", "/file", "/folder"]))
    (box.rootfs / "file").write_text("secret")
    (box.rootfs / "folder").mkdir()
    (box.rootfs / "folder/file").write_text("secret")
    evil_dev(box, boxes.folder)
    said = box.run("stat -c '%t:%T %F' /file /proc/version; ls /folder; cat /file; echo x >/file; "
                   "touch /folder/x || echo no")
    assert said.splitlines() == ["1:3 character special file"] * 2 + ["no"]


def test_a_masked_link_is_masked_where_it_leads(boxes):
    box = boxes.box(lambda config: config["linux"].update(maskedPaths=["/way"], readonlyPaths=["/other"]))
    (box.rootfs / "secret").write_text("secret")
    (box.rootfs / "way").symlink_to("/secret")
    (box.rootfs / "kept").write_text("kept\n")
    (box.rootfs / "other").symlink_to("../../kept")
    assert box.run("cat /secret /kept; echo x >/kept || echo no") == "kept\nno\n"


# ---------------------------------------------------------------- the terminal

@pytest.fixture
def console(tmp_path):
    """A socket for --console-socket; returns its path and what gets the terminal."""
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(64)
        listener.settimeout(10)

        def receive():
            connection, _ = listener.accept()
            with connection:
                _, fds, _, _ = socket.recv_fds(connection, 100, 1)
            return fds[0]
        yield path, receive


def test_the_console_is_bound_nowhere_else(boxes, console):
    """CVE-2025-52565: /dev/console is a link, to what a terminal must not hide, or outside."""
    outside = boxes.folder / "outside"
    outside.write_text("as it was")
    for link in ("/proc/sys/kernel/hostname", "/etc/passwd", str(outside), f"../../../../../..{outside}"):
        box = boxes.box(lambda config: config["process"].update(terminal=True))
        box.config["mounts"] = [mount for mount in box.config["mounts"] if mount["destination"] != "/dev"]
        (box.rootfs / "dev").mkdir()
        (box.rootfs / "dev/console").symlink_to(link)
        (box.rootfs / "etc").mkdir()
        (box.rootfs / "etc/passwd").write_text("as it was")
        box.write()
        result = box.call("create", options=["--console-socket", console[0]])
        assert result.returncode == 1 and "console" in result.stderr, result
        assert not box.left()
    assert outside.read_text() == "as it was"


def test_exec_opens_no_terminal_but_the_containers(boxes, console):
    """Its /dev/pts, exchanged by who is in there: for a FIFO, for the machine's by a descriptor of ours."""
    box = boxes.box(lambda config: config["process"]["capabilities"].update(
        {name: ["CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE", "CAP_MKNOD"] for name in SETS})).up()
    asked = ["--tty", "--detach", "--console-socket", console[0]]
    box.must("exec", "true", options=asked)
    os.close(console[1]())
    box.must("exec", "umount", "/dev/pts")
    for harm in ("mkfifo /dev/pts/ptmx", "mknod /dev/pts/ptmx c 1 3", "touch /dev/pts/ptmx", "mkdir /dev/pts/ptmx",
                 "rmdir /dev/pts; ln -s /proc/1/root/proc /dev/pts",
                 *(f"rmdir /dev/pts; ln -s /proc/self/fd/{fd}/../../../../../../../../dev/pts /dev/pts" for fd in range(3, 14)),
                 "ln -s /proc/1/fd/0 /dev/pts/ptmx"):
        box.must("exec", "sh", "-c", f"rm -rf /dev/pts; mkdir -p /dev/pts; {harm}")
        result = box.call("exec", "true", options=asked, timeout=10)
        assert result.returncode == 255 and result.stderr.count("\n") == 1, (harm, result)
        assert "is no such thing" in result.stderr or "mkfifo" not in harm and "1 3" not in harm, result


# ---------------------------------------------------------------- what is written to /proc

COVER = """import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
for path in ("/proc/sys/net/ipv4/ip_default_ttl", "/proc/self/timens_offsets"):
    if libc.mount(b"/trap", path.encode(), None, 0x1000, None): raise OSError(ctypes.get_errno(), path)
"""


def test_what_goes_to_proc_arrives_there(boxes):
    """CVE-2025-52881: the mount namespace that is joined belongs to somebody who has mounted over it."""
    first = boxes.box(lambda config: config["process"]["capabilities"].update(
        {name: ["CAP_SYS_ADMIN"] for name in SETS}))
    (first.rootfs / "trap").write_text("empty")
    first.up()
    first.must("exec", "python3", "-c", COVER.replace('"/proc/self/timens_offsets"', ""))

    def change(config):
        config["linux"]["sysctl"] = {"net.ipv4.ip_default_ttl": "77"}
        for space in config["linux"]["namespaces"]:
            if space["type"] in ("mount", "network"):
                space["path"] = f"/proc/{first.pid}/ns/{'mnt' if space['type'] == 'mount' else 'net'}"
    second = boxes.box(change)
    without(second.config, "/usr")
    second.config["root"]["path"] = "/"  # whatever that is in there
    second.write()
    second.call("create")
    assert (first.rootfs / "trap").read_text() == "empty"


@pytest.mark.parametrize("name, kind", [("kernel.shmmax", "ipc"), ("net.ipv4.ip_default_ttl", "network"),
                                        ("kernel.domainname", "uts")])
def test_the_machines_own_parameters_are_not_set(boxes, name, kind):
    """As its namespace is joined by path."""
    def change(config):
        config["linux"]["sysctl"] = {name: "1"}
        config.pop("hostname")
        next(space for space in config["linux"]["namespaces"] if space["type"] == kind)["path"] = (
            f"/proc/self/ns/{kind.removesuffix('work')}")
    refused(boxes.box(change), "would change the host")


def test_the_machines_own_name_is_not_set(boxes):
    box = boxes.box(lambda config: next(
        space for space in config["linux"]["namespaces"] if space["type"] == "uts").update(path="/proc/self/ns/uts"))
    before = os.uname().nodename
    refused(box, "hostname: would change the host")
    assert os.uname().nodename == before


def test_exec_goes_to_no_cgroup_but_the_containers(boxes):
    box = boxes.box().up()
    for sub in ("..", "../..", "/../x", "pids:..", "a/../../.."):
        result = box.boxes.oci("exec", "--cgroup", sub, box.name, "cat", "/proc/self/cgroup")
        assert result.returncode == 255 and "sub cgroup path" in result.stderr, result


# ---------------------------------------------------------------- powers

def test_nothing_is_inheritable_that_nobody_asked_for(all_boxes):
    """CVE-2022-29162: a program of the image's with file capabilities would get what is inheritable."""
    box = all_boxes.box(lambda config: config["process"]["capabilities"].update(ambient=[])).up()
    for words in [["exec", box.name], ["exec", "--cap", "CAP_NET_RAW", box.name],
                  ["exec", "--cap", "CAP_NET_RAW", "--user", "0:0", box.name]]:
        said = all_boxes.oci(*words, "cat", "/proc/self/status").stdout
        assert "CapInh:\t0000000000000000" in said and "CapAmb:\t0000000000000000" in said, words
    assert status(box.pid)["CapInh"].strip("0\n") == ""


@pytest.mark.parametrize("user", ["-1", "4294967295", "0:-1", "0:4294967295", "99999999999999999999"])
def test_who_is_nobody_is_not_root(boxes, user):
    """setresuid(2) takes -1 for "as it is"."""
    box = boxes.box().up()
    result = boxes.oci("exec", f"--user={user}", box.name, "id")
    assert result.returncode == 255 and not result.stdout and result.stderr.count("\n") == 1, result


def test_an_ordinary_user_s_cgroups_cannot_be_written(user, folder_of_user):
    """CVE-2023-25809: /sys bound read-only, and what is mounted below it is not."""
    from cells import Boxes
    boxes = Boxes(user, folder_of_user)
    own = Path(f"/sys/fs/cgroup/unified/crabcan-test-{os.getpid()}")
    if not own.parent.is_dir():
        pytest.skip("no version 2 beside version 1 here")
    (own / "leaf").mkdir(parents=True)
    try:
        for path in (own, own / "leaf"):
            for file in (path, path / "cgroup.procs", path / "cgroup.subtree_control"):
                os.chown(file, user.uid, -1)
        box = boxes.box(lambda config: [config["linux"].update(namespaces=[
            space for space in config["linux"]["namespaces"] if space["type"] != "network"]),
            bind(config, "/sys", "/sys", "nosuid", "noexec", "nodev", "ro")])
        assert box.run(f"touch /sys/fs/cgroup && echo writable; mkdir {own}/new && echo made; ls {own}/leaf | head -1; true"
                       ).strip() == "cgroup.controllers"
    finally:
        boxes.end()
        for path in (*own.glob("*/"), own):
            if path.is_dir():
                path.rmdir()
