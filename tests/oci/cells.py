"""Bundles, and crabcan-oci called as an engine calls it; for the tests of chapter 10.

The root of each is made of the machine's own programs: directories, and binds of /usr and the like.
"""
import contextlib
import copy
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from conftest import gone

SYSTEM = [name for name in ("bin", "sbin", "lib", "lib64") if os.path.exists(f"/{name}")]
CAPS = ["CAP_CHOWN", "CAP_KILL", "CAP_SETUID", "CAP_SETGID"]
SETS = ("bounding", "effective", "permitted")
CONFIG = {
    "ociVersion": "1.2.0",
    "process": {"cwd": "/", "args": ["sleep", "100"], "user": {"uid": 0, "gid": 0},
                "env": ["PATH=/usr/bin:/bin:/usr/sbin:/sbin"], "noNewPrivileges": True,
                "capabilities": {name: CAPS for name in SETS}},
    "root": {"path": "rootfs"}, "hostname": "box",
    "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"},
               {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
               {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
                "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]},
               {"destination": "/usr", "type": "bind", "source": "/usr", "options": ["rbind", "ro"]}],
    "linux": {"namespaces": [{"type": kind} for kind in ("pid", "mount", "uts", "ipc", "network")]}}


class Boxes:
    """A directory of states, and one of bundles; all that is made there ends with it."""

    def __init__(self, who, folder):
        self.who, self.folder, self.root = who, folder, folder / "state"
        self.count = 0
        self.python, self.path = who.python, who.environment["PYTHONPATH"]

    def words(self, *words):
        return [*self.python, "-m", "crabcan_steps.oci", "--root", str(self.root), *map(str, words)]

    def oci(self, *words, **options):
        """Calls crabcan-oci; returns the CompletedProcess, with text.

        What it prints goes to files: a created container keeps the caller's descriptors open."""
        with tempfile.TemporaryFile("w+", errors="replace") as out, tempfile.TemporaryFile("w+", errors="replace") as err:
            result = subprocess.run(self.words(*words), **self.options(**{
                "stdin": subprocess.DEVNULL, "timeout": 50, "stdout": out, "stderr": err} | options))
            for file in out, err:
                file.seek(0)
            result.stdout, result.stderr = out.read(), err.read()
        return result

    def options(self, environment=None, **more):
        return {"env": self.who.environment | {"PYTHONPATH": self.path} | (environment or {}), "text": True, "cwd": "/",
                "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "errors": "replace"} | more

    def start(self, *words, **options):
        """The same, in the background."""
        return subprocess.Popen(self.words(*words), **self.options(stdin=subprocess.DEVNULL, **options))

    def box(self, change=None, name=None):
        """A bundle whose configuration `change` may alter; returns a Box."""
        self.count += 1
        return Box(self, name or f"box{os.getpid()}-{self.count}", change)

    def end(self):
        if self.root.is_dir():
            for folder in self.root.iterdir():
                self.oci("delete", "--force", folder.name)


class Box:
    """A bundle, and the container made of it."""

    def __init__(self, boxes, name, change):
        self.boxes, self.name, self.folder = boxes, name, boxes.folder / name
        self.rootfs = self.folder / "rootfs"
        self.rootfs.mkdir(parents=True)
        for part in SYSTEM:
            (self.rootfs / part).symlink_to(f"usr/{part}")
        self.config = copy.deepcopy(CONFIG)
        if not boxes.who.root:
            self.rootless()
        if change:
            change(self.config)
        self.write()

    def rootless(self):
        self.config["linux"]["namespaces"].append({"type": "user"})
        for kind in "uid", "gid":
            self.config["linux"][f"{kind}Mappings"] = [{"containerID": 0, "hostID": self.boxes.who.uid, "size": 1}]

    def map(self, first=1_700_000_000):
        """Root's, with a user namespace in which the machine's root is nobody; his root must be in reach."""
        self.config["linux"]["namespaces"].append({"type": "user"})
        for kind in "uid", "gid":
            self.config["linux"][f"{kind}Mappings"] = [{"containerID": 0, "hostID": first, "size": 65536}]
        subprocess.run(["chown", "-R", "-h", f"{first}:{first}", self.rootfs], check=True)
        for place in (self.folder, self.boxes.folder, *self.boxes.folder.parents[:2]):
            place.chmod(place.stat().st_mode | 0o011)
        self.write()
        return self

    def write(self):
        (self.folder / "config.json").write_text(json.dumps(self.config))
        if self.boxes.who.uid != os.geteuid():
            subprocess.run(["chown", "-R", "-h", str(self.boxes.who.uid), self.folder], check=True)

    def call(self, command, *words, options=(), **more):
        return self.boxes.oci(command, *options, *(["--bundle", self.folder] if command in ("create", "run") else []),
                              self.name, *words, **more)

    def must(self, command, *words, **more):
        result = self.call(command, *words, **more)
        assert result.returncode == 0, (command, result.stderr)
        return result.stdout

    def run(self, script, **more):
        """What a shell prints in there."""
        self.config["process"]["args"] = ["sh", "-c", script]
        self.write()
        return self.must("run", **more)

    def up(self):
        """Created and started."""
        self.must("create")
        self.must("start")
        return self

    def state(self):
        return json.loads(self.must("state"))

    @property
    def pid(self):
        return self.state()["pid"]

    @property
    def record(self):
        return json.loads((self.boxes.root / self.name / "state.json").read_text())

    def left(self):
        """What there is of it: its state, its cgroups, its processes."""
        found = [str(self.boxes.root / self.name)] if (self.boxes.root / self.name).exists() else []
        found += cgroups(self.name)
        return found + processes(f"{self.name}/rootfs")


def cgroups(name):
    """Cgroups of this name, in any tree."""
    return [f"{here}/{found}" for here, names, _ in os.walk("/sys/fs/cgroup") for found in names if found == name]


def processes(word):
    """Living processes whose root, or command line, has this in it."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if int(pid) == os.getpid() or gone(int(pid)):
                continue
            tops = [line.split()[3] for line in text(f"/proc/{pid}/mountinfo").splitlines() if line.split()[4] == "/"]
            if word in " ".join(tops) or word in text(f"/proc/{pid}/cmdline"):
                found.append(f"process {pid}")
    return found


def text(path):
    return Path(path).read_bytes().decode(errors="replace")


def status(pid):
    """/proc/PID/status as a dict."""
    return dict(line.split(":\t", 1) for line in text(f"/proc/{pid}/status").splitlines() if ":\t" in line)


@pytest.fixture
def boxes(root, tmp_path):
    """Bundles of root's."""
    found = Boxes(root, tmp_path)
    yield found
    found.end()


@pytest.fixture
def all_boxes(who, folder):
    """The same twice: root's, and an ordinary user's."""
    found = Boxes(who, folder)
    yield found
    found.end()


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


@pytest.fixture
def folder_of_user(user):
    path = Path("/tmp", f"crabcan-test-{os.getpid()}-{time.monotonic_ns()}")
    path.mkdir(mode=0o755)
    os.chown(path, user.uid, user.uid)
    yield path
    shutil.rmtree(path)
