"""The judge: has a room made, tries a chapter's facts on the checkpoint in it, and says what it saw.

A process of its own, because it clones, and because whoever asks may have threads. It stands
outside of the room. Standard input is the job; the output one line of JSON for each thing found.
"""
import importlib
import json
import os
import signal
import sys
import time

from crabcan_steps import ch02_clone, linux
from crabcan_steps.clone.signals import PASSED_ON
from crabcan_steps.layer import LayerError

from .. import exercises
from . import build
from .harm import Harm
from .machine import Machine

FAULTS = ("wrong", "unreached")
BUDGET = 25  # seconds for all facts: a few runs that hang are enough to know


def main():
    job = json.load(sys.stdin)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGTERM)  # whoever asked was killed: clean up
    if os.getppid() != job.pop("caller"):
        return 1
    out = os.dup(1)
    spec, layers = build.plan({"sources": job.pop("sources")}, "keeper", [build.Session()])
    try:
        with Room(spec, layers) as room:
            for found in judged(room.machine(job), job):
                os.write(out, (json.dumps(found) + "\n").encode())
    except LayerError as error:
        print(error.explain([*layers, ch02_clone.Start]), file=sys.stderr)
        return 125
    return 0


class Room:
    """A room, from its first process's first word until the block ends."""

    def __init__(self, spec, layers):
        self.spec, self.layers = spec, layers

    def __enter__(self):
        read, write = os.pipe()
        os.dup2(write, 1)  # the only thing that we hear from in there, and only one line
        os.close(write)
        os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
        self.container = ch02_clone.create(self.spec, self.layers)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
        try:
            ch02_clone.start(self.container)
            os.dup2(2, 1)
            with open(read) as file:
                self.canaries = json.loads(file.readline())
        except BaseException:
            ch02_clone.delete(self.container)
            raise
        return self

    def __exit__(self, *_):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        ch02_clone.delete(self.container)

    def machine(self, job):
        groups = next(layer for layer in self.layers if isinstance(layer, build.bounds.Delegated))
        machine = Machine(self.container.pid, groups, job["chapter"], self.canaries, self.spec,
                          job["slowness"])
        machine.file = job.get("file", "")
        return machine


def judged(machine, job):
    """Yields {"said"}, or a {"fact"} each and the {"raised"} and {"printed"} on the way."""
    if not machine.groups.bounded():
        yield {"note": "no cgroup bounds the memory of all processes in the room together here, so "
                       "we look ten times a second; as root, or with systemd and cgroup v2, the "
                       "kernel does"}
    if "shell" in job:
        yield {"said": machine.shell(job["shell"])}
        return
    facts = importlib.import_module(exercises.module(job["chapter"])).FACTS
    begin, told, longest = time.monotonic(), set(), (0, "")
    for fact in facts:
        if fact.exercise not in job["exercises"]:
            continue
        if time.monotonic() - begin > BUDGET * job["slowness"]:
            yield {"fact": fact.untried(machine.slowest, longest[1])}
            continue
        yield {"trying": fact.expected}
        start = time.monotonic()
        found = tried(fact, machine)
        longest = max(longest, (time.monotonic() - start, fact.expected))
        yield from news(machine.runs, told, found["state"] != "right")
        if found["state"] in FAULTS and job.get("both", len(job["exercises"]) > 1):
            machine.alone = fact.exercise
            found["alone"] = tried(fact, machine)["state"]
            machine.alone = 0
        yield {"fact": found}
        if found["state"] == "harm" or found.get("alone") == "harm" or (
                job.get("quick") and found["state"] in FAULTS):
            return


def tried(fact, machine):
    machine.runs.clear()
    return fact.result(machine, Harm)


def news(runs, told, faulty):
    """What the runs told of, once: what was printed, and where a fact is not right what was raised."""
    for words in (words for run in runs for words in run.told):
        if words["kind"] == "printed" or words["kind"] == "raised" and faulty:
            if (key := json.dumps(words)) not in told:
                told.add(key)
                yield {words["kind"]: words}


if __name__ == "__main__":
    sys.exit(main())
