"""An engine of one's own: set up in a directory, used there, and gone with it."""
import os
import resource
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from . import calls, image
from .errors import EngineError

CGROUPS = Path("/sys/fs/cgroup")
SYSTEM = ":/usr/sbin:/sbin"  # where runc and dockerd are, and an ordinary user does not look


class Engine:
    """One engine, with a runtime of our choice. Used as a context manager."""
    name, packages = "", {}  # program -> the Debian package that brings it
    root_only = True

    def __init__(self, runtime, trace=True):
        self.runtime, self.trace = Path(runtime), trace

    def __enter__(self):
        self.look()
        self.folder = Path(tempfile.mkdtemp(prefix="crabcan-engine-", dir="/tmp"))
        # Of the containers' cgroups. Not crabcan-...: chapter 8 sweeps what begins so and is nobody's.
        self.parent = f"/engine-{self.folder.name.rpartition('-')[2]}"
        self.environment = {**os.environ, "PATH": os.environ.get("PATH", os.defpath) + SYSTEM,
                            "TMPDIR": str(self.folder)}  # what a daemon writes there when it is in trouble, goes, too
        self.asked = self.folder / "calls"
        self.uses = self.runtime
        if self.trace:
            self.uses = calls.script(self.folder / "crabcan-oci", self.runtime, self.asked)
        try:
            self.start()
            self.load()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C would leave things behind
        try:
            self.stop()
            self.sweep()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)
            signal.signal(signal.SIGINT, before)

    def look(self):
        """Raises EngineError if it cannot be used here."""
        if self.root_only and os.geteuid() != 0:
            raise EngineError(f"{self.name}: wants root: sudo workshop engine {self.name}")
        path = os.environ.get("PATH", os.defpath) + SYSTEM
        missing = {package for program, package in self.packages.items()
                   if not shutil.which(program, path=path)}
        if missing:
            raise EngineError(f"{self.name} is not installed: apt-get install {' '.join(sorted(missing))}")

    def start(self):
        """Sets it up."""

    def load(self):
        """Gives it the image."""

    def stop(self):
        """Ends all that runs."""

    def command(self, *words):
        """The words that call it."""
        raise NotImplementedError

    def call(self, *words, seconds=120, **options):
        """Calls it; returns the CompletedProcess, with text."""
        try:
            return subprocess.run(self.command(*map(str, words)), env=self.environment, text=True,
                                  capture_output=True, timeout=seconds,
                                  **{"stdin": subprocess.DEVNULL} | options)
        except subprocess.TimeoutExpired:
            raise EngineError(f"{self.name} {words[0]}: no answer for {seconds} s") from None

    def must(self, *words, **options):
        """Calls it; returns what it printed. Raises EngineError if it fails."""
        result = self.call(*words, **options)
        if result.returncode:
            said = result.stderr.strip().splitlines() or [f"exit status {result.returncode}"]
            raise EngineError(f"{self.name} {words[0]}: {said[-1]}")
        return result.stdout.strip()

    def calls(self):
        """What it has asked of the runtime so far."""
        return calls.read(self.asked)

    def image(self):
        path = self.folder / "image.tar"
        image.archive(path)
        return path

    def sweep(self):
        """Removes cgroups and mounts that are named after our directory."""
        for top in [*CGROUPS.glob(f"*{self.parent}"), *CGROUPS.glob(self.parent[1:])]:
            for path, _, _ in os.walk(top, topdown=False):
                remove(Path(path))
        for line in reversed(Path("/proc/self/mountinfo").read_text().splitlines()):
            place = line.split()[4]
            if place.startswith(f"{self.folder}/"):
                subprocess.run(["umount", "--lazy", place], capture_output=True)


def remove(path, seconds=2):
    """Removes a cgroup, which may be busy for a moment after its last process."""
    end = time.monotonic() + seconds
    while path.exists() and time.monotonic() < end:
        try:
            path.rmdir()
        except OSError:
            time.sleep(0.02)


def files():
    """How many open files we ourselves may have: nobody can give more."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]
