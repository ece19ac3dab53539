"""Chapter 8: the facts about limits."""
import os
import sys
from pathlib import Path

from .facts import Absent, Wrong, came_up, collector, equal, must

FACTS, fact = collector()
ROOT = "/sys/fs/cgroup"
UNIFIED = os.path.exists(f"{ROOT}/cgroup.controllers")


def limited(machine, controller, *options, **kind):
    """A container that waits; returns (its cgroup's directory, what was seen while it ran)."""
    if not os.access(f"{ROOT}/cgroup.procs" if UNIFIED else f"{ROOT}/pids/cgroup.procs", os.W_OK):
        raise Absent("an ordinary user's check has cgroups to try limits with only where systemd "
                     "and version 2 are; as root it has")
    script = "import sys; print('ready', flush=True); sys.stdin.read()"
    seen = {}
    plain = machine.more

    def more(pid):
        groups = {}
        for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
            _, names, path = line.split(":", 2)
            for name in names.split(","):
                groups[name] = f"{ROOT}/{name}{path}"
        folder = Path(os.path.normpath(groups.get("" if UNIFIED else controller, ROOT)))
        for file in folder.glob("*") if folder.is_dir() else ():
            try:
                seen[file.name] = file.read_text().strip()
            except OSError:
                pass
        seen["path"] = str(folder)
        return plain(pid)
    machine.more = more
    try:
        answer = machine.crabcan(*options, python=script, watch=True, **kind)
    finally:
        machine.more = plain
    if not answer.outside and (answer.status == 137 or "died" in answer.err):
        raise Wrong("it was killed at once", "so little memory is enough for no program: are the "
                    "limits in bytes?")
    if not answer.outside:
        came_up(answer)
        raise Wrong("the container was not found", "the runtime has no child")
    must("crabcan-" in seen["path"], f"the group {seen['path'] or '/'}",
         "the child is in no cgroup of ours: on version 1 child() writes 0 to tasks of each group; "
         "on version 2 prepare() has asked for CLONE_INTO_CGROUP")
    return seen


def value(seen, two, one, expected, why):
    name = two if UNIFIED else one
    return equal(seen.get(name), expected, f"{name}: {why}")


@fact(1, "--memory bites", "crabcan step 8 --memory 64M -- tail /dev/zero; echo $?")
def memory(machine):
    seen = limited(machine, "memory", "--memory", "64M")
    return value(seen, "memory.max", "memory.limit_in_bytes", str(64 << 20),
                 "each limit of LIMITS is to be written to its file, formatted with the value")


@fact(1, "--pids", "crabcan step 8 --pids 20 -- sh -c 'while :; do sleep 1 & done'")
def pids(machine):
    seen = limited(machine, "pids", "--pids", "20")
    return value(seen, "pids.max", "pids.max", "20", "not the number that was asked for")


@fact(1, "--cpus 0.25 is a quarter of one, not more than usual",
      "crabcan step 8 --cpus 0.25 -- sh -c 'while :; do :; done'")
def cpus(machine):
    seen = limited(machine, "cpu", "--cpus", "0.25")
    return value(seen, "cpu.max", "cpu.cfs_quota_us", "25000 100000" if UNIFIED else "25000",
                 "microseconds in each tenth of a second: 100000 times the number")


@fact(1, "the defaults: 1G and 64 processes", "crabcan step 8 -- true")
def defaults(machine):
    seen = limited(machine, "memory")
    value(seen, "memory.max", "memory.limit_in_bytes", str(1 << 30), "the default is 1G")
    return "1G"


@fact(1, "a limit that was asked for and cannot be had is an error; a default one a line",
      "crabcan step 8 --io-weight 50 -- true")
