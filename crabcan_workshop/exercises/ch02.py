"""Chapter 2: the facts about the child, and about the talk with it."""
import signal

from .facts import FILTERED, Absent, came_up, collector, drawn, equal, must, number, property_of

FACTS, fact = collector()
pid = property_of("pid")
SPY = """
import os, sys, time, signal
from crabcan_steps import ch02_clone, linux
from crabcan_steps.ch01_args import Spec
from crabcan_steps.layer import Layer, LayerError, Stage
class Spy(Layer):
    chapter, name, stage = 2, "spy", Stage.HOSTNAME
spec = Spec(); spec.command = ("true",)
def run(*layers):
    try:
        say("status", ch02_clone.run(spec, [ch02_clone.Clone(), *layers]))
    except LayerError as error:
        say("error", error.layer, error.call, error.errno, error.about)
    except OSError as error:
        say("broken", error)
"""


def spy(machine, text):
    return came_up(machine.script(SPY + text)).out.strip()


@fact(1, "PID 1 of a PID namespace of its own", "crabcan step 2 -- sh -c 'echo $$'")
def first(machine):
    return pid(machine, "clone3 needs the flags of all layers, or'ed: CLONE_NEWPID is Clone's")


@fact(1, "the layers act in the child, by stage, after the parent's part",
      "crabcan step 4 -d -- true")
def order(machine):
    seen = spy(machine, """
class Late(Spy):
    stage = Stage.FILESYSTEM
    def parent(self, pid, undo): time.sleep(0.1); os.write(1, b"parent ")
    def child(self): os.write(1, b"late ")
class Early(Spy):
    def child(self): os.write(1, b"early ")
run(Late(), Early())""")
    must(seen.startswith("parent"), seen, "child() of a layer must wait for the parent's word: "
         "\"go\"")
    must("early" in seen or "late" in seen, seen, "no layer's child() was called before the program: that "
         "comes last")
    return equal(seen.split("status")[0].strip(), "parent early late",
                 "the child calls child() of every layer, sorted by stage")


@fact(1, "an error in the child comes home with its name",
      "crabcan step 4 --add /etc/passwd:/usr -- true")
def errors(machine):
    for deed, wanted in (("linux.chdir('/nowhere')", "error spy chdir 2"),
                         ("raise LayerError('spy', 'odd', 7)", "error spy odd 7")):
        seen = spy(machine, f"class Bad(Spy):\n    def child(self): os.write(1, b'tried '); {deed}\nrun(Bad())")
        must(seen.startswith("tried " + wanted), seen.removeprefix("tried "), "whatever it is that a layer "
             "raises, the child sends b\"error\" and the packed LayerError, and never prints or returns"
             if "tried" in seen else "")
    return "so"


@fact(1, "a child that fails leaves; it never returns", "")
def leaves(machine):
    seen = spy(machine, """
class Bad(Spy):
    def prepare(self, spec, undo): undo.callback(os.write, 1, b"undone ")
    def parent(self, pid, undo):
        undo.callback(time.sleep, 0.1)
        if pid == 0: os.write(1, b"twice ")
    def child(self): linux.chdir('/nowhere')
run(Bad())""")
    return must("twice" not in seen and seen.count("undone") == 1, "the child goes on as a second parent", "whatever happens, it "
                "ends with os._exit: returning would run the parent's code, and its "
                "clean-up") and "so"


@fact(1, "an error of clone3 is explained, too", "")
def flags(machine):
    seen = spy(machine, "class Odd(Spy):\n    flags = linux.CLONE_NEWNS | 0x200\nrun(Odd())")
    must(not seen.startswith("status"), "the kernel was not asked for what the second layer wants", "the flags "
         "of all layers are or'ed")
    return must(seen.startswith("error clone clone3 22"), seen,
                "clone() makes a LayerError of the OSError")


@fact(1, "what two layers ask for is asked for once", "")
def twice(machine):
    seen = spy(machine, "class One(Spy):\n    flags = linux.CLONE_NEWNS\nclass Other(One):\n"
               "    def child(self): os.write(1, os.readlink('/proc/self/ns/mnt').encode() + b' ')\n"
               "run(One(), Other()); say(os.readlink('/proc/self/ns/mnt'))")
    words = seen.split()
    return must(words[1:3] == ["status", "0"] and words[0] != words[-1], seen, "flags are bits: or'ed, as what "
                "is added twice is another flag") and "so"


@fact(1, "nothing that waits to be printed is printed twice", "crabcan step 2 -- true | cat")
def once(machine):
    seen = spy(machine, "class Stop(Spy):\n    def child(self): sys.stdout.flush()\n"
                        "sys.stdout = open(1, 'w', closefd=False)\nsys.stdout.write('once '); run(Stop())\n"
                        "sys.stdout.flush()")
    return must(seen.count("once") == 1, seen,
                "what is buffered at the time of clone is there twice: flush first")


