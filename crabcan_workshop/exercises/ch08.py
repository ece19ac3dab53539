"""Chapter 8: the facts about limits."""
import os
from pathlib import Path

from crabcan_steps.ch08_cgroups import OPTIONAL, RLIMITS
from crabcan_steps.ch08_cgroups import lower as lowest

from .facts import Absent, Wrong, came_up, collector, drawn, equal, must, number, refused, swallowed

FACTS, fact = collector()
ROOT = "/sys/fs/cgroup"
UNIFIED = os.path.exists(f"{ROOT}/cgroup.controllers")
WAITS = "import sys; print('ready', flush=True); sys.stdin.read()"
NONE = ("an ordinary user's check has cgroups to try limits with only where systemd and version 2 are; "
        "as root it has")
SHOWN = {"CORE": "core file size", "STACK": "stack size", "MEMLOCK": "locked memory",
         "MSGQUEUE": "msgqueue size", "NICE": "nice priority", "RTPRIO": "realtime priority",
         "AS": "address space", "CPU": "cpu time", "DATA": "data size", "FSIZE": "file size",
         "NPROC": "processes"}


def place(machine, cgroups, controller):
    """Where a process is in the tree of a controller, below what is the room's; None: not below."""
    for names, path in cgroups.items():
        if controller in names.split(",") or UNIFIED and not names:
            top = f"{ROOT}/{'' if UNIFIED else controller}".rstrip("/")
            if controller not in machine.groups.trees:
                return None
            tree = machine.groups.trees[controller].removeprefix(top)
            found = os.path.normpath(path)
            return Path(top + path) if found.startswith(tree + "/crabcan-") else None
    return None


def limited(machine, *controllers, options=()):
    """A container that waits, in groups of these controllers; returns (their directories, what is
    in their files)."""
    if not machine.groups.bounded():
        raise Absent(NONE)
    seen, folders = {}, {}
    inner = ["/usr/bin/python3", "-I", "-c", WAITS]

    def reads(outside):
        for controller in controllers:
            folders[controller] = place(machine, outside["cgroups"], controller)
            for file in folders[controller].glob("*") if folders[controller] else ():
                try:
                    seen[file.name] = file.read_text().strip()
                except OSError:
                    pass
    answer = machine.crabcan(*options, command=inner, watch=reads)
    if not answer.outside and (answer.status == 137 or "died" in (answer.failed or {}).get("call", "")):
        raise Wrong("it was killed at once", "so little memory is enough for no program: are the "
                    "limits in bytes?")
    if not answer.outside:
        came_up(answer)
        raise Wrong("the container was not found", "the runtime has no child")
    for controller, folder in folders.items():
        must(folder, f"it is in no group for {controller}", "the child is in no cgroup of ours: on version 1 "
             "child() writes 0 to tasks of each group; on version 2 prepare() has asked for CLONE_INTO_CGROUP")
        must(place(machine, answer.outside["runtime"]["cgroups"], controller) is None,
             "the runtime is in the container's group", "0 means whoever writes: the child, not the parent")
    return seen


def value(seen, two, one, expected, why):
    name = two if UNIFIED else one
    return equal(seen.get(name), str(expected), f"{name}: {why}")


@fact(1, "--memory bites, swap and all", "crabcan step 8 --memory 64M -- tail /dev/zero; echo $?")
def memory(machine):
    size = number(40, 99)
    seen = limited(machine, "memory", options=["--memory", f"{size}M"])
    value(seen, "memory.max", "memory.limit_in_bytes", size << 20,
          "each limit of LIMITS is to be written to its file, formatted with the value")
    swap = "memory.swap.max" if UNIFIED else "memory.memsw.limit_in_bytes"
    if swap in seen:
        equal(seen[swap], "0" if UNIFIED else str(size << 20), f"{swap}: what does not fit in memory would "
              "go to swap: an optional file is written where it exists")
    return f"{size}M"


@fact(1, "--pids", "crabcan step 8 --pids 20 -- sh -c 'for i in $(seq 30); do sleep 1 & done'")
def pids(machine):
    wanted = number(20, 99)
    seen = limited(machine, "pids", "memory", options=["--pids", wanted])
    return value(seen, "pids.max", "pids.max", wanted, "not the number that was asked for")


