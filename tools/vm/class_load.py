#!/usr/bin/env python3
"""How many learners a machine takes, as root on the machine of a class: so many are at work at once.

    ./workshop class --learners 30 --password room && tools/vm/class_load.py 30

Each comes in, then runs the cells of notebook 3 and its check, ROUNDS times, and reads up to PAUSE seconds before
each. Told: what each takes of memory (shared pages divided) and of a processor, and how long all wait."""
import argparse
import json
import random
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.dont_write_bytecode = True
from class_ground import PLAIN, learner  # noqa: E402

GROUPS, HUB = Path("/sys/fs/cgroup/user.slice"), Path("/sys/fs/cgroup/system.slice/crabcan-class.service")
NOTEBOOK = "notebooks/03-hostname.ipynb"
times, failures, lock = {}, [], threading.Lock()


def measured(kind, do, *words):
    """Runs it; keeps how long that took."""
    begun = time.monotonic()
    found = do(*words)
    with lock:
        times.setdefault(kind, []).append(time.monotonic() - begun)
    return found


def study(one, chosen, start):
    """What a learner does."""
    chance = random.Random(one.name)
    try:
        start.wait()
        measured("to come in", lambda: (one.login(), one.server()))
        cells = one.call("GET", f"/api/contents/{NOTEBOOK}").json()["content"]["cells"]
        one.shell("cp /opt/crabcan-class/crabcan_steps/ch03_hostname.py ~/my-container/")
        for _ in range(chosen.rounds):
            for cell in (cell for cell in cells if cell["cell_type"] == "code"):
                time.sleep(chance.uniform(0, chosen.pause))
                measured("a cell that counts", one.run, "print(6 * 7)")
                measured("a cell of the notebook", one.run, cell["source"])
            said = measured("a check", one.shell, "workshop check 3 --dir ~/my-container")
            if "exercises 1 and 2 passed" not in said:
                failures.append(f"{one.name}'s check: {said[-200:]}")
    except Exception as error:
        failures.append(f"{one.name}: {error!r}")


def taken(group):
    """(MB of memory, seconds of a processor) of a control group's processes."""
    memory = 0
    for path in (group, *group.rglob("*/")):
        for pid in (path / "cgroup.procs").read_text().split() if (path / "cgroup.procs").exists() else ():
            try:
                rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
                memory += int(rollup.split("\nPss:")[1].split()[0])
            except (OSError, IndexError):  # it has ended
                continue
    used = dict(line.split() for line in (group / "cpu.stat").read_text().splitlines())
    return memory / 1024, int(used["usage_usec"]) / 1e6


def bystander(over):
    """Somebody who only wants to log in, and root, who looks at a process."""
    import requests
    while not over.wait(1):
        measured("the login page", lambda: requests.get(f"{PLAIN}/hub/login", timeout=120))
        measured("root's shell", subprocess.run, ["ps", "-A"], -1, None, None, subprocess.DEVNULL)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("learners", type=int)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--pause", type=float, default=20, help="seconds (20)")
    chosen = parser.parse_args()
    people = [learner(f"learner{number:02}") for number in range(1, chosen.learners + 1)]
    slices = [GROUPS / f"user-{40000 + number}.slice" for number in range(1, chosen.learners + 1)]
    start, over, most = threading.Barrier(len(people)), threading.Event(), [0.0] * len(people)
    threads = [threading.Thread(target=study, args=(one, chosen, start)) for one in people]
    begun = time.monotonic()
    for thread in threads:
        thread.start()
    watching = threading.Thread(target=bystander, args=(over,))
    watching.start()
    while any(thread.is_alive() for thread in threads):
        time.sleep(3)
        most = [max(old, taken(group)[0]) if group.exists() else old for old, group in zip(most, slices)]
    over.set()
    watching.join()
    processor = [taken(group)[1] for group in slices if group.exists()]
    told = {"learners": len(people), "seconds": round(time.monotonic() - begun), "failed": failures,
            "MB each, at most": [round(min(most)), round(statistics.median(most)), round(max(most))],
            "processor seconds each": round(statistics.mean(processor), 1), "the Hub": [round(n, 1) for n in taken(HUB)]}
    for kind, found in times.items():
        found.sort()
        told[f"{kind}: times, median, p95, most (s)"] = [len(found), *(round(found[int(len(found) * part)], 2) for part in (
            0.5, 0.95)), round(found[-1], 2)]
    print(json.dumps(told, indent=1))
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
