"""Fault injection: each system call of the runtime's fails once, and what comes of it is looked at.

    python tests/steps/faults.py --table      what was tried and what came of it, a row a layer
    python tests/steps/faults.py --json       the same as data; --long tries every call with every errno

The tracer (strace) is attached to one process, the runtime or its child, after Python's imports
and before our first call: main() has not begun, nothing is isolated yet, nothing to undo. So the
N-th call of a kind is the same one in every run, and nobody else's calls are counted. The child
waits for its tracer right after clone3. Its range ends at execve: what fails in the container's
program later is not ours.
"""
import argparse
import collections
import concurrent.futures
import json
import os
import pwd
import re
import shutil
import sys
from pathlib import Path

sys.path[:0] = [str(folder) for folder in Path(__file__).resolve().parents[:3]]

from conftest import CHECKOUT, Who  # noqa: E402
from crabcan_steps import ch09_runtime  # noqa: E402
from faultrun import CACHE, Call, Run  # noqa: E402

ERRNOS = ("EPERM", "ENOSYS", "EINVAL", "ENOMEM", "EINTR")
SIGNALS = ("SIGKILL", "SIGTERM", "SIGSTOP")
VERDICTS = ("refused", "harmless", "violation", "missed")
MATTER = ("clone3", "mount_setattr", "move_mount", "pivot_root", "umount2", "fchdir", "unshare", "setns",
          "prctl", "capset", "seccomp", "setresuid", "setresgid", "setgroups", "keyctl", "write", "chdir",
          "close_range", "sethostname", "setsid", "prlimit64", "execve", "umask")
SPREAD = 80  # the short form takes one of so many of the rest
CACHES, SWEPT = [], []   # what killed runtimes have left, for the next run to sweep
ASKED = ["--memory", "1G", "--pids", "64", "--cpus", "0.5"]  # asked for: then none may be missing
# Calls that cannot fail in the kernel; and the gate's own, which nothing else here makes.
NOT_FAULTS = ("exit_group", "exit", "rt_sigreturn", "restart_syscall", "readv", "writev", "access", "getpid",
              "getuid", "geteuid", "getgid", "getegid")
# How our messages call what strace sees, where it is not the same.
CALLED = {
    "openat": {"listdir", "open", "read", "scandir", "write"},
    "newfstatat": {"fstat", "listdir", "lstat", "open", "read", "scandir", "stat"},
    "recvfrom": {"recv"}, "sendto": {"send"}, "fchmodat": {"chmod"}, "fchmod": {"chmod"}, "mkdirat": {"mkdir"},
    "symlinkat": {"symlink"}, "getrandom": {"urandom"}, "getdents64": {"listdir", "scandir"},
    "readlink": {"readlink"}, "signalfd4": {"signalfd"}, "prlimit64": {"getrlimit", "setrlimit"},
    "rt_sigprocmask": {"pthread_sigmask"}, "rt_sigaction": {"signal"}, "vfork": {"posix_spawn"},
    "clone": {"posix_spawn"}, "wait4": {"waitpid"},
    "prctl": {"capbset_drop", "prctl", "set_no_new_privs"},
    "getsockname": {"socket", "socketpair"}, "close": {"listdir", "read", "scandir", "write"},
    "lseek": {"read"}, "mmap": {"MemoryError", "posix_spawn"},
    "clone3": {"clone3", "posix_spawn"}, "ioctl": {"read"}, "read": {"posix_spawn"},
    "fcntl": {"dup"}}


# ---------------------------------------------------------------- what is tried

def options(who):
    return ASKED if who.has_cgroups() else []


def baseline(who):
    """Our calls, and the protections of a container for which none of them failed."""
    cache = Path(CACHE.format(who.uid))
    if not cache.exists():
        cache.mkdir()
        CACHES.append(cache)
    os.chown(cache, who.uid, -1)
    Run(who, "neither", options=options(who)).go()
    calls, facts, errors = [], [], []
    for side in ("parent", "child"):
        run = Run(who, side, options=options(who), marks=True).go()
        if run.status or not run.facts:
            raise RuntimeError(f"no baseline: {run.status} {run.errors}")
        calls += parse(run.injected(), side)
        facts.append(run.facts)
        errors.append(run.errors)
    assert facts[0] == facts[1], differences(*facts)
    return calls, facts[0], errors[0]


