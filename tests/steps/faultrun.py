"""One start of a container with one fault in it, for faults.py: the tracer, and the look from outside."""
import contextlib
import os
import re
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from conftest import gone, wait_for
from crabcan_steps.ch08_cgroups import LIMITS
from crabcan_workshop.measure import observe

TIMEOUT = 20
CACHE = f"/tmp/crabcan-faults-{os.getpid()}-{{}}"  # of compiled filters: the baseline's run fills it

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
    launcher = LAUNCHER

    def __init__(self, who, side, inject="", options=(), marks=False):
        self.who, self.side = who, side
        self.log = tempfile.NamedTemporaryFile("r", prefix="crabcan-faults-")
        gate, self.gate = os.pipe()
        self.told, tell = os.pipe()
        words = [str(gate), str(tell), "marks" if marks else "", side, *self.words(options)]
        self.process = subprocess.Popen(
            [*who.python, "-P", "-c", self.launcher, *words],
            text=True, cwd="/", env={**who.environment, "XDG_CACHE_HOME": CACHE.format(who.uid),
                                     "PYTHONHASHSEED": "0"},  # or sets have another order each time
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=(gate, tell))
        os.close(gate)
        os.close(tell)
        self.trace = ["strace", "-o", self.log.name, *inject]
        self.init = self.tracer = None
        self.facts, self.continued = None, False

    def words(self, options):
        """The command line."""
        return ["run", *options, "--", "/bin/cat"]

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