def missing(machine):
    limited(machine, "pids")
    code = """
import errno, sys
from crabcan_steps import ch08_cgroups as c
from crabcan_steps.ch01_args import Spec
from crabcan_steps.layer import LayerError
for asked in (True, False):
    group = c.Cgroup(); spec = Spec(); group.unified, group.groups = %r, {}
    group.wanted, group.asked = {"pids": 20}, {"pids"} if asked else set()
    def nowhere(controller): raise OSError(errno.ENOENT, "No such file or directory", "/x")
    try: print("passed", group.limit(nowhere))
    except LayerError as error: print("error", error.call, error.errno, error.about)
""" % UNIFIED
    answer = came_up(machine.script(code))
    lines = answer.out.splitlines()
    must(lines[0].startswith("error cgroup 2"), lines[0],
         "what the user asked for must not be missing in silence: LayerError")
    must("--pids" in lines[0], lines[0], "the error names the option")
    must(lines[1].startswith("passed"), lines[1],
         "a default limit that cannot be had is no reason not to start")
    return must("--pids" in answer.err and "cannot be had" in answer.err, answer.err or "silence",
                "but one line tells about it: warn()") and "so"


@fact(1, "the io weight of version 1 goes from 1 to 1000",
      "crabcan step 8 --io-weight 5000 -- true")
def weight(machine):
    limited(machine, "pids")
    if not UNIFIED and not os.path.exists(f"{ROOT}/blkio/blkio.bfq.weight"):
        raise Absent("this kernel has no weights of disks")
    seen = limited(machine, "blkio", "--io-weight", "300")
    return equal(seen.get("io.weight" if UNIFIED else "blkio.bfq.weight", "").split()[-1:], ["300"],
                 "not the weight that was asked for")


@fact(1, "nothing is left of its cgroups", "ls -d /sys/fs/cgroup/*/crabcan*")
def swept(machine):
    left = [str(p) for p in Path(ROOT).glob("**/crabcan*")]
    return must(not left, " ".join(left)[:70],
                "a cgroup that is made is removed at the end: undo.callback") or "nothing"


@fact(2, "--nofile holds the container, not us", "crabcan step 8 --nofile 40 -- sh -c 'ulimit -n'")
def nofile(machine):
    answer = machine.crabcan("--nofile", "40", sh="ulimit -Sn; ulimit -Hn")
    out = came_up(answer).out.split()
    must(out[0] == "40", out[0], "a limit that the parent sets on itself after clone does not "
         "reach the child: child() sets it")
    return equal(out[1], "40", "the hard limit, too, or it could be raised again")


@fact(2, "the stated limits hold: no core files",
      "ulimit -Ss 1024; crabcan step 8 -- sh -c 'ulimit -s'")
def stated(machine):
    answer = machine.run(["prlimit", "--stack=1048576:", "--", sys.executable, "-P", "-m",
                          "crabcan_steps", "step", "8", "--",
                          "sh", "-c", "ulimit -c; ulimit -s; ulimit -l"])
    out = came_up(answer).out.split()
    must(out[0] == "0", f"core {out[0]}", "RLIMITS states a value for each: all of them are set")
    return equal(out[1:], ["8192", "8192"], "stack and locked memory: 8 MB (ulimit counts KB), "
                 "whatever the caller's are") and "0 8192 8192"


@fact(2, "a limit above our own is refused at once",
      "(ulimit -n 100; crabcan step 8 --nofile 500 -- true)")
def above(machine):
    answer = machine.run(["prlimit", "--nofile=100:100", "--", sys.executable, "-P", "-m",
                          "crabcan_steps",
                          "step", "8", "--nofile", "500", "--", "true"])
    must(answer.status == 125, f"status {answer.status}",
         "the kernel would refuse it in the child: say so in prepare()")
    return must("--nofile 500" in answer.error and "100" in answer.error, answer.error,
                "the error names the option and our hard limit")


@fact(2, "a stated limit above our own becomes our own",
      "(ulimit -s 4096; crabcan step 8 -- sh -c 'ulimit -s')")
def lower(machine):
    answer = machine.run(["prlimit", "--stack=4194304:4194304", "--", sys.executable, "-P", "-m",
                          "crabcan_steps",
                          "step", "8", "--", "sh", "-c", "ulimit -s"])
    must("setrlimit" not in answer.err, answer.error,
         "it was to be raised: take the lower of the two")
    return equal(came_up(answer).out.strip(), "4096",
                 "nobody can raise a hard limit without CAP_SYS_RESOURCE: not above our own")
