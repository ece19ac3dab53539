"""Fault injection: each system call of the runtime's fails once, and what comes of it is looked at.

    python tests/faults.py --table      what was tried and what came of it, a row a layer
    python tests/faults.py --json       the same as data; --long tries every call with every errno

The tracer (strace) is attached to one process, the runtime or its child, after Python's imports
and before our first call: main() has not begun, nothing is isolated yet, nothing to undo. So the
N-th call of a kind is the same one in every run, and nobody else's calls are counted. The child
waits for its tracer right after clone3. Its range ends at execve: what fails in the container's
program later is not ours.
"""
import argparse
import collections
import contextlib
import concurrent.futures
import json
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parent.parent)]

from conftest import CHECKOUT, UNIFIED, Who, gone, wait_for  # noqa: E402
from crabcan_steps.ch08_cgroups import LIMITS  # noqa: E402
from crabcan_workshop.measure import observe  # noqa: E402

ERRNOS = ("EPERM", "ENOSYS", "EINVAL", "ENOMEM", "EINTR")
SIGNALS = ("SIGKILL", "SIGTERM", "SIGSTOP")
VERDICTS = ("refused", "harmless", "violation", "missed")
MATTER = ("clone3", "mount_setattr", "move_mount", "pivot_root", "umount2", "fchdir", "unshare", "setns",
          "prctl", "capset", "seccomp", "setresuid", "setresgid", "setgroups", "keyctl", "write", "chdir",
          "close_range", "sethostname", "setsid", "prlimit64", "execve", "umask")
SPREAD = 80  # the short form takes one of so many of the rest
CACHES, SWEPT = [], []   # what killed runtimes have left, for the next run to sweep
TIMEOUT = 20
CACHE = f"/tmp/crabcan-faults-{os.getpid()}-{{}}"  # of compiled filters: the baseline's run fills it
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

LAUNCHER = """
import os, sys
from crabcan_steps import ch01_args, ch02_clone, ch09_runtime, cli, linux
gate, tell, marks = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "marks"
real = linux.clone3

def wait():
    os.readv(gate, [bytearray(1)])

def clone3(flags, cgroup):
    result = real(flags, cgroup)
    if result[0] == 0:
        wait()
    else:
        os.writev(tell, [b"%d\\n" % result[0]])
    return result

def mark(kind, name, layer):
    method = getattr(kind, name)
    begin, end = (b"layer %s" % text.encode() for text in (layer, ""))
    def call(*args):
        os.access(begin, 0)
        try:
            return method(*args)
        finally:
            os.access(end, 0)
    setattr(kind, name, call)

linux.clone3 = clone3
if marks:
    mark(ch01_args, "parse", "args")
    for kind in (*ch09_runtime.LAYERS, ch02_clone.Start):
        for name in ("prepare", "parent", "child"):
            mark(kind, name, kind.name)
if sys.argv[4] == "parent":
    os.write(tell, b"imported\\n")
    wait()
sys.exit(cli.main(sys.argv[5:]))
"""


class Call:
    """A system call of the baseline's: in which process, the how many-th of its kind, whose."""

    def __init__(self, side, name, nth, layer, text):
        self.side, self.name, self.nth, self.layer, self.text = side, name, nth, layer, text

    def __repr__(self):
        return f"{self.side} {self.name}#{self.nth} ({self.layer}): {self.text[:90]}"


