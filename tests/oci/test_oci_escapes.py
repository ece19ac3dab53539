"""Attacks on runtimes that have worked on others, each tried on ours: those of CVEs, and their kind.

Where a guard stands, its test was seen to fail with the guard taken out.
"""
import contextlib
import ctypes
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from cells import SETS, all_boxes, boxes, status, text  # noqa: F401
from conftest import CHECKOUT, wait_for

libc = ctypes.CDLL(None, use_errno=True)


def bind(config, source, destination, *options):
    config["mounts"].append({"destination": destination, "type": "bind", "source": str(source),
                             "options": ["rbind", *options]})


def without(config, destination):
    config["mounts"] = [mount for mount in config["mounts"] if mount["destination"] != destination]


def refused(box, *words, command="create", **more):
    """One line that has these words, status 1, and nothing left."""
    result = box.call(command, **more)
    assert result.returncode == 1 and result.stderr.count("\n") == 1, result
    assert all(word in result.stderr for word in words), result.stderr
    assert not box.left()


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
        config["mounts"].append({"destination": "/tmp/one/two", "type": "tmpfs", "source": "tmpfs"})
        config["linux"].update(maskedPaths=["/masked"], readonlyPaths=["/only"],
                               devices=[{"path": "/node/null", "type": "c", "major": 1, "minor": 3}])
    box = boxes.box(change)
    for name in "data", "file", "tmp", "masked", "only", "node":
        (box.rootfs / name).symlink_to(link)
    box.call("run")  # refused, or in there: both are well
    assert not os.listdir(outside) and os.stat(outside).st_mtime_ns == before.st_mtime_ns
    assert str(outside) not in text("/proc/self/mountinfo")
