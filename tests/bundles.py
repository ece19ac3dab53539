"""Processes in cgroups of a bundle's, made with the layers of chapter 10; for the tests."""
import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

from conftest import CHECKOUT, UNIFIED

MAKE = """
import json, os, sys
from crabcan_steps import ch01_args, ch02_clone
from crabcan_steps.layer import Layer, LayerError
from crabcan_steps.oci.cgroups.join import JoinCgroup
from crabcan_steps.oci.cgroups.layer import BundleCgroup
given = json.load(sys.stdin.buffer)
spec = ch01_args.parse(given["command"])
spec.note = dict
spec.config, spec.id, spec.state, spec.systemd = given["config"], given["id"], {}, given["systemd"]
layer = JoinCgroup(*given["join"]) if given["join"] else BundleCgroup()
user = Layer()  # an ordinary user must be root somewhere to have a PID namespace
user.flags = 0x10000000 if os.geteuid() else 0
layers = [ch02_clone.Clone(), user, layer]
try:
    container = ch02_clone.create(spec, layers)
    ch02_clone.start(container)
except LayerError as error:
    sys.exit(error.explain(layers))
spec.state.update(id=spec.id, pid=container.pid, status="running")
print(json.dumps(spec.state), file=sys.stderr, flush=True)
os.closerange(1, 3)
ch02_clone.wait(container)
container.undo.pop_all() if given["keep"] else ch02_clone.delete(container)
"""
NAME = f"bundle-{os.getpid()}"  # no other run has cgroups of this name


class Refused(Exception):
    """No container: what was said."""


def start(config=None, resources=None, path="", name=NAME, command=("sleep", "100"), systemd=False,
          join=None, who=None):
    """Starts a container; returns the process that has made it, and the state."""
    linux = {"resources": resources or {}} | ({"cgroupsPath": path} if path else {})
    config = {"linux": linux} | (config or {})
    given = {"command": list(command), "config": config, "id": name, "systemd": systemd,
             "join": join, "keep": True}
    words = [*who.python, "-c", MAKE] if who else [sys.executable, "-c", MAKE]
    environment = who.environment if who else {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, env=environment, cwd="/")
    process.stdin.write(json.dumps(given))
    process.stdin.close()
    process.stdin = None  # or communicate() would look for it
    said = process.stderr.readline()
    if not said.startswith("{"):
        said += process.stderr.read()
        process.wait()
        raise Refused(said)
    return process, json.loads(said)


@contextlib.contextmanager
def bundle(**words):
    """A container for as long as the block; then all is ended and removed, and that is looked at."""
    from crabcan_steps.oci.cgroups import freezer, processes
    process, state = start(**words)
    try:
        yield state
    finally:
        if state.get("cgroups", {}).get("paths"):
            freezer.kill(state["cgroups"])
        process.kill()
        process.communicate()
        if state.get("cgroups"):
            processes.remove(state["cgroups"])
    assert not leftovers(words.get("path") or NAME)


def leftovers(path):
    """Cgroups whose last name begins so, in any tree. Those of others come and go meanwhile."""
    word = path.strip("/").split("/")[-1].split(":")[-1]
    return [f"{here}/{name}" for here, names, _ in os.walk("/sys/fs/cgroup") for name in names
            if name.startswith(word)]


def text(state, controller, file):
    """What a file of the container's cgroup says."""
    return Path(state["cgroups"]["paths"]["" if UNIFIED else controller], file).read_text().strip()
