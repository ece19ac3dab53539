"""The room as a machine: runs checkpoints on it, and compares it before and after.

What in here is called "your machine" is the room. If the learner's code harms it, that is found by
comparing, and said.
"""
import json
import os
import select
import signal
import subprocess
import sys
import time

from crabcan_steps import linux

from ..measure.observe import PROBE, ObserveError, child_of, look
from ..exercises.facts import Wrong

PRECIOUS = "/home/you/thesis"
SECONDS = 5   # for one run, on a usual machine


class Harm(Exception):
    """What would have happened to the machine."""


class Answer:
    """What came of one run: text and status, and what /proc said while it ran."""
    outside = None

    def __init__(self, out, err, status, pid):
        self.out, self.err, self.status, self.pid = out, err, status, pid

    @property
    def error(self):
        """The last line on stderr, which is where the runtime explains itself."""
        lines = self.err.strip().splitlines()
        return lines[-1].removeprefix("crabcan: ") if lines else ""

    @property
    def reason(self):
        """Why there is nothing good to see."""
        return diagnosis(self.err) or "the container did not come up"

    def json(self):
        """What the program inside reported; if nothing, the runtime's words are the reason."""
        try:
            return json.loads(self.out.splitlines()[0])
        except (ValueError, IndexError):
            seen = self.error or f"no output, and exit status {self.status}"
            raise Wrong(seen, self.reason) from None


def diagnosis(err):
    """What a failed start says about the learner's code."""
    for line in reversed(err.strip().splitlines()):
        if "NotImplementedError" in line:
            name = line.rpartition("NotImplementedError")[2].strip(": ")
            return f"still to be written: {name}"
    return None