@fact(1, "--cpus 0.25 is a quarter of one, not more than usual",
      "crabcan step 8 --cpus 0.25 -- sh -c 'cat /proc/self/cgroup'")
def cpus(machine):
    quarter = fake(machine, {"cpus": 0.25}, {"cpus"})[1].get("cpu.max" if UNIFIED else "cpu.cfs_quota_us", "")
    must("." not in quarter, quarter, "a whole number is wanted in the file")
    must(quarter.split()[:1] != ["0"], quarter, "microseconds: first the product, then int()")
    for eighths in number(1, 7), number(9, 15):
        seen = limited(machine, "cpu", options=["--cpus", f"{eighths / 8}"])
        micro = str(eighths * 12500)
        value(seen, "cpu.max", "cpu.cfs_quota_us", f"{micro} 100000" if UNIFIED else micro,
              "microseconds in each tenth of a second: 100000 times the number")
    return f"{eighths / 8}"


@fact(1, "the defaults: 1G and 64 processes", "crabcan step 8 -- true")
def defaults(machine):
    seen = limited(machine, "memory", "pids")
    value(seen, "memory.max", "memory.limit_in_bytes", 1 << 30, "the default is 1G")
    return value(seen, "pids.max", "pids.max", 64, "the default is 64")


FAKE = """
import errno, os, sys
from crabcan_steps import ch08_cgroups as c
from crabcan_steps.ch01_args import Spec
from crabcan_steps.layer import LayerError
group = c.Cgroup()
group.unified, group.groups = {unified}, {{}}
group.wanted, group.asked = {wanted}, {asked}
def place(controller):
    if controller in {missing}:
        raise OSError(errno.ENOENT, "No such file or directory", "/nowhere")
    path = {folder!r} + "/" + controller
    if not os.path.isdir(path):
        os.makedirs(path)
        for _, files in (pair[0 if {unified} else 1] for pair in c.LIMITS.values()):
            for file in files:
                if file in {shut}: os.mkdir(path + "/" + file)
                elif file not in {optional}: open(path + "/" + file, "w").close()
    return path
try:
    group.limit(place)
    say("passed")
except LayerError as error:
    say("error", error.layer, error.errno, error.about)
except OSError as error:
    say("OSError", error.errno, error.filename)
for top, _, files in os.walk({folder!r}):
    for file in files:
        say("file", os.path.basename(top), file, open(top + "/" + file).read())
"""


def fake(machine, wanted, asked=(), missing=(), unified=UNIFIED, shut=()):
    """What limit() does in directories of our own: (its words, file -> text, the runtime's lines).
    Of these, whose controller is `missing` are not there; what is `shut` takes no text."""
    answer = came_up(machine.script(FAKE.format(
        unified=unified, wanted=wanted, asked=set(asked) or "set()", missing=list(missing),
        folder=f"/tmp/{drawn()}", optional=list(OPTIONAL), shut=list(shut))))
    first, *rest = answer.out.splitlines()
    files = {words[2]: " ".join(words[3:]) for words in map(str.split, rest) if words[0] == "file"}
    return first, files, answer.lines


@fact(1, "a limit that was asked for and cannot be had is an error that names its option",
      "crabcan step 8 --io-weight 50 -- true")
def missing(machine):
    for option, field, controller in (("--pids", "pids", "pids"), ("--memory", "memory", "memory")):
        said, _, _ = fake(machine, {field: 40 << 20}, {field}, {controller})
        must(not said.startswith("OSError"), said, "what a layer raises is a LayerError: it knows the "
             "layer's name and its cures")
        must(said.startswith("error"), said,
             "what the user asked for must not be missing in silence: LayerError")
        must(said.startswith("error cgroups 2"), said, "the LayerError has the layer's name and the errno")
        must(option in said, said, "the error names the option")
    said, _, _ = fake(machine, {"pids": 40}, {"pids"}, shut=["pids.max"])
    return must(said.startswith("error"), f"{said}, and nothing was written", "what the user asked for must not "
                "be missing in silence: an error of write() is one, too") and "so"