@fact(1, "the parent's garbage collector works afterwards",
      "python3 -c 'import gc; print(gc.isenabled())'")
def collects(machine):
    seen = spy(machine, "run(); import gc; say(gc.isenabled())")
    return must(seen.endswith("True"), "it is off",
                "clone() turns it on again, whatever happens") and "it is on"


@fact(1, "the child's collector does not", "")
def quiet(machine):
    seen = spy(machine, "import gc\nclass Look(Spy):\n    def child(self): os.write(1, b'on ' if "
               "gc.isenabled() else b'off ')\nrun(Look())")
    return must(seen.startswith("off"), "it is on", "finalizers of the parent's objects must not "
                "run in the child: gc.disable") and "it is off"


@fact(1, "one socket end on each side", "")
def ends(machine):
    seen = spy(machine, """
class Look(Spy):
    def parent(self, pid, undo):
        for _ in range(100):  # it closes ours as soon as it gets to run
            fds = [f"/proc/{pid}/fd/{fd}" for fd in os.listdir(f"/proc/{pid}/fd")]
            count = sum("socket:" in os.readlink(fd) for fd in fds if os.path.islink(fd))
            if count == 1: break
            time.sleep(0.01)
        os.write(1, b"%d " % count)
run(Look())""")
    return must(seen.startswith("1 "), f"{seen.split()[0]} sockets in the child",
                "the child closes the parent's end, or it waits for itself when the parent dies")


@fact(1, "kill -9 of the parent ends the child, even half-way", "")
def orphan(machine):
    machine.script(SPY + """
class Slow(Spy):
    def child(self): os.write(1, b"ready\\n"); time.sleep(100)
run(Slow())""", kill=signal.SIGKILL)
    return "it is gone"


@fact(1, "--debug tells of the child's calls, too", "crabcan step 2 -d -- true")
def debug(machine):
    seen = spy(machine, """
import json
from crabcan_steps.trace import Recorder
events = []; linux.observer = Recorder(events.append)
run()
say(sorted({event["side"] for event in events}))""")
    return must("child" in seen, "only the parent's", "the child sends its events to the parent, "
                "if somebody records: what it keeps in its own memory is gone with execve") and "so"


@fact(2, "the exit status is the command's own", "crabcan step 2 -- sh -c 'exit 42'; echo $?")
def status(machine):
    for wanted in number(2, 60), number(61, 120):
        equal(machine.crabcan(sh=f"exit {wanted}").status, wanted,
              "reap() returns si_status of a process that exited")
    return str(wanted)


@fact(2, "128+n if signal n ended it", "crabcan step 2 -- sh -c 'ulimit -c 0; ulimit -t 1; while "
      ":; do :; done'", spare=True)
def by_signal(machine):
    seen = machine.crabcan(python="import ctypes, os; ctypes.CDLL(None).prctl(22, 1, 0, 0, 0) and os._exit(99); "
                           "open('/dev/null')").status
    if seen == 99:
        raise Absent(FILTERED)
    return equal(seen, 137, "strict seccomp ends it with SIGKILL: a shell says 128+9")


@fact(2, "the signal that we ended it for, not the KILL that did it",
      "")
def by_us(machine):
    answer = machine.crabcan(python="print('ready', flush=True); import time; time.sleep(3)",
                             kill=signal.SIGTERM)
    return equal(answer.status, 143, "SIGTERM was for the container: container.killed_by knows, so "
                 "128+15")


@fact(2, "a child that dies without a word is an error", "")
def silent(machine):
    seen = spy(machine, "class Dies(Spy):\n    def child(self): os._exit(0)\nrun(Dies())")
    return must(seen.startswith("error clone died"), seen,
                "silence is no consent: the end of the file is b\"\", and not b\"ready\"")


@fact(2, "a command that is not there: 127, and one line", "crabcan step 2 -- nowhere; echo $?")
def missing(machine):
    name = drawn()
    answer = machine.crabcan(command=[name])
    return must(answer.status == 127 and name in answer.error,
                f"status {answer.status}: {answer.error}",
                "what the child says of execve is heard in start(): receive() raises it")


@fact(2, "a child that is killed with a word of ours unread is an error, too",
      "")
def reset(machine):
    seen = spy(machine, """
class Dies(Spy):
    def parent(self, pid, undo):
        os.kill(pid, signal.SIGSTOP)
        if os.fork() == 0:
            time.sleep(0.1); os.kill(pid, signal.SIGKILL); os._exit(0)
run(Dies())
os.wait()""")
    return must(seen.startswith("error clone died"), seen,
                "ECONNRESET is the end of the talk, too: b\"\"")