def clean():
    while CACHES:
        shutil.rmtree(CACHES.pop())


def parse(log, side):
    """The calls of one process in a log of strace's, up to its execve."""
    layer, counts, calls = "", collections.Counter(), []
    for text in log.splitlines():
        name = re.match(r"(\w+)\(", text)
        if not name:
            continue
        name = name[1]
        if name == "access" and '"layer ' in text:
            layer = text.split('"')[1].removeprefix("layer ")
            continue
        counts[name] += 1
        if name not in NOT_FAULTS:
            calls.append(Call(side, name, counts[name], layer or "protocol", text))
        if name == "execve":
            break
    return calls


def injections(call, errnos=ERRNOS):
    """What can be done to a call, as strace says it."""
    if call.name == "brk":
        yield "retval=0"  # it returns no errno but where the heap ends
        return
    yield from (f"error={errno}" for errno in errnos)
    if call.name == "write" and call.layer in ("namespaces", "cgroups") and ', 1)' not in call.text:
        yield "retval=1"  # a short write


# ---------------------------------------------------------------- what comes of it

def attempt(who, call, injection, expected, warned, extra=()):
    """One run with one fault; returns (verdict, why)."""
    inject = ["-e", f"trace={call.name}", "-e", f"inject={call.name}:{injection}:when={call.nth}"]
    run = Run(who, call.side, inject, [*options(who), *extra]).go()
    return judge(run, call, injection, expected, warned)


def judge(run, call, injection, expected, warned):
    said = [line for line in run.errors.splitlines() if line not in warned.splitlines()
            and not line.startswith(("newuidmap:", "newgidmap:"))]
    killed = injection == "signal=SIGKILL" and call.side == "parent"
    if run.hung:
        return "violation", "hangs"
    if not run.hit():
        return "missed", run.injected()[-200:]
    if "Traceback" in run.errors:
        return "violation", "a traceback: " + run.errors.strip().splitlines()[-1]
    if killed:
        SWEPT.extend(path for path in run.left if path.startswith("/"))
    if run.left and not (killed and not any(x.startswith("process ") for x in run.left)):
        return "violation", f"left behind: {run.left}"
    if injection.startswith("signal") and "STOP" not in injection:
        if run.status in (-9, -15, 143, 137) or run.facts and run.facts == expected:
            return "refused", f"ended with {run.status}"
    if run.facts:
        wrong = differences(expected, run.facts)
        if set(wrong) == {"mounts"} and only_less(*wrong["mounts"]):
            return "harmless", "less is mounted"
        if wrong:
            return "violation", f"runs, but: {wrong}"
        if run.status and not said:
            return "violation", f"ran, then ended with {run.status} without a word"
        return "harmless", " ".join(said)
    if run.status not in (125, 126, 127, 2):
        return "violation", f"status {run.status}: {run.errors}"
    if len(said) != 1:
        return "violation", f"says {said}"
    words = re.match(r"crabcan: (?:chapter \d+ \((\w+)\)|(\w+)): (\w+)", said[0])
    if injection.startswith("signal"):
        return "refused", said[0]
    if call.layer == "args" and words and words[3].endswith("Error"):
        return "refused", said[0]  # Python's own imports: the exception is the best name there is
    if call.name == "execve" and run.status in (126, 127) and "/bin/cat" in said[0]:
        return "refused", said[0]
    names = CALLED.get(call.name, set()) | {call.name}
    if names & {"posix_spawn", "waitpid"}:
        names.add("newidmap")  # is told as one
    if words and words[3] == "cgroup":
        words = [None, words[1], words[2], re.search(r"\((\w+)", said[0].partition("cgroup:")[2])[1]]
    if not words or words[3] not in names:
        return "violation", f"names no call: {said[0]}"
    if run.same(call) and call.layer not in ("protocol", words[1] or words[2]):
        return "violation", f"names another layer: {said[0]}"
    return "refused", said[0]


