"""The room in which a learner's code runs: the course's own container, with power inside and none
outside.

It is root in there, over namespaces of its own, or chapters 2 to 9 could not be tried. Not of the
host: another user, a root of its own in memory, the host's /usr read-only, limits and an alarm.
Capabilities and system calls are not taken away: the layers that do so are among the exercises.
"""
import json
import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from crabcan_steps import ch02_clone, linux
from crabcan_steps.ch01_args import Spec
from crabcan_steps.ch03_hostname import Hostname
from crabcan_steps.ch04_mounts import Mounts
from crabcan_steps.ch05_namespaces import Keyring, Namespaces, Users
from crabcan_steps.ch08_cgroups import ROOT
from crabcan_steps.layer import LayerError
from crabcan_steps.parts import READ_ONLY, Bind, Cover, Entry, FileSystem

from . import patience
from .bounds import MEMORY, PROCESSES, Delegated, Rlimits

HERE = "/course"              # where the code is, inside
FOLDERS = {"crabcan_steps": "*.py", "crabcan_steps/profiles": "*.json", "crabcan_workshop": "*.py"} \
    | {f"crabcan_workshop/{name}": "*.py" for name in ("measure", "room", "exercises")}
PACKAGES = Path(__file__).resolve().parents[2]


class RoomError(Exception):
    """The room could not be had, or the code in it has outlived its time."""


def enter(chapter, sources, seconds=20, **job):
    """Runs inside.py in a new room, with these files as crabcan_steps; returns what it found."""
    slowness = patience.factor()
    job |= {"chapter": chapter, "sources": sources, "slowness": slowness,
            "caller": os.getpid()}
    process = subprocess.Popen([sys.executable, "-P", "-m", __name__], text=True, env=environment(),
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    try:
        out, errors = process.communicate(json.dumps(job), timeout=seconds * slowness)
    except subprocess.TimeoutExpired:
        raise RoomError(f"the check was not done after {seconds * slowness:.0f} s, so we ended "
                        "it") from None
    finally:
        leave(process)
    if process.returncode == 137:
        raise RoomError(f"your code took more than {MEMORY >> 20} MB of memory, and the kernel "
                        f"ended the check: on your machine it would have taken all there is")
    try:
        return json.loads(out)
    except ValueError:
        text = errors.strip() or f"exit status {process.returncode}"
        raise RoomError(f"the room for the check did not come up: {text}") from None


def leave(process):
    """Ends a room that is still there; SIGTERM lets it clean up."""
    for deed in (process.terminate, process.kill):
        if process.poll() is None:
            deed()
            try:
                process.communicate(timeout=5)
            except subprocess.TimeoutExpired:
                pass


def environment():
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(PACKAGES), os.environ.get("PYTHONPATH",
                                                                                       "")])}


class Room(Mounts):
    """A root as in chapter 4, but with a full /proc and /sys: or no container could nest."""

    def __init__(self, sources, groups):
        self.sources, self.groups = sources, groups

    def prepare(self, spec, undo):
        super().prepare(spec, undo)
        self.plan = [part for part in self.plan if not isinstance(part, Cover)]
        extra = [*self.code(), *self.cgroups()]
        self.plan += extra
        spec.binds += [part for part in extra if isinstance(part, Bind)]
        for bind in spec.binds:
            bind.shift = False  # nobody's files: root in here could make a mount writable again
        if os.geteuid() == 0:
            for bind in spec.binds:
                if bind.tree is None:
                    undo.callback(bind.close)
                    bind.open()

    def code(self):
        """The learner's files and ours, and the Python that runs them if it is not the system's."""
        yield Entry(HERE)
        for name in FOLDERS:
            yield Entry(f"{HERE}/{name}")
        files = {str(path.relative_to(PACKAGES)): path for folder, kind in FOLDERS.items()
                 for path in (PACKAGES / folder).glob(kind)}
        texts = {name: path.read_text() for name, path in files.items()}
        texts |= {f"crabcan_steps/{name}": text for name, text in self.sources.items()}
        for name, text in texts.items():
            yield Entry(f"{HERE}/{name}", text=text)
        for module in ("pyseccomp", "prctl", "_prctl"):
            origin = find_spec(module).origin
            if origin.endswith(".py"):
                yield Entry(f"{HERE}/{module}.py", text=Path(origin).read_text())
            elif not origin.startswith("/usr/"):
                yield Bind(origin, f"{HERE}/{os.path.basename(origin)}", READ_ONLY)
        if not python().startswith("/usr/"):
            yield Bind(sys.base_prefix, sys.base_prefix, READ_ONLY)

    def cgroups(self):
        """Our own part of the tree, where chapter 8 looks for the whole."""
        if not self.groups:
            return
        if os.path.exists(f"{ROOT}/cgroup.controllers"):
            yield Bind(next(iter(self.groups.values())), ROOT)
            return
        yield FileSystem("tmpfs", ROOT, mode="0755", size="64k")
        for controller, path in self.groups.items():
            yield Entry(f"{ROOT}/{controller}")
            yield Bind(path, f"{ROOT}/{controller}")


def python():
    return os.path.realpath(sys.executable)


def subordinate():
    """What /etc/subuid and subgid say inside: ids for the containers in the room."""
    users = Users()
    users.prepare(Spec(), None)
    return "root:1000:60000\n" if users.root or users.helped else "root:0:1\n"


def main():
    """In a process of its own, which may clone. Standard input is the job, output the answer."""
    job = json.load(sys.stdin)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGTERM)  # whoever asked was killed: clean up
    if os.getppid() != job.pop("caller"):
        return 1
    return live(job, "inside")


def live(job, module, more=(), run=ch02_clone.run):
    """Runs a module of ours as PID 1 of a new room; returns its exit status."""
    ids = subordinate()
    job["many ids"] = ids != "root:0:1\n"
    spec = Spec()
    spec.hostname, spec.memory, spec.pids, spec.nofile = "your-machine", MEMORY, PROCESSES, 1024
    spec.add, spec.env = [], [("PYTHONPATH", HERE), ("LANG", "C.UTF-8")]
    spec.command = (python(), "-P", "-m", f"crabcan_workshop.room.{module}")
    groups = {}
    room = Room(job.pop("sources", {}), groups)
    users = Users()
    layers = [ch02_clone.Clone(), Hostname(), Delegated(groups, users), room, users, Keyring(),
              Namespaces(), Rlimits(), *more]
    code = room.code
    room.code = lambda: [*code(), Entry("/etc/subuid", text=ids), Entry("/etc/subgid", text=ids),
                         Entry(f"{HERE}/job.json", text=json.dumps(job))]
    try:
        return run(spec, layers)
    except LayerError as error:
        print(error.explain([*layers, ch02_clone.Start]), file=sys.stderr)
        return 125


if __name__ == "__main__":
    sys.exit(main())