class Run:
    """One start of a container that echoes, with a tracer at the runtime or at its child."""

    def __init__(self, who, side, inject="", options=(), marks=False):
        self.who, self.side = who, side
        self.log = tempfile.NamedTemporaryFile("r", prefix="crabcan-faults-")
        gate, self.gate = os.pipe()
        self.told, tell = os.pipe()
        words = [str(gate), str(tell), "marks" if marks else "", side, "run", *options, "--", "/bin/cat"]
        self.process = subprocess.Popen(
            [*who.python, "-P", "-c", LAUNCHER, *words],
            text=True, cwd="/", env={**who.environment, "XDG_CACHE_HOME": CACHE.format(who.uid),
                                     "PYTHONHASHSEED": "0"},  # or sets have another order each time
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=(gate, tell))
        os.close(gate)
        os.close(tell)
        self.trace = ["strace", "-o", self.log.name, *inject]
        self.init = self.tracer = None
        self.facts, self.continued = None, False

    def go(self):
        """Attaches the tracer, lets the container come up, looks at it, lets it end."""
        try:
            if self.side == "parent" and self.line(self.told):
                self.attach(self.process.pid)
            self.init = int(self.line(self.told) or 0)
            if self.side == "child" and self.init:
                self.attach(self.init)
            elif self.init:
                self.open_gate()
            self.talk()
        finally:
            os.close(self.gate)
            os.close(self.told)
        return self

    def attach(self, pid):
        self.tracer = subprocess.Popen([*self.trace, "-p", str(pid)], text=True,
                                       stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.tracer.stderr.readline()  # "Process N attached"
        self.open_gate()

    def open_gate(self):
        with contextlib.suppress(BrokenPipeError):  # it has failed already
            os.write(self.gate, b"g")

    def line(self, fd):
        """A line from a pipe, "" at its end; continues whoever stops meanwhile."""
        end, text = time.monotonic() + TIMEOUT, b""
        os.set_blocking(fd, False)
        while time.monotonic() < end and not text.endswith(b"\n"):
            try:
                data = os.read(fd, 100)
                if not data:
                    return text.decode()
                text += data
            except BlockingIOError:
                time.sleep(0.002)
                self.continue_stopped()
        return text.decode()

    def continue_stopped(self):
        if "SIGSTOP" in str(self.trace) and not self.continued and "stopped by SIGSTOP" in self.injected():
            self.continued = True
            os.kill(self.process.pid if self.side == "parent" else self.init, signal.SIGCONT)

    def talk(self):
        """Says a word to the container; if it answers, it runs: then it is looked at."""
        self.hung = False
        try:
            self.process.stdin.write("word\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        if self.line(self.process.stdout.fileno()) == "word\n":
            try:
                self.facts = look(self.init)
            except (OSError, StopIteration):
                pass  # ended meanwhile: a signal
        end = time.monotonic() + TIMEOUT
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        while self.process.poll() is None and time.monotonic() < end:
            self.continue_stopped()
            time.sleep(0.002)
        if self.process.poll() is None:
            self.hung = True
            self.process.kill()
        os.set_blocking(self.process.stdout.fileno(), True)
        self.errors = self.process.stderr.read() if not self.hung else ""
        self.status = self.process.wait()
        self.left = self.look_around()
        if self.tracer:
            self.tracer.communicate(timeout=TIMEOUT)
        self.process.stdout.close()
        self.process.stderr.close()

    def look_around(self):
        """What is left of it: processes, cgroups."""
        left = []
        if self.init and not wait_for(lambda: gone(self.init)):
            left.append(f"process {self.init}")
            os.kill(self.init, signal.SIGKILL)
        pid = self.process.pid
        for base in [f.path for f in os.scandir("/sys/fs/cgroup") if f.is_dir()]:
            left += [path for path, _, _ in os.walk(base) if f"/crabcan-{pid}-" in path]
        return left

    def injected(self):
        return Path(self.log.name).read_text(errors="replace")

    def hit(self):
        """Whether the fault has hit our own call: it stands in the log, before the execve."""
        before = re.split(r"^execve\(.*= 0$", self.injected(), flags=re.M)[0]
        return "(INJECTED)" in before or "--- SIG" in before or "+++ killed" in before

    def same(self, call):
        """Whether the call that was hit is the baseline's: other containers on the host shift it."""
        hit = next(line for line in self.injected().splitlines() if "(INJECTED)" in line)
        return shape(hit) == shape(call.text)


def shape(text):
    """A line of strace's less its result and its numbers."""
    return re.sub(r"0x\w+|\d+|crabcan-\S+", "", re.split(r"\)? += ", text)[0].partition("{")[0])


def look(pid):
    """The container's protections, seen from outside, less what differs from run to run."""
    facts = observe.look(pid)
    own = {name: os.readlink(f"/proc/self/ns/{name}") for name in facts["namespaces"]}
    facts["namespaces"] = {name: link != own[name] for name, link in facts["namespaces"].items()}
    facts["cgroups"] = {name: re.sub(r"crabcan-\d+-\w+", "crabcan", path)
                        for name, path in facts["cgroups"].items()}
    del facts["throttled"]
    facts["root"] = facts["root"].partition(" ")[2]
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    for name in ("Uid", "Gid", "Groups", "Umask", "NSpid", "Seccomp_filters", "SigBlk", "SigIgn", "SigCgt"):
        facts[name] = status[name].strip()
        facts[name] = re.sub(rf"\b{pid}\b", "PID", facts[name])
    facts["mounts"] = [mount(line) for line in Path(f"/proc/{pid}/mountinfo").read_text().splitlines()]
    facts["limits"] = Path(f"/proc/{pid}/limits").read_text()
    facts["oom_score_adj"] = Path(f"/proc/{pid}/oom_score_adj").read_text()
    facts["files"] = sorted(os.listdir(f"/proc/{pid}/fd"))
    facts["cwd"] = os.readlink(f"/proc/{pid}/cwd")
    facts["id maps"] = [Path(f"/proc/{pid}/{kind}_map").read_text() for kind in ("uid", "gid")]
    facts["cgroup files"] = cgroup_files(pid)
    facts["session"] = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[3] == str(pid)
    facts["environment"] = re.sub(r"HOSTNAME=[a-z0-9-]+", "HOSTNAME",
                                  Path(f"/proc/{pid}/environ").read_text())
    return facts


def cgroup_files(pid):
    """The limits that chapter 8 sets, as they stand in the container's own cgroups."""
    found = {}
    for controllers, path in observe.cgroups(pid).items():
        version = 1 if controllers else 0  # version 2's one tree has no controllers in its line
        place = f"/sys/fs/cgroup/{controllers}{path}" if version else f"/sys/fs/cgroup{path}"
        for controller, files in (entry[version] for entry in LIMITS.values() if "crabcan" in path):
            if not controllers or controller in controllers.split(","):
                found |= {file: Path(place, file).read_text() for file in files if Path(place, file).exists()}
    return found


def mount(line):
    """A line of mountinfo less its numbers. Whether ids are shifted is comfort, not protection."""
    words = line.split()
    options = words[5].replace(",idmapped", "")
    return " ".join([words[3], words[4], options, *words[6:]])


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
    rows = {**rows, "all": sum(rows.values(), collections.Counter())}
    for layer, row in rows.items():
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
