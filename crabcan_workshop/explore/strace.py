"""Other people's containers: what strace(1) tells of their birth, as a recording of our own form."""
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import SimpleNamespace

from crabcan_steps import telling

from .filters import enriched
from .foreign import CLOEXEC, KEPT, MADE, THREAD, event, flags_of
from .lines import calls
from .reducer import initial, reduce

CLONES = ("clone", "clone3", "fork", "vfork")
CALLS = ",".join(sorted({*KEPT, *MADE, *CLONES, "seccomp"} - {"exit"}))
OPTIONS = ["-f", "-v", "-y", "--decode-pids=pidns", "-ttt", "-T", "-s", "4096", "-X", "raw",
           "-e", "signal=none", "-e", f"trace={CALLS}"]


class StraceError(Exception):
    """strace could not be had, or has recorded nothing: what to do about it."""


def record(command, **settings):
    """The events of a command's run, and its exit status. Raises StraceError."""
    if not shutil.which("strace"):
        raise StraceError("there is no strace here: apt-get install strace")
    with tempfile.TemporaryDirectory(prefix="crabcan-strace-") as folder:
        file = Path(folder, "lines")
        status = subprocess.run(["strace", *OPTIONS, "-o", file, "--", *command], **settings).returncode
        text = file.read_text(errors="surrogateescape") if file.exists() else ""
    events = translated(text.splitlines(), before())
    if not events:
        raise StraceError(f"strace has recorded nothing of {command[0]}: may you trace here (ptrace(2))?")
    return events, status


def before():
    """How the world is for a command that we start: as it is for us, with our first three descriptors."""
    facts = telling.begin(SimpleNamespace(env=()))
    return {**facts, "descriptors": {fd: [facts["descriptors"].get(fd, [""])[0], False] for fd in "012"}}


def translated(lines, facts=None):
    """strace's lines as events. facts: of `begin`, if somebody was there to note them."""
    told = list(calls(lines))
    if not told:
        return []
    # Who is born has a life before clone has returned to whoever has made it; and what one thread has closed,
    # another's open may have before close has returned.
    told.sort(key=lambda call: call.begun if call.name in (*CLONES, "close") else call.begun + call.seconds)
    first, begin = told[0].pid, told[0].begun
    events, owner = [], {first: first}
    for call in told:
        process = owner.get(call.pid, call.pid)
        if call.name in CLONES:
            made = born(call, process, begin)
            if made is None:
                continue
            if made["args"][0] & THREAD:
                owner[call.result] = process  # a thread: the same process, as far as we are concerned
                continue
        else:
            made = event(call, process, begin)
        if made and not (made["call"] == "exit" and call.pid != process):
            events.append(enriched(made))
    if facts is not None:
        facts = {**facts, "pid": first}
        events.insert(0, {"side": first, "chapter": 0, "layer": "", "call": "begin", "args": [], "options": facts,
                          "result": None, "errno": 0, "microseconds": 0, "at": 0})
    return named(events, first)


def born(call, process, begin):
    """The event of clone and its like. Of its own call nothing is said before it has returned."""
    if not isinstance(call.result, int) or call.result < 0:
        return None
    flags, cgroup = flags_of(call.args) if call.name in ("clone", "clone3") else (0, 0)
    return {"side": process, "chapter": 2, "layer": "clone", "call": call.name, "args": [flags, cgroup],
            "options": {}, "result": call.result, "errno": 0, "microseconds": round(call.seconds * 1e6),
            "at": round((call.begun - begin) * 1e6), "makes": call.result}


def named(events, first):
    """The events with sides for numbers: parent, child (the container's program), and others by program."""
    container = contained(events, first)
    names = {container: "child"} | {first: "parent"}
    if container == first and events[0]["call"] == "begin":
        events[0]["options"]["subject"] = "parent"
    programs = became(events)
    for each in events:
        if "makes" in each:
            programs.setdefault(each["makes"], programs.get(each["side"], "process"))
            names.setdefault(each["makes"], f"{programs[each['makes']]} {len(names) + (container == first)}")
    makers = {each["makes"]: each["side"] for each in events if "makes" in each}
    line = set()
    while container in makers and container not in line:
        line.add(container)
        container = makers[container]
    return [{**each, "side": names.get(each["side"], "parent"),
             **({"makes": names[each["makes"]], "leads": each["makes"] in line} if "makes" in each else {})}
            for each in events]


def became(events):
    """The last program of each process that executed one: by that its reader knows it."""
    programs = {}
    for each in events:
        path = str(each["args"][0]) if each["call"] == "execve" and not each["errno"] else ""
        if path and not path.startswith("/proc/"):  # itself once more, as runc does: what it is called says nothing
            programs[each["side"]] = path.rpartition("/")[2]
    return programs


def contained(events, first):
    """The number of the process that became the container's program: it executes, with another root.

    Or at least in namespaces of its own. If none does: one that was to, or else the first of all."""
    state, best, rooted = initial(), {}, any(each["call"] in ("pivot_root", "chroot") for each in events)
    for each in events:
        side = "parent" if each["side"] == first else str(each["side"])
        again = {**each, "side": side}
        if "makes" in each:
            again["makes"] = str(each["makes"])
        state = reduce(state, again)
        process = state["processes"].get(side)
        if each["call"] == "execve" and not each["errno"] and process:
            own = any(place["how"] == "new" for place in process["namespaces"].values())
            changed = rooted and process["namespaces"]["mnt"]["how"] == "new" and pivoted(state, process)
            if own:
                best.setdefault("root" if changed else "own", each["side"])
    halfway = [each["pid"] for side, each in state["processes"].items() if side != "parent" and any(
        place["how"] == "new" for place in each["namespaces"].values())]
    return best.get("root") or best.get("own") or next(reversed(halfway), first)


def pivoted(state, process):
    """Whether what a process has as its root is not the host's root file system."""
    mount, host = (state["mounts"].get(name) for name in (
        process["root"]["mount"], state["namespaces"]["mnt:0"]["root"]))
    return bool(process["root"]["path"]) or not host or not mount or \
        (mount["device"], mount["root"]) != (host["device"], host["root"])
