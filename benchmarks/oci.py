"""The commands of an engine, beside runc and crun: create, start and delete; exec; what waits, in memory.

The bundle is the one that `crabcan run --write-bundle` writes, so all have the same walls.
"""
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from common import LAUNCHER, clock, machine, progress, ratio, spread
from memory import megabytes

OURS = "crabcan-oci"
NAME = f"bench-{os.getpid()}"  # of the container, and of its cgroup: others may measure, too
COMMANDS = ("create", "start", "delete --force")


def runtimes(folder):
    """{name: the words before a command} of those that are here."""
    found = {OURS: [*LAUNCHER, "oci", "--root", f"{folder}/{OURS}"]}
    for name in ("runc", "crun") if os.geteuid() == 0 else ():
        if path := shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin"):
            found[name] = [path, "--root", f"{folder}/{name}"]
    return found


def call(words, *args, **options):
    """One command, timed in seconds. Nothing of ours is its terminal, nor its /dev/null."""
    begin = clock()
    result = subprocess.run([*words, *args], stdin=subprocess.PIPE, capture_output=True, **options)
    taken = clock() - begin
    if result.returncode:
        raise SystemExit(f"{' '.join(map(str, [*words, *args]))}: {result.stderr.decode(errors='replace')}")
    return taken


def create(words, bundle, folder):
    """create: its output is the container's, so it goes to a file and not to a pipe that we would wait for."""
    begin = clock()
    with open(f"{folder}/out", "w") as out:
        subprocess.run([*words, "create", "--bundle", bundle, "--pid-file", f"{folder}/pid", NAME],
                       check=True, stdin=subprocess.PIPE, stdout=out, stderr=out)
    return clock() - begin


def measure(rounds):
    """The report. Each round has one turn of each runtime, so that all have the same noise."""
    with tempfile.TemporaryDirectory(prefix="crabcan-bench-") as folder:
        os.chmod(folder, 0o755)
        bundle = f"{folder}/bundle"
        call([*LAUNCHER, "run"], "--write-bundle", bundle, "--", "sleep", "1000")
        found = runtimes(folder)
        times = {name: {kind: [] for kind in (*COMMANDS, "all", "exec", "waiting")} for name in found}
        for turn in range(rounds):
            for name, words in found.items():
                progress(f"oci: {name}, {turn + 1} of {rounds}")
                one(words, bundle, folder, times[name])
    progress("")
    return report(times, rounds)


def one(words, bundle, folder, times):
    """One container's life."""
    taken = [create(words, bundle, folder)]
    times["waiting"].append(megabytes(Path(f"{folder}/pid").read_text(), "Pss") / 1000)  # as if milliseconds
    taken.append(call(words, "start", NAME))
    times["exec"].append(call(words, "exec", NAME, "true"))
    taken.append(call(words, "delete", "--force", NAME))
    for kind, seconds in zip(COMMANDS, taken):
        times[kind].append(seconds)
    times["all"].append(sum(taken))


def report(times, rounds):
    rows = {f"{name}: {kind}": spread(values) for name, kinds in times.items() for kind, values in kinds.items()}
    ratios = {}
    for name in times:
        if name != OURS:
            for kind, aim in (("all", 0.9), ("exec", 0.9), ("waiting", 1)):
                ratios[f"{kind}: ours / {name}"] = ratio(times[OURS][kind], times[name][kind],
                                                         aim if name == "runc" else None)
    return {"about": f"An engine's commands, {rounds} rounds, milliseconds; waiting: the PSS of a created "
            "container, megabytes", "machine": machine(), "rows": rows, "ratios": ratios,
            "notes": [] if len(times) == 3 else ["runc and crun are compared where they are installed, as root"]}
