"""Our default container beside those of other runtimes, on this machine: what each closes."""
import json
import os
import shutil
import signal
import tempfile
import time
from pathlib import Path

from .matrix import PROPERTIES, SIGNS, own
from .observe import PROBE, Canaries, ObserveError, limits, look, probing, stat_of
from .peers import RUNTIMES, clean_up, environment, make_root, podman_groups

ATTEMPTS = Path(__file__).with_name("attempts.py")
DEFERRED = ("pid", "calls", "memory", "pids", "cpu", "nofile")  # asked otherwise here: see ROWS
ROOT_NOTE = """Not asked: whether / can be written. In runc's default bundle it cannot; ours is a tmpfs
  that goes with the container, and --read-only makes it so too."""


def refused(what):
    return lambda i, o, h: None if i[what] is None else not i[what]


def less(kind):
    """Closed if less than the caller itself may have."""
    return lambda i, o, h: o["limits"][kind] < h["limits"][kind]


# property: (what it means, how to tell from inside, outside and the host)
ROWS = {
    "pid": ("no process of the host in sight",
            lambda i, o, h: not i["host process seen"] and own("pid")(i, o, h)),
} | {name: words[1:] for name, words in PROPERTIES.items() if name not in DEFERRED} | {
    "memory": ("a limit on memory", less("memory")),
    "pids": ("a limit on processes", less("pids")),
    "cpu": ("a limit on processor time", less("cpu")),
    "nofile": ("fewer open files than the caller may have", less("nofile")),
    "core": ("no core dumps", refused("dumps core")),
    "parent": ("kill -9 of the runtime ends the container",
               lambda i, o, h: o["ends with the runtime"]),
    "fds": ("no open file of the caller's comes along", refused("descriptor")),
    "umask": ("files are not writable for all, whatever the caller's umask",
              lambda i, o, h: i["umask"] & 0o022 == 0o022),
    "secrets": ("/proc/kcore, keys, timers, firmware: hidden", refused("secrets read")),
    "/proc": ("no settings of the kernel's in /proc can be written", refused("/proc writable")),
    "/sys": ("nor in /sys", refused("/sys writable")),
    "devices": ("no device files can be made and used", refused("device")),
    "set-uid": ("no set-user-ID files can be made", refused("set-user-ID file")),
    "tiocsti": ("TIOCSTI (typing into the terminal) is refused", refused("types into terminal")),
    "tioclinux": ("TIOCLINUX (pasting into a console) is refused", refused("TIOCLINUX")),
    "keyctl": ("keyctl is refused", refused("keyctl")),
    "userns": ("new user namespaces are refused to unshare, clone and clone3",
               refused("user namespace")),
    "nesting": ("so are new mount, network and UTS namespaces", refused("new namespaces")),
    "i386": ("calls by int 0x80 are refused", refused("i386")),
    "io_uring": ("io_uring is refused", refused("io_uring")),
    "bpf": ("bpf is refused", refused("bpf")),
    "perf": ("perf_event_open is refused", refused("perf")),
    "uffd": ("userfaultfd is refused", refused("userfaultfd")),
    "aslr": ("personality cannot switch off address randomization", refused("personality")),
    "ptrace": ("no process of the host's can be traced", refused("traces the host")),
    "dmesg": ("the kernel's log is out of reach", refused("kernel log")),
    "af_packet": ("no raw packets", refused("raw packets")),
    "af_alg": ("no AF_ALG sockets (the kernel's ciphers)", refused("AF_ALG")),
    "af_vsock": ("no AF_VSOCK sockets (to the hypervisor)", refused("AF_VSOCK")),
    "af_netlink": ("no AF_NETLINK sockets (getaddrinfo wants one)", refused("AF_NETLINK")),
}


def find(token):
    """The probe, by words that only it was started with: runtimes differ in whose child it is."""
    start = b"/usr/bin/python3\0-I\0-c\0"
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                words = Path(entry.path, "cmdline").read_bytes()
            except OSError:
                continue
            if words.startswith(start) and token.encode() in words:
                return int(entry.name)
    raise ObserveError("the probe is not to be found in /proc")


def gone(pid, seconds=1):
    """Tells whether a process ends within some time."""
    for _ in range(seconds * 50):
        try:
            if stat_of(pid)[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.02)
    return False


