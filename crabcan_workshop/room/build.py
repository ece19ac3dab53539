"""The room: the course's own container, with power inside and none outside.

Whoever is in it is root, over namespaces of its own, or chapters 2 to 9 could not be tried. Not of
the host: another user, a root of its own in memory, the host's /usr read-only, limits. Capabilities
and system calls are not taken away: the layers that do so are among the exercises.
"""
import json
import os
import random
import sys
from importlib.util import find_spec
from pathlib import Path

from crabcan_steps import ch02_clone
from crabcan_steps.ch01_args import Spec
from crabcan_steps.ch03_hostname import Hostname
from crabcan_steps.ch04_mounts import Mounts
from crabcan_steps.ch05_namespaces import Keyring, Namespaces, Users
from crabcan_steps.ch08_cgroups import ROOT
from crabcan_steps.layer import Layer, LayerError, Stage
from crabcan_steps.mounts.parts import READ_ONLY, Bind, Cover, Entry, FileSystem

from . import bounds

HERE = "/course"              # where the code is, inside
NAME = "your-machine"
PACKAGES = Path(__file__).resolve().parents[2]
FILES = ("crabcan_steps/**/*.py", "crabcan_steps/**/*.json", "crabcan_workshop/__init__.py",
         "crabcan_workshop/measure/*.py", "crabcan_workshop/room/*.py")  # ours


class Room(Mounts):
    """A root as in chapter 4, but with a full /proc and /sys: or no container could nest."""

    def __init__(self, files, groups):
        self.files, self.trees = files, groups

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
        files = {str(path.relative_to(PACKAGES)): path.read_text()
                 for pattern in FILES for path in PACKAGES.glob(pattern)} | self.files
        folders = {str(folder) for name in files for folder in Path(name).parents}
        for name in sorted(folders):  # a folder before what is in it
            yield Entry(os.path.normpath(f"{HERE}/{name}"))
        for name, text in files.items():
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
        if not self.trees:
            return
        if os.path.exists(f"{ROOT}/cgroup.controllers"):
            if os.geteuid() != 0:
                return  # it mounts its own part itself (bounds.py)
            yield Bind(next(iter(self.trees.values())), ROOT)
            return
        yield FileSystem("tmpfs", ROOT, mode="0755", size="64k")
        for controller, path in self.trees.items():
            yield Entry(f"{ROOT}/{controller}")
            yield Bind(path, f"{ROOT}/{controller}")


def python():
    return os.path.realpath(sys.executable)


def subordinate():
    """The ids in the room that its containers get: (first, count), drawn anew; (0, 1) if there are
    none to give."""
    users = Users()
    users.prepare(Spec(), None)
    if users.root or users.helped:
        return random.randrange(2000, 5000), random.randrange(30_000, 35_000)  # and `you` has 20,000: 60,000 do
    return 0, 1


class Limits(Layer):
    """Limits that all processes in the room inherit."""
    chapter, name, stage = 8, "rlimits", Stage.LIMITS

    def child(self):
        bounds.hold()


class Session(Limits):
    """And a session of its own: what anybody in there sends to "the group" stays inside."""

    def child(self):
        super().child()
        os.setsid()


def apart(first, count, you):
    """What a check has in /etc/subuid and /etc/subgid, and the range for groups: another than for users, or
    nobody would see whether somebody took the one for the other. Without ids to give, as outside, none."""
    if not first:
        return "", "", (first, count)
    later = random.randrange(1, 100)
    groups = first + later, count - later
    return f"root:{first}:{count}\n{you}", f"root:{groups[0]}:{groups[1]}\n{you}", groups


def plan(job, module, more=()):
    """The Spec and the layers of a room with a module of ours as its PID 1.

    Of the job, `sources` become files of crabcan_steps, the rest is for that module to read."""
    first, count = subordinate()
    spec, users = Spec(), Users()
    spec.hostname, spec.memory, spec.pids, spec.nofile = NAME, bounds.MEMORY, bounds.PROCESSES, 1024
    spec.handed, spec.add, spec.env = (first, count), [], [("PYTHONPATH", HERE), ("LANG", "C.UTF-8")]
    spec.command = (python(), "-P", "-m", f"crabcan_workshop.room.{module}")
    files = {os.path.normpath(f"crabcan_steps/{name}"): text for name, text in job.pop("sources", {}).items()}
    groups = bounds.Delegated(users)
    room = Room(files, groups.trees)
    code = room.code
    spec.you = job["you"] = random.randrange(1100, 1900)
    you = f"you:{first + count}:20000\n" if first else ""
    people = groups_of = f"root:{first}:{count}\n{you}"
    if module == "keeper":
        people, groups_of, spec.handed_groups = apart(first, count, you)
    room.files["job.json"] = json.dumps(job)
    room.code = lambda: [*code(), Entry("/etc/subuid", text=people), Entry("/etc/subgid", text=groups_of)]
    layers = [ch02_clone.Clone(), Hostname(), users, groups, room, Keyring(), Namespaces(), *more]
    return spec, layers


def live(job, module, more=(), run=ch02_clone.run):
    """Runs a module of ours as PID 1 of a new room; returns its exit status."""
    spec, layers = plan(job, module, [Limits(), *more])
    try:
        return run(spec, layers)
    except LayerError as error:
        print(error.explain([*layers, ch02_clone.Start]), file=sys.stderr)
        return 125