def only_less(expected, found):
    """Whether nothing but /sys or /dev/mqueue is missing: no more can be reached without them."""
    lost = [line for line in expected if line not in found]
    return set(found) < set(expected) and all(
        re.match(r"/(sys|dev/mqueue)(/|$)", line.split()[1]) for line in lost)


def differences(expected, found):
    return {key: (expected[key], found[key]) for key in expected if expected[key] != found[key]}


# ---------------------------------------------------------------- all of it, and the table

def everything(calls):
    """(call, injection) for each fault to try."""
    faults = [(call, injection) for call in calls for injection in injections(call)]
    return faults + [(call, f"signal={name}") for call in stages(calls) for name in SIGNALS]


def sample(calls):
    """The short form: what matters most with EPERM and one more, and of all the rest a part."""
    chosen, seen = [], set()
    for call in calls:
        kind = (call.side, call.name, call.layer, call.name == "prctl" and call.text.split(",")[0])
        if call.name in MATTER and kind not in seen:
            seen.add(kind)
            wanted = [*injections(call, ("EPERM", "ENOMEM"))]
            chosen += [(call, injection) for injection in wanted]
    return chosen + [fault for fault in everything(calls)[::SPREAD] if fault not in chosen]


def stages(calls):
    """Calls to send signals at: the first of each stretch that a layer makes."""
    return [call for before, call in zip([None, *calls], calls)
            if before is None or (before.side, before.layer) != (call.side, call.layer)]


def run_all(who, faults, expected, warned, workers=2):
    """Tries faults, a few at once; yields (call, injection, verdict, why)."""
    def one(fault):
        try:
            return *fault, *attempt(who, *fault, expected, warned)
        except Exception as error:  # of our own: shown, never hidden
            return *fault, "violation", f"{type(error).__name__}: {error}"
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        yield from pool.map(one, faults)
    if who.root and not sweep(who):
        yield None, "signal=SIGKILL", "violation", "the next run did not sweep what killed ones left"


def sweep(who):
    """What killed runtimes leave is a cgroup for the next run to find: tells whether it does."""
    who.run("true")
    return not any(os.path.exists(path) for path in SWEPT)


def table(results):
    """{layer: {verdict: how many}} of results."""
    rows = collections.defaultdict(collections.Counter)
    for call, _, verdict, _ in results:
        rows[call.layer if call else "protocol"][verdict] += 1
    return rows


def render(rows):
    lines = [f"{'layer':12}" + "".join(f"{word:>11}" for word in ("faults", *VERDICTS))]
    known = ["args", "protocol", *ch09_runtime.NAMES]
    rows = {layer: rows[layer] for layer in sorted(rows, key=known.index)}
    for layer, row in {**rows, "all": sum(rows.values(), collections.Counter())}.items():
        lines.append(f"{layer:12}{sum(row.values()):11}" + "".join(f"{row[word]:11}" for word in VERDICTS))
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--long", action="store_true", help="every call with every errno")
    parser.add_argument("--table", action="store_true", help="print a table, a row a layer (the default)")
    parser.add_argument("--json", action="store_true", help="print the same as JSON, with each violation")
    parser.add_argument("--part", default="1/1", metavar="I/N", help="only the I-th of N parts")
    chosen = parser.parse_args()
    who = Who(pwd.getpwuid(os.getuid()).pw_name, [sys.executable], CHECKOUT)
    calls, facts, warned = baseline(who)
    part, parts = map(int, chosen.part.split("/"))
    faults = (everything(calls) if chosen.long else sample(calls))[part - 1::parts]
    results = list(run_all(who, faults, facts, warned))
    wrong = [f"{call!r} {injection}: {why}" for call, injection, verdict, why in results
             if verdict == "violation"]
    if chosen.json:
        user = "root" if who.root else "user"
        print(json.dumps({"user": user, "layers": table(results), "violations": wrong}))
    else:
        print(render(table(results)))
        print(*wrong, sep="\n", end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    finally:
        clean()
