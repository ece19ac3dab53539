"""Attacks on runtimes that have worked on others, each tried on ours: those of CVEs, and their kind.

Where a guard stands, its test was seen to fail with the guard taken out.
"""
import contextlib
import os
import shutil
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cells import SETS, all_boxes, boxes, status, text  # noqa: F401
from conftest import CHECKOUT, wait_for

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


@pytest.fixture
def folder_of_user(user):
    path = Path("/tmp", f"crabcan-test-{os.getpid()}-{time.monotonic_ns()}")
    path.mkdir(mode=0o755)
    os.chown(path, user.uid, user.uid)
    yield path
    shutil.rmtree(path)


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
