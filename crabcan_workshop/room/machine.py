"""The room as a machine, seen from outside: runs checkpoints on it, compares it before and after.

What in here is called "your machine" is the room. If the learner's code harms it, that is found by
comparing, and said. We stand outside: nobody in the room can name, stop or read us.
"""
import os
import signal
import time

from crabcan_steps import linux
from crabcan_steps.mounts.root import IN_ROOT

from .. import chapters
from . import bounds, build, internet, nets, seen
from .harm import Harm, changes
from .join import Place
from .keeper import PRECIOUS
from .runs import Runs
from .sight import Sight, descendants

SECONDS = 5   # for one run, on a usual machine
STARTER = "crabcan_workshop.room.learner"


class Machine(Runs):
    """The room as a machine with a checkpoint on it."""

    def __init__(self, keeper, groups, chapter, canaries, spec, slowness):
        self.keeper, self.groups, self.chapter = keeper, groups, chapter
        self.canaries, self.ids, self.many_ids = canaries, spec.handed, spec.handed[0] > 0
        self.ids_of = {"uid": spec.handed, "gid": spec.handed_groups}
        self.you = spec.you  # an ordinary user, with ids in /etc/subuid and with helpers or without
        self.seconds = SECONDS * slowness
        self.sight, self.place = Sight(keeper), Place(keeper)
        self.uts = Place(keeper, ("user", "uts"))
        self.python = [build.python(), "-P", "-m", STARTER]
        self.kept, self.runs, self.slowest = {}, [], 0
        self.file = ""  # the learner's
        self.alone = 0  # an exercise: then the other's functions are ours
        self.net = nets.Net(keeper)
        self.internet = None
        if chapters.NAMES.get(chapter) == "network":
            self.internet = internet.Internet(keeper)
            self.place.ask(lambda: internet.resolvers(self.internet.server))
        self.watch = None if groups.bounded() else bounds.Watch(keeper)
        self.host = {**self.sight.look(keeper), "hostname": build.NAME}
        self.sleepers = descendants(keeper)
        self.before = self.state()

    # ------------------------------------------------------------ before and after

    def state(self):
        """The machine's name, mounts and a file of it, as the kernel has them."""
        name = self.uts.ask(lambda: os.uname().nodename.encode()).decode(errors="replace")
        try:
            with open(f"/proc/{self.keeper}/mountinfo") as file:
                mounts = file.read().splitlines()
            root = os.open(f"/proc/{self.keeper}/root", os.O_PATH)
        except OSError:
            raise Harm("your machine's first process would have ended, and with it everything") \
                from None
        try:
            os.close(linux.openat2(root, PRECIOUS, os.O_PATH, IN_ROOT | linux.RESOLVE_NO_SYMLINKS))
            there = True
        except OSError:
            there = False
        finally:
            os.close(root)
        return {"name": name, "mounts": mounts, "file": there}

    def compare(self, part=0.05):
        """Raises Harm if the machine is not as it was, after this part of a run's time."""
        changes(self.before, self.state())
        end = time.monotonic() + self.seconds * part
        while left := self.sight.others(*self.sleepers):
            if time.monotonic() > end:
                self.end_all()
                raise Harm(f"{len(left)} processes would still run on your machine after the "
                           "container has ended")
            time.sleep(0.005)

    def network(self, *tries, **words):
        """A container with a network that makes these tries, seen from all sides (seen.py)."""
        return seen.Seen(self, *tries, **words)

    def beside(self, runtime):
        """The processes that a run's runtime has started."""
        return descendants(runtime)

    def end_all(self, waiter=None):
        """Ends whatever runs in the room but its first process, and what a run's waiter waits for.

        Stopped first: who is stopped takes up a place, and starts nobody, while we find the others."""
        for number in (signal.SIGSTOP, signal.SIGSTOP, signal.SIGKILL, signal.SIGKILL):
            for pid in self.sight.others() + (descendants(waiter) if waiter else []):
                self.signal(pid, number, waiter)
            time.sleep(0.02)

    def signal(self, pid, number, waiter):
        """Signals one process, if it is still of the room's: held while we look again."""
        try:
            held = os.pidfd_open(pid)
        except OSError:
            return
        try:
            if self.sight.within(pid, waiter):
                signal.pidfd_send_signal(held, number)
        except ProcessLookupError:
            pass
        finally:
            os.close(held)

    def endless(self, visit, otherwise=None):
        """Ends a run that does not end, or takes too much; returns a sentence about it."""
        count = len(self.sight.others()) + len(descendants(visit.waiter))
        self.end_all(visit.waiter)
        if count > 60:
            return (f"it had started {count} processes, and would have gone on until your machine "
                    "could start no other: a fork bomb")
        return otherwise or (
            f"it was still running after {self.seconds:.0f} s, and we ended it: an endless loop, "
            "or two processes that wait for each other")