@fact(1, "a default limit that cannot be had is one line, and the others hold", "crabcan step 8 -- true")
def fallback(machine):
    wanted = {"memory": 40 << 20, "pids": (some := number(20, 99))}
    said, files, lines = fake(machine, wanted, (), {"memory"})
    must(said == "passed", said, "a default limit that cannot be had is no reason not to start")
    must(len(lines) == 1 and "--memory" in lines[0], " ".join(lines) or "silence",
         "one line tells about it, and names the option: warn()")
    equal(files.get("pids.max"), str(some), "the limits after a missing one are to be set all the same")
    said, _, lines = fake(machine, wanted, (), {"memory", "pids"})
    said = " ".join(lines)
    return must(len(lines) <= 2 and said.count("--memory") == said.count("--pids") == 1, said or "silence",
                "each that is missing is told of, once: warn()") and "so"


@fact(1, "what not every kernel has is written only where it is", "")
def optional(machine):
    said, files, _ = fake(machine, {"memory": 40 << 20}, {"memory"})
    must(said == "passed", said, f"OPTIONAL: {', '.join(OPTIONAL)} may be missing, and that is no error")
    return must(not set(files) & set(OPTIONAL), " ".join(set(files) & set(OPTIONAL))) or "so"


@fact(1, "the io weight of version 1 goes from 1 to 1000",
      "crabcan step 8 --io-weight 5000 -- true")
def weight(machine):
    some = number(100, 999)
    for asked, one in ((1, 1), (some, some), (number(1001, 9999), 1000)):
        for unified, name, expected in ((True, "io.weight", asked), (False, "blkio.bfq.weight", one)):
            said, files, _ = fake(machine, {"io_weight": asked}, {"io_weight"}, unified=unified)
            must(said == "passed", said)
            equal(files.get(name), str(expected), f"{name}: LIMITS says with {{value}} or {{thousand}} which "
                  "it takes; the latter is at most 1000")
    return "so"


SWALLOW = """
import builtins, io, os
from crabcan_steps import cli
def refusing(call):
    def refuses(path, *more, **options):
        if str(path).endswith(("/tasks", "cgroup.procs")):
            raise OSError(1, "Operation not permitted", path)
        return call(path, *more, **options)
    return refuses
os.open = refusing(os.open)
builtins.open = io.open = refusing(builtins.open)
say(cli.main(["step", "8", "--memory", "64M", "--", "true"]))
"""


def stuck(machine):
    if not machine.groups.bounded():
        raise Absent(NONE)
    answer = machine.script(SWALLOW)
    return equal(answer.out.strip(), "125", "the error of the move was passed over: it runs without limits") \
        and "125"


if not UNIFIED:  # on version 2 the child is born in its group
    fact(1, "a child that cannot be moved into its group is an error", "", spare=True)(stuck)


@fact(1, "nothing is left of its cgroups", "find /sys/fs/cgroup -name 'crabcan*'")
def swept(machine):
    left = [str(path) for tree in set(machine.groups.trees.values()) for path in Path(tree).glob("crabcan*")]
    return must(not left, " ".join(map(os.path.basename, left))[:70], "the runtime's own directories go at its "
                "end, if no process is in them: did the parent move, too?") or "nothing"


@fact(2, "--nofile holds the container, not us", "crabcan step 8 --nofile 40 -- sh -c 'ulimit -n'")
def nofile(machine):
    for wanted in number(30, 60), number(70, 90):
        answer = machine.words("step", "8", "--nofile", wanted, "--", "sh", "-c", "ulimit -Sn; ulimit -Hn",
                               before=["prlimit", "--nofile=200:300", "--"])
        must(f"--nofile {wanted}" not in answer.error, answer.seen, f"{wanted} is not above 300, the hard limit in this try: "
             "only what is above it is refused")
        out = came_up(answer).out.split()
        if out[0] != str(wanted):
            made = machine.calls("--nofile", wanted)[1]
            early = any(side == "parent" and call == "setrlimit" for side, call, _ in made)
            must(False, out[0], "a limit that the parent sets on itself after clone does not reach the child: "
                 "child() sets it" if early else "self.limits begins with RLIMIT_NOFILE: spec.nofile; child() "
                 "sets each of them")
        equal(out[1], str(wanted), "the hard limit, too, or it could be raised again")
    return str(wanted)