class Machine:
    """The room as a machine with a checkpoint on it."""

    def __init__(self, chapter, canaries, many_ids, slowness):
        self.chapter, self.canaries, self.many_ids = chapter, canaries, many_ids
        self.seconds = SECONDS * slowness
        self.proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY)
        self.kept = {}
        os.makedirs(os.path.dirname(PRECIOUS), exist_ok=True)
        with open(PRECIOUS, "w") as file:
            file.write("years of work\n")
        linux.mount_setattr("/", linux.AT_RECURSIVE,
                            propagation=1 << 20)  # MS_SHARED, as systemd does
        self.sleeper = subprocess.Popen(["/bin/sleep", "600"])
        self.canaries["pid"] = self.sleeper.pid
        self.before = self.state()

    # ------------------------------------------------------------ running something

    def crabcan(self, *options, sh=None, python=None, command=None, step=None, watch=False, **kind):
        """Runs a checkpoint with a program in it; returns the Answer."""
        inner = command or (["sh", "-c", sh] if sh else ["/usr/bin/python3", "-I", "-c", python])
        words = [sys.executable, "-P", "-m", "crabcan_steps", "step", str(step or self.chapter),
                 *map(str, options), "--", *inner]
        return self.run(words, watch, step or self.chapter, **kind)

    def script(self, text):
        """Runs Python on the machine, not in a container: to call the learner's functions."""
        return self.run([sys.executable, "-P", "-c", text])

    def shell(self, line):
        """Runs a line of shell; what it does to the room is told like an error of its own."""
        try:
            answer = self.run(["sh", "-c", line], extra={"PYTHON": sys.executable})
            return {"out": answer.out, "err": answer.err, "status": answer.status}
        except Harm as error:
            return {"out": "", "err": f"workshop: {error}\n", "status": 1}

    def run(self, words, watch=False, step=1, tty=False, kill=None, extra=None):
        outer, inner = os.openpty() if tty else (None, subprocess.PIPE)
        process = subprocess.Popen(words, stdin=inner, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE,
                                   cwd="/", env={**os.environ, "CRABCAN_CANARY": "sings",
                                                 "TERM": "xterm", **(extra or {})})
        start, outside, first = time.monotonic(), None, b""
        if watch or kill:
            first, outside = self.first_line(process, step, watch)
            if kill:
                process.send_signal(kill)
        try:
            if kill == signal.SIGKILL:  # the pipe's other end may live on; that is the question
                process.wait(self.seconds)
                out = err = b""
            else:
                out, err = process.communicate(timeout=start + self.seconds - time.monotonic())
        except subprocess.TimeoutExpired:
            sentence = self.end_all()
            self.compare()  # worse than that it took long
            raise Harm(sentence) from None
        finally:
            if tty:
                os.close(outer)
                os.close(inner)
        answer = Answer((first + out).decode(errors="replace"), err.decode(errors="replace"),
                        process.returncode, process.pid)
        answer.outside = outside
        self.compare()
        return answer

    def first_line(self, process, step, watch):
        """Waits for what the program prints first; then it is time to look at it."""
        line, end = b"", time.monotonic() + self.seconds
        while not line.endswith(b"\n"):
            if not select.select([process.stdout], [], [], max(0, end - time.monotonic()))[0]:
                break
            letter = os.read(process.stdout.fileno(), 1)
            if not letter:
                break
            line += letter
        outside = None
        if watch and line.endswith(b"\n"):
            try:
                pid = process.pid if step < 2 else child_of(process.pid)
                outside = {**look(pid), "pid": pid, **self.more(pid)}
            except (ObserveError, OSError):
                outside = None
        return line, outside

    def more(self, pid):
        """What observe.look leaves out."""
        with open(f"/proc/{pid}/limits") as file:
            limits = {line[:26].strip(): line[26:].split()[:2] for line in file}
        with open(f"/proc/{pid}/uid_map") as file:
            uid_map = [[int(word) for word in line.split()] for line in file]
        with open(f"/proc/{pid}/mountinfo") as file:
            mounts = [line.split() for line in file]
        with open(f"/proc/{pid}/oom_score_adj") as file:
            score = int(file.read())
        return {"limits": limits, "uid_map": uid_map, "mounts": mounts, "oom": score}

    def probe(self, *options, step=None):
        """The probe's report and the look from outside, once for each set of options."""
        key = (options, step)
        if key not in self.kept:
            canaries = {**self.canaries, "burn": 0}
            program = f"import sys; sys.argv[1:] = [{json.dumps(canaries)!r}]\n" + PROBE.read_text()
            answer = self.crabcan(*options, python=program, step=step, watch=True)
            inside = answer.json()
            if answer.outside is None:
                raise Wrong("the container's first process was not found", "the runtime has no "
                            "child: the command must run in a new process (chapter 2)")
            self.kept[key] = inside, answer.outside
        return self.kept[key]

    # ------------------------------------------------------------ before and after

    def state(self):
        with open(os.open("self/mountinfo", os.O_RDONLY, dir_fd=self.proc)) as file:
            mounts = {line.split(" ")[4]: line for line in file}
        return {"name": os.uname().nodename, "mounts": mounts, "file": os.path.exists(PRECIOUS)}

    def compare(self):
        """Raises Harm if the machine is not as it was."""
        now, was = self.state(), self.before
        lost = sorted(was["mounts"].keys() - now["mounts"].keys())
        new = sorted(now["mounts"].keys() - was["mounts"].keys())
        changed = sorted(k for k in was["mounts"].keys() & now["mounts"].keys()
                         if was["mounts"][k] != now["mounts"][k])
        if now["name"] != was["name"]:
            raise Harm(f"your machine would now be called '{now['name']}': the name was set "
                       f"outside of the container's UTS namespace")
        if lost:
            raise Harm(f"your machine would have lost {len(lost)} mounts ({' '.join(lost[:4])}): "
                       f"what is unmounted while it is still shared is unmounted everywhere. "
                       f"Private means the whole tree: AT_RECURSIVE")
        if new + changed == ["/"]:
            raise Harm("a mount would have appeared over your machine's /: it was made before the "
                       "tree was private (MS_PRIVATE comes first)")
        if new or changed:
            some = " ".join((new + changed)[:4])
            raise Harm(f"mounts would have appeared on your machine ({some}"
                       "): the tree was not private (MS_PRIVATE) when the first mount was made")
        if not now["file"]:
            raise Harm(f"files of your machine's would be gone, such as {PRECIOUS}")
        self.no_process_left()

    def no_process_left(self):
        end = time.monotonic() + self.seconds / 20
        while left := self.others():
            if time.monotonic() > end:
                break
            time.sleep(0.005)
        else:
            return
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        raise Harm(f"{len(left)} processes would still run on your machine after the container has "
                   f"ended")

    def others(self):
        """Every process in the room but us and the sleeper; collects those that have ended."""
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass
        fd = os.open(".", os.O_RDONLY, dir_fd=self.proc)
        pids = [int(name) for name in os.listdir(fd) if name.isdigit()]
        os.close(fd)
        return [pid for pid in pids if pid not in (1, self.sleeper.pid)]

    def end_all(self):
        """Ends whatever runs in the room; returns a sentence about it."""
        count = len(self.others())
        for _ in range(5):
            try:
                os.kill(-1, signal.SIGKILL)  # all but us, PID 1
            except ProcessLookupError:
                break
            time.sleep(0.05)
        if count > 60:
            return (f"it had started {count} processes, and would have gone on until your machine "
                    "could start no other: a fork bomb")
        return (f"it was still running after {self.seconds:.0f} s, and we ended it: an endless loop, "
                "or two processes that wait for each other")
