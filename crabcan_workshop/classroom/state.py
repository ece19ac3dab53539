"""How the class is: what runs, and how much of it each learner takes."""
import json
from pathlib import Path

from . import settings, units
from .system import works

GROUP = Path("/sys/fs/cgroup/user.slice")


def taken(learner):
    """(bytes of memory, processes) of a learner's slice, or None where nothing of it runs."""
    folder = GROUP / f"user-{settings.uid(learner)}.slice"
    try:
        return tuple(int((folder / name).read_text()) for name in ("memory.current", "pids.current"))
    except (FileNotFoundError, OSError):
        return None


def data(chosen):
    """The state, for --json and for people."""
    learners = []
    for learner in chosen["learners"]:
        used = taken(learner) or (0, 0)
        learners.append({"name": learner["name"], "title": learner["title"],
                         "server": works("systemctl", "is-active", "-q", f"crabcan-class-{learner['name']}.service"),
                         "memory": used[0], "tasks": used[1]})
    return {"address": address(chosen), "units": {unit: works("systemctl", "is-active", "-q", unit)
                                                  for unit in units.NAMES}, "learners": learners}


def address(chosen):
    """What people type into their browsers."""
    scheme, usual = ("https", 443) if chosen["cert"] else ("http", 80)
    port = "" if chosen["port"] == usual else f":{chosen['port']}"
    return f"{scheme}://{chosen['names'][0]}{port}/"


def show(chosen, as_json=False):
    """Prints it; tells whether all units run."""
    found = data(chosen)
    if as_json:
        print(json.dumps(found, indent=1, ensure_ascii=False))
    else:
        running = [unit for unit, active in found["units"].items() if active]
        print(f"the class: {found['address']}" if len(running) == len(units.NAMES) else
              f"the class is stopped, or half of it: {', '.join(running) or 'nothing'} runs (workshop class --start)")
        for learner in found["learners"]:
            print(f"  {learner['name']:24} " + (f"{learner['memory'] >> 20:5} MB {learner['tasks']:4} processes"
                                                if learner["server"] else "    not here"))
    return all(found["units"].values())