@fact(2, "and the runtime's own limits stay", "")
def own(machine):
    answer = machine.crabcan("--nofile", 40, command=["/usr/bin/python3", "-I", "-c", WAITS], watch=True)
    must(answer.outside, answer.seen)
    ours, before = answer.outside["runtime"]["limits"], machine.limits()
    changed = [name for name in before if ours[name] != before[name]]
    return must(not changed, f"{', '.join(changed)}: changed", "a limit that is set in the parent holds the "
                "runtime and all its containers: child() sets them") or "so"


@fact(2, "the stated limits hold: each of RLIMITS, soft and hard",
      "crabcan step 8 -- cat /proc/self/limits")
def stated(machine):
    lowered = [f"--{name}={number(10**8, 10**9)}:" for name in ("fsize", "data")]
    answer = machine.crabcan(command=["/usr/bin/python3", "-I", "-c", WAITS], watch=True, before=[
        "prlimit", *lowered, f"--msgqueue={number(1000, 9000)}:", f"--nproc={number(100, 190)}:", "--"])
    if not answer.outside:
        came_up(answer)
    ours = machine.limits()
    for name, stated_value in RLIMITS.items():
        seen = answer.outside["limits"][f"Max {SHOWN[name]}"]
        hard = ours[f"Max {SHOWN[name]}"][1]
        wanted = lowest(stated_value, -1 if hard == "unlimited" else int(hard))
        wanted = "unlimited" if wanted == -1 else str(wanted)
        equal(seen, [wanted, wanted], f"RLIMITS states a value for {name}: all of them are set, soft and hard")
    return f"{len(RLIMITS)} limits"


@fact(2, "whatever the caller's soft limits are", "ulimit -Ss 1024; crabcan step 8 -- sh -c 'ulimit -s'")
def soft(machine):
    answer = machine.words("step", "8", "--", "sh", "-c", "ulimit -s; ulimit -l; ulimit -Hs",
                           before=["prlimit", "--stack=1048576:", "--memlock=65536:", "--"])
    return equal(came_up(answer).out.split(), ["8192", "8192", "8192"], "stack and locked memory: 8 MB (ulimit "
                 "counts KB); only the caller's hard limit is a bound for us") and "8192"


@fact(2, "a limit above our own is refused at once",
      "(ulimit -n 100; crabcan step 8 --nofile 500 -- true)")
def above(machine):
    ours, wanted = number(100, 400), number(401, 900)
    answer = machine.words("step", "8", "--nofile", wanted, "--", "true",
                           before=["prlimit", f"--nofile={ours}:{ours}", "--"])
    must(answer.status == 125, f"status {answer.status}",
         "the kernel would refuse it in the child: say so in prepare()" if answer.status == 0 else "")
    return refused(answer, 125, "--nofile", str(wanted)) and "so"


@fact(2, "a stated limit above our own becomes our own",
      "(ulimit -s 4096; crabcan step 8 -- sh -c 'ulimit -s')")
def lower(machine):
    ours = number(1000, 8000)
    answer = machine.words("step", "8", "--", "sh", "-c", "ulimit -s",
                           before=["prlimit", f"--stack={ours << 10}:{ours << 10}", "--"])
    if (answer.failed or {}).get("call") == "setrlimit":
        must(False, answer.seen, "it was to be raised: take the lower of the two")
    return equal(came_up(answer).out.strip(), str(ours),
                 "nobody can raise a hard limit without CAP_SYS_RESOURCE: not above our own")


@fact(2, "lower(): the lower of two, and infinity is higher than any", "")
def lower_of(machine):
    one, other = number(1, 999), number(1000, 9999)
    cases = [(one, other), (other, one), (-1, one), (other, -1), (-1, -1)]
    out = came_up(machine.script("from crabcan_steps.ch08_cgroups import lower\n"
                                 f"say(*[lower(*pair) for pair in {cases}])")).out.split()
    for pair, seen in zip(cases, out, strict=True):
        equal(seen, str(lowest(*pair)), f"lower{pair} is the lower of the two limits; -1 is RLIM_INFINITY")
    return "so"


@fact(2, "what the kernel refuses is an error", "")
def failing(machine):
    return swallowed(machine, ["prlimit64:2=!0"])
