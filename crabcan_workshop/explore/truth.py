"""Is a state what the kernel says? Compares it with what stepper.py has read of a stopped process."""
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

from .filters import enriched
from .paths import point, visible
from .reducer import states
from .start import SETS, capabilities
from .start import mount as line_of

STEPPER = f"{__package__}.stepper"
HERE = str(Path(__file__).resolve().parents[2])
LIMITS = {"Max cpu time": "CPU", "Max file size": "FSIZE", "Max data size": "DATA", "Max stack size": "STACK",
          "Max core file size": "CORE", "Max open files": "NOFILE", "Max locked memory": "MEMLOCK",
          "Max address space": "AS", "Max msgqueue size": "MSGQUEUE", "Max nice priority": "NICE",
          "Max realtime priority": "RTPRIO", "Max processes": "NPROC"}
KILLED = 137  # stepper.py ends the program that the container was made for


def stepped(file, command, before=(), env=None, **settings):
    """[(event, {side: what /proc says})] of `command`, stopped at each event that it writes to `file`.

    before: words in front, for a world to be recorded in. Raises RuntimeError with what was said."""
    env = os.environ if env is None else env
    paths = os.pathsep.join([*filter(None, [env.get("PYTHONPATH")]), HERE])
    done = subprocess.run([*before, sys.executable, "-P", "-m", STEPPER, file, *command], text=True,
                          env={**env, "PYTHONPATH": paths}, capture_output=True,
                          stdin=subprocess.DEVNULL, **settings)
    if done.returncode != KILLED:
        raise RuntimeError(done.stderr.strip()[-600:] or f"exit status {done.returncode}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def differences(run, told=None):
    """Where states are not what the kernel says: (index of the event, side, what, ours, the kernel's).

    told: the states after each event, if somebody else than our reducer has folded them."""
    told = told or list(states([enriched(event) for event, _ in run]))[1:]
    host, known, beside = run[0][1]["parent"]["namespaces"], {}, filling(run)
    for index, ((event, seen), state) in enumerate(zip(run, told)):
        for side, real in seen.items():
            sweeps = event["call"] == "rmdir" and event["args"][0] not in state["cgroups"]
            try:
                for what, ours, theirs in looks(state, side, real, host, known):
                    # Who sweeps has another run's directory open, and does not say so.
                    unsaid = sweeps and what == "descriptors" or index in beside and what in ("links", "routes")
                    if ours != theirs and not unsaid:
                        yield index, side, what, ours, theirs
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                yield index, side, "state", f"makes no sense: {type(error).__name__} {error}", ""


def filling(run):
    """The events while pasta fills the child's network: what it has done by then is not recorded."""
    calls = [event["call"] for event, _ in run]
    end = calls.index("pasta") if "pasta" in calls else 0
    return range(max((n for n in range(end) if calls[n] == "fork"), default=end), end)


def looks(state, side, real, host, known):
    """(what, what the state says, what the kernel says) of one process."""
    process = state["processes"][side]
    for kind, inode in real["namespaces"].items():
        name = process["namespaces"][kind]["id"]
        yield f"{kind} namespace", "the host's" if name == f"{kind}:0" else name, \
            "the host's" if inode == host[kind] else name
        yield f"{kind} namespace", known.setdefault(name, inode), inode  # one id of ours is one inode
    yield from identity(state, process, real, real["status"])
    yield from mounts(state, side, process, real)
    yield from limits(process, real)
    yield "descriptors", {fd: each["cloexec"] for fd, each in process["descriptors"].items()}, \
        {fd: cloexec for fd, (_, cloexec, _) in real["descriptors"].items()}
    yield "pid", process["pid"], real["pid"]
    name = state["namespaces"][process["namespaces"]["uts"]["id"]]["hostname"]
    yield "hostname", real["hostname"] if name is None else name, real["hostname"]
    yield "session", process["session"] == "own", real["session"] == real["status"]["NSpid"].split()[0]
    yield from network(state["namespaces"][process["namespaces"]["net"]["id"]], process, real["network"])


def identity(state, process, real, status):
    for field, kind in (("Uid", "uid"), ("Gid", "gid")):
        yield kind, process[kind], [*map(int, status[field].split()[:3])]
    yield "groups", sorted(process["groups"]), sorted(map(int, status["Groups"].split()))
    for name, field in SETS.items():
        yield f"{name} capabilities", process["capabilities"][name], capabilities(int(status[field], 16))
    yield "no_new_privs", str(int(process["no_new_privs"])), status["NoNewPrivs"]
    yield "filter", "2" if process["filters"] else "0", status["Seccomp"]
    yield "filters", len(process["filters"]), int(status.get("Seccomp_filters", len(process["filters"])))
    yield "umask", process["umask"], int(status["Umask"], 8)
    user = state["namespaces"][process["namespaces"]["user"]["id"]]
    if user["parent"] is not None:
        for kind in "uid", "gid":
            yield f"{kind}_map", [str(n) for line in user["maps"][kind] for n in line], real[f"{kind}_map"]
        yield "setgroups", user["setgroups"], real["setgroups"]
    yield "process 1", process["inits"], status["NSpid"].split()[-1] == "1"


def described(where, found):
    """A mount as both sides can tell it."""
    return (where, found["root"].removesuffix("//deleted"), found["fstype"], found["source"], tuple(found["attributes"]),
            found["propagation"], found["idmapped"])


def mounts(state, side, process, real):
    """The tree below its root is mountinfo's, mount by mount; root and directory are the same."""
    root = process["root"]
    above = root["mount"] if root["path"] else None  # of a directory that is no mount: not in its mountinfo (chroot)
    ours = Counter(described(where, state["mounts"][name]) for where, name in visible(state, side) if name != above)
    numbers = {line.split()[0]: line_of(line)[1] for line in real["mountinfo"]}
    theirs = Counter(described(found["at"], found) for found in numbers.values())
    yield "mounts", sorted((ours - theirs).elements()), sorted((theirs - ours).elements())
    for field in "root", "cwd":
        where, (number, path) = process[field], real[field]
        at, mine = point(state, root, where["mount"]), state["mounts"][where["mount"]]
        if number not in numbers:
            yield field, None if where["mount"] == above else at, None
            continue
        found = numbers[number]
        yield field, (at, mine["fstype"], mine["root"]), (found["at"], found["fstype"], found["root"])
        if field == "cwd":
            yield field, (at or "").rstrip("/") + where["path"] or "/", path


def limits(process, real):
    for line in real["limits"]:
        for title, name in LIMITS.items():
            if line.startswith(title):
                words = line[len(title):].split()[:2]
                yield name, ["unlimited" if n == -1 else str(n) for n in process["rlimits"][name]], words
    yield "cgroup", process["cgroup"], dict(line.split(":", 2)[1:] for line in real["cgroup"])


def network(net, process, real):
    """Of a namespace of its own all that there is; of the host's only the loopback was looked at before."""
    if process["namespaces"]["net"]["how"] == "new":
        links = {name: {"up": link["up"], "addresses": sorted(link["addresses"])} for name, link in net["links"].items()}
        yield "links", links, {name: link for name, link in real["links"].items()
                               if name in links or link["up"] or link["addresses"]}  # the others the kernel has made
        yield "routes", sorted(net["routes"]), real["routes"]
    elif "lo" in net["links"]:
        yield "links", net["links"]["lo"]["up"], real["links"]["lo"]["up"]
