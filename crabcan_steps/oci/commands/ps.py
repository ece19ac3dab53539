"""ps: the processes of a container, as numbers or as ps(1) shows them."""
import os
import subprocess
import sys

from ...layer import LayerError
from ..cgroups.processes import processes


def ps(state, options):
    """Prints the container's processes. options: "format" (table or json), "args" for ps(1)."""
    pids = processes(state["cgroups"])
    form = options.get("format") or "table"
    if form == "json":
        print("[" + ",".join(map(str, pids)) + "]")
        return 0
    if form != "table":
        raise LayerError("ps", "invalid format option", 0, f"'{form}' is neither table nor json")
    words = ["ps", *(options.get("args") or ["-ef"])]
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, env={**os.environ, "LC_ALL": "C.UTF-8"})
    except FileNotFoundError:
        raise LayerError("ps", "ps", 0, "this host has no ps(1): try --format json") from None
    lines = done.stdout.decode(errors="replace").splitlines()
    if done.returncode:
        raise LayerError("ps", " ".join(words), 0, lines[0] if lines else "failed")
    title = lines[0].split() if lines else []
    if "PID" not in title:
        raise LayerError("ps", " ".join(words), 0, "couldn't find PID field in ps output")
    column = title.index("PID")
    chosen = [line for line in lines[1:] if (line.split() + [""] * 99)[column] in map(str, pids)]
    sys.stdout.write("\n".join([lines[0], *chosen]) + "\n")
    return 0