def visit(runtime, way, folder, canaries):
    """Runs the probe there, then kills the runtime: (inside, outside, what it printed)."""
    with open(canaries["file"]) as file:
        status = os.fstat(file.fileno())
        canaries = {**canaries, "burn": 0, "linger": 10,
                    "descriptor": [status.st_dev, status.st_ino]}
        words = ["/usr/bin/python3", "-I", "-c", PROBE.read_text(), json.dumps(canaries),
                 ATTEMPTS.read_text()]
        env = environment(folder) if runtime == "podman" else {}
        with probing(way(folder, words), lambda _: find(canaries["file"]), env=env,
                     umask=0, pass_fds=(file.fileno(),)) as (process, pid, inside, errors):
            outside = {**look(pid), "limits": limits(pid)}
            process.kill()
            ends = outside["ends with the runtime"] = None if pid == process.pid else gone(pid)
            if ends is False:
                os.kill(pid, signal.SIGKILL)
            errors.seek(0)
            return inside, outside, errors.read().strip()


def columns(progress=lambda runtime: None):
    """Visits every runtime; yields (runtime, {property: cell} or None, note)."""
    host = {**look("self"), "hostname": os.uname().nodename, "limits": limits("self")}
    groups = podman_groups()
    with Canaries() as canaries, tempfile.TemporaryDirectory(prefix="crabcan-compare-") as path:
        folder = Path(path)
        make_root(folder)
        try:
            for runtime, (program, ways) in RUNTIMES.items():
                progress(runtime)
                if program and not shutil.which(program):
                    yield runtime, None, "not installed"
                    continue
                yield runtime, *first(runtime, ways, folder, canaries, host)
        finally:
            clean_up(folder, groups)


def first(runtime, ways, folder, canaries, host):
    """The first way to start a runtime that works here: ({property: cell}, note)."""
    failures = []
    for note, way in ways:
        try:
            inside, outside, errors = visit(runtime, way, folder, canaries)
        except (ObserveError, OSError) as error:
            failures.append(str(error).splitlines()[-1])
            continue
        if failures:
            note += f"; without that: {failures[0]}"
        cells = {name: cell(test(inside, outside, host)) for name, (_, test) in ROWS.items()}
        return cells, errors.removeprefix("crabcan: ") if runtime == "crabcan" else note
    return None, f"does not run here: {failures[0]}"


def cell(closed):
    return "absent" if closed is None else "closed" if closed else "open"


def looser(table):
    """Rows in which another runtime is closed and ours is not: {property: [runtimes]}."""
    ours = table["crabcan"][0]
    others = {name: cells for name, (cells, _) in table.items() if cells and name != "no container"}
    better = {row: [name for name in others if others[name][row] == "closed"] for row in ROWS}
    return {row: better[row] for row in ROWS if ours and ours[row] != "closed" and better[row]}


def draw(table, console):
    """Properties down, runtimes across, as text."""
    from rich.text import Text
    plain = "utf" not in (console.encoding or "").lower()
    shown = {name: cells for name, (cells, _) in table.items() if cells}
    console.print(Text(" " * 12 + "  ".join(shown), style="dim"))
    for row, (meaning, _) in ROWS.items():
        line = Text(f"{row:10}")
        for name, cells in shown.items():
            sign, letter, style = SIGNS[cells[row]]
            line.append("  ").append((letter if plain else sign).center(len(name)), style)
        console.print(line.append(f"  {meaning}"))
    console.print()
    used = {value for cells in shown.values() for value in cells.values()}
    meanings = {"closed": "closed", "open": "open", "absent": "not to be had, or tried, here"}
    legend = [f"{SIGNS[v][1 if plain else 0]} {text}" for v, text in meanings.items() if v in used]
    console.print("  " + "    ".join(legend))
    console.print("  What is closed under no container, this machine itself closes or lacks.")
    for name, (_, note) in table.items():
        if note:
            console.print(f"  {name}: {note}", markup=False)
    console.print(f"  {ROOT_NOTE}")
    for row, better in looser(table).items():
        console.print(f"  {row}: {', '.join(better)} closed, ours NOT", style="bold", markup=False)


def main(options):
    """The command; 0 if ours is at least as tight as any of the others in every row."""
    from rich.console import Console
    os.environ["PATH"] = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"  # runc is there
    console, notes = Console(highlight=False, soft_wrap=True), Console(stderr=True)
    table = {}
    with notes.status("starting") as status:
        for runtime, cells, note in columns(lambda name: status.update(f"looking at {name}")):
            table[runtime] = (cells, note)
    if options.json:
        print(json.dumps({"properties": {row: meaning for row, (meaning, _) in ROWS.items()},
                          "runtimes": {name: {"cells": cells, "note": note}
                                       for name, (cells, note) in table.items()}}, indent=1))
    else:
        draw(table, console)
    return 1 if not table["crabcan"][0] or looser(table) else 0
