"""What an idle container costs in memory: its supervisor, which waits for it to end."""
import signal
import subprocess
import sys

from common import LAUNCHER, machine, progress


def start(number, some):
    """Starts so many containers that sleep, each with a supervisor; returns when all run."""
    for _ in range(number):
        # Should we be killed, they end too.
        command = ["setpriv", "--pdeathsig", "TERM", *LAUNCHER,
                   "run", "--", "/bin/sh", "-c", "echo up; exec sleep 1000"]
        some.append(subprocess.Popen(command, text=True, stdin=subprocess.DEVNULL,
                                     stdout=subprocess.PIPE, stderr=subprocess.PIPE))
        progress(f"memory: {len(some)} of {number}")
    for one in some:
        if one.stdout.readline() != "up\n":
            sys.exit(f"a container did not start: {one.stderr.read().strip()}")


def megabytes(pid, field):
    """A field of /proc/PID/smaps_rollup (proc(5)). Pss: what is shared counts in parts."""
    with open(f"/proc/{pid}/smaps_rollup") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith(field + ":"))


def measure(rounds):
    """The report: 5 containers a round, and so 100 for the usual 20."""
    number = min(100, 5 * rounds)
    some = []
    try:
        start(number, some)
        pss = sorted(megabytes(one.pid, "Pss") for one in some)
        resident = sorted(megabytes(one.pid, "Rss") for one in some)
    finally:
        for one in some:
            one.send_signal(signal.SIGTERM)
        said = [one.communicate()[1] for one in some]
    progress("")
    print(*dict.fromkeys(said), sep="", end="", file=sys.stderr)  # the same of each: once
    rows = {"PSS of a supervisor": pss, "RSS (shared counts fully)": resident}
    return {"about": f"Memory of the supervisors of {number} idle containers, megabytes",
            "machine": machine(),
            "rows": {name: {"median": row[len(row) // 2], "min": row[0], "max": row[-1]}
                     for name, row in rows.items()},
            "ratios": {"PSS / 12 MB": {"ratio": pss[len(pss) // 2] / 12, "aim": 1}},
            "notes": []}
