"""Runs in the room: checkpoints with a program in them, scripts, lines of shell; each an Answer."""
import json
import os
import re
import signal
import time

from ..exercises.facts import Wrong
from ..measure.observe import (ADD_KEY, KEYCTL, KEYCTL_JOIN_SESSION_KEYRING, PROBE,
                               SESSION_KEYRING)
from . import bounds, build
from .answer import Answer
from .harm import TOO_MUCH, Harm
from .join import Visit, libc
from .reading import Reading

ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
               "HOME": "/root", "LANG": "C.UTF-8", "PYTHONPATH": build.HERE, "TERM": "xterm",
               "CRABCAN_CANARY": "sings"}
WAITS = ["/usr/bin/python3", "-I", "-c", "import sys; print(1, flush=True); sys.stdin.read()"]


class Runs:
    """What Machine (machine.py) is asked to do; it has the attributes, and compares afterwards."""

    def crabcan(self, *options, sh=None, python=None, command=None, step=None, watch=False,
                before=(), **kind):
        """Runs a checkpoint with a program in it; returns the Answer."""
        inner = command or (["sh", "-c", sh] if sh else ["/usr/bin/python3", "-I", "-c", python])
        step = step or self.chapter
        words = [*before, *self.python, "crabcan", "step", str(step), *map(str, options), "--", *inner]
        return self.run(words, inner if watch else None, step, watch, **kind)

    def user(self, uid, gid=None):
        """Before words: an ordinary user of the machine's, without other groups."""
        return ["setpriv", f"--reuid={uid}", f"--regid={gid or uid}", "--clear-groups", "--"]

    def words(self, *words, before=()):
        """Runs crabcan with just these words, as the room's root or as `before` makes it."""
        return self.run([*before, *self.python, "crabcan", *map(str, words)])

    def refusing(self, call, *options, step=None):
        """A container's start to which the kernel refuses a call (refusing.py); and the calls made."""
        step = str(step or self.chapter)
        before = [self.python[0], "-P", "-m", "crabcan_workshop.room.refusing", call]
        return self.words("step", step, *options, "--", "true", before=before)

    def calls(self, *options, step=None, before=()):
        """The container's start, and the calls of which it tells, for a reason: (side, call, rest)."""
        answer = self.crabcan("-d", *options, command=["true"], step=step, before=before)
        found = (re.match(r"[0-9]+ \w+ +(parent|child) +(\w+)\((.*)", line)
                 for line in answer.err.splitlines())
        return answer, [line.groups() for line in found if line]

    def script(self, text, before=(), **kind):
        """Runs Python on the machine, not in a container: to call the learner's functions."""
        return self.run([*before, *self.python, "python", text], **kind)

    def put(self, path, text):
        """Writes a file of the machine's."""
        def write():
            with open(path, "w") as file:
                file.write(text)
            return b""
        self.place.ask(write)

    def shell(self, line):
        """Runs a line of shell; what it does to the room is told like an error of its own."""
        try:
            answer = self.run(["/bin/sh", "-c", line], extra={"PYTHON": build.python()} | self.given())
            err = answer.err + "".join(f"workshop: your code raised {words['type']}: {words['text']} "
                                       f"({words['file']}, line {words['line']})\n"
                                       for words in answer.raised)
            return {"out": answer.out, "err": answer.printed + err, "status": answer.status}
        except Harm as error:
            return {"out": "", "err": f"workshop: {error}\n", "status": 1}
        except Wrong as error:
            return {"out": "", "err": f"workshop: {error.seen}: {error.why}\n", "status": 1}

    def given(self):
        """Variables for a shell: where the server of the room's internet is."""
        return {"SERVER": self.internet.server, "PORT": str(self.internet.port)} if self.internet else {}

    def limits(self):
        """The limits of a process that runs nothing of the learner's, as /proc has them."""
        if "limits" not in self.kept:
            self.kept["limits"] = self.run(WAITS, WAITS, 1).outside["limits"]
        return self.kept["limits"]

    def run(self, words, inner=None, step=1, look=None, tty=False, kill=None, extra=None):
        """Runs a program in the room to its end. `inner` is a program that waits to
        be seen; `look`, if it is a function, sees it, too."""
        out, err, stdin = os.pipe(), os.pipe(), os.openpty() if tty else os.pipe()[::-1]
        self.groups.full()  # forget what was before
        visit = Visit(self.place, ["/usr/bin/env", *words], self.environment() | (extra or {}), stdin[1],
                      out[1], err[1], [self.groups.join], [bounds.hold, self.keyring])
        for _, fd in (stdin, out, err):
            os.close(fd)
        reading, outside = Reading(self, visit, out[0], err[0]), None
        try:
            if not visit.pid:
                raise Harm("your machine would start no program any more: what new processes need "
                           "is broken or used up")
            if inner or kill:
                reading.until(lambda: reading.done or b"\n" in reading.text[out[0]])
                outside = inner and self.sight.program(visit.pid, inner, step)
                if outside and callable(look):
                    look(outside)
            if kill and not reading.done:
                os.kill(visit.pid, kill)
            if not tty:
                os.close(stdin[0])
            # After SIGKILL the pipes' other ends may live on; that is the question.
            reading.until(lambda: reading.done and kill == signal.SIGKILL)
        finally:
            for fd in {stdin[0], out[0], err[0]} if tty else {out[0], err[0]}:
                os.close(fd)
        answer = Answer(reading.text[out[0]], reading.text[err[0]], reading.status, visit.pid)
        answer.outside = outside
        self.runs.append(answer)
        self.slowest = max(self.slowest, time.monotonic() - reading.begin)
        # None: the kernel, asked to end one of the room's, has taken the copy of us that waits.
        if answer.status in (None, -9, 137) and self.groups.full():
            raise Harm(TOO_MUCH)
        self.compare(0.5 if kill else 0.05)  # after kill -9 somebody may be there who cleans up
        return answer

    def environment(self):
        """Of a run. The home is another where the code is: the runtime keeps compiled filters."""
        some = {"CRABCAN_FILE": self.file} | ({} if self.many_ids else {"CRABCAN_PLAIN": "1"})
        if not self.groups.bounded():
            some["CRABCAN_BARE"] = "1"
        if self.alone:
            some |= {"CRABCAN_ALONE": str(self.alone), "HOME": f"/tmp/alone{self.alone}"}
        return ENVIRONMENT | some

    def keyring(self):
        """In the program's process, before it is the program: "the caller's" key."""
        libc.syscall(KEYCTL, KEYCTL_JOIN_SESSION_KEYRING, None)
        libc.syscall(ADD_KEY, b"user", self.canaries["key"].encode(), b"secret", 6, SESSION_KEYRING)

    def probe(self, *options, step=None):
        """The probe's report and the look from outside, once for each set of options."""
        key = (options, step, self.alone)
        if key not in self.kept:
            canaries = {**self.canaries, "burn": 0}
            program = f"import sys; sys.argv[1:] = [{json.dumps(canaries)!r}]\n" + PROBE.read_text()
            answer = self.crabcan(*options, python=program, step=step, watch=True)
            inside = answer.json()
            if answer.outside is None:
                raise Wrong("the container's first process is not the command", "the runtime has no "
                            "child that became it: the command runs in a new process (chapter 2)")
            self.kept[key] = inside, answer.outside
        return self.kept[key]
