"""Bundles on the disk, and crabcan-oci as an engine calls it; for the tests of chapter 10."""
import contextlib
import ctypes
import json
import os
import signal
import subprocess
import time
from pathlib import Path

LAUNCHER = "crabcan_steps/runtime/launcher.py"
LINKS = ("bin", "lib", "lib64", "sbin")
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Engine:
    """Calls crabcan-oci as one user, with a --root of its own."""

    def __init__(self, who, folder):
        self.who, self.folder, self.root = who, Path(folder), Path(folder, "state")
        path = who.environment["PYTHONPATH"]
        self.words = [*who.python, "-I", "-S", f"{path}/{LAUNCHER}", "oci", "--root", str(self.root)]

    def call(self, *args, **options):
        """A command to its end; returns the CompletedProcess, with text."""
        given = {"timeout": 60, "input": "", "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.run([*self.words, *map(str, args)], text=True, env=self.who.environment, cwd="/",
                              **given | options)

    def does(self, *args, **options):
        """A command that must succeed; returns what it printed."""
        result = self.call(*args, **options)
        assert result.returncode == 0, result.stderr
        return result.stdout

    def refuses(self, *args):
        """A command that must fail: returns the one line that it says."""
        result = self.call(*args)
        assert result.returncode == (255 if "exec" in args else 1) and not result.stdout, result
        assert result.stderr.startswith("crabcan-oci: ") and result.stderr.count("\n") == 1, result.stderr
        return result.stderr.strip()

    def state(self, name):
        return json.loads(self.does("state", name))

    def becomes(self, name, status, seconds=20):
        """Waits until a container has a status."""
        end = time.monotonic() + seconds
        while (now := self.state(name)["status"]) != status and time.monotonic() < end:
            time.sleep(0.02)
        assert now == status

    def bundle(self, *args, **process):
        """A directory with config.json and a root; the program is args."""
        box = self.folder / "box"
        for part in ("rootfs", *(f"rootfs/{name}" for name in ("usr", "tmp", "proc", "dev", "sys"))):
            (box / part).mkdir(parents=True, exist_ok=True)
            os.chown(box / part, self.who.uid, -1) if os.geteuid() == 0 else None
        for name in LINKS:
            with contextlib.suppress(FileExistsError):
                (box / "rootfs" / name).symlink_to(f"usr/{name}")
        if os.geteuid() == 0:
            os.chown(box, self.who.uid, -1)
        (box / "config.json").unlink(missing_ok=True)
        self.does("spec", "--bundle", box, *([] if self.who.root else ["--rootless"]))
        config = json.loads((box / "config.json").read_text())
        config["process"] |= {"terminal": False, "args": list(args), "env": [PATH]} | process
        config["mounts"] += [
            {"destination": "/usr", "type": "bind", "source": "/usr", "options": ["rbind", "ro"]},
            {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"}]
        self.box = box
        self.write(config)
        return config

    def write(self, config):
        (self.box / "config.json").write_text(json.dumps(config))

    def create(self, name, *options):
        """Creates a container; its output goes to a file, whose path is returned."""
        out = self.folder / f"{name}.out"
        with open(out, "w") as file:
            result = subprocess.run([*self.words, "create", "--bundle", str(self.box), *map(str, options), name],
                                    stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, text=True,
                                    env=self.who.environment, cwd="/", timeout=60)
        assert result.returncode == 0, out.read_text()
        return out

    def clear(self):
        """Deletes what is left."""
        for name in self.does("list", "--quiet").split():
            self.call("delete", "--force", name)
        assert not self.does("list", "--quiet")


@contextlib.contextmanager
def subreaper():
    """We are a conmon in the block: what is orphaned below us becomes our child (prctl(2), 36)."""
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(36, 1, 0, 0, 0) == 0
    try:
        yield
    finally:
        assert libc.prctl(36, 0, 0, 0, 0) == 0


def ended(pid, seconds=20):
    """The exit status of a child of ours; it is killed if it does not end."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    raise AssertionError("it did not end")
