"""Chapter 6: the facts about capabilities."""
from .facts import came_up, collector, equal, must, property_of

FACTS, fact = collector()
caps, no_new = property_of("caps"), property_of("no_new")
WHY = {"CapEff": "what it may do now: capset, and in the kernel, not on a copy of the state",
       "CapPrm": "what it could take up again: capset's second set",
       "CapInh": "what an execve could pass on: capset's third set",
       "CapAmb": "what an execve of any program would keep: PR_CAP_AMBIENT_CLEAR_ALL",
       "CapBnd": "the ceiling: a set-user-ID program would get them back; drop each, up to "
       "cap_last_cap"}


def empty(name, exercise=1):
    @fact(exercise, f"{name} is empty", "crabcan step 6 -- grep Cap /proc/self/status")
    def attempt(machine):
        _, outside = machine.probe()
        value = outside["capabilities"][name]
        return must(value == 0, f"{value:016x}", WHY[name]) and "0"


def names(value):
    import prctl
    return " ".join(n for n, v in vars(prctl).items()
                    if n.startswith("CAP_") and isinstance(v, int) and value >> v & 1)


for _name in ("CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb"):
    empty(_name)


BEFORE = """
from crabcan_steps import ch02_clone, ch09_runtime
from crabcan_steps.ch01_args import Spec
spec = Spec(); spec.command = ("true",)
container = ch02_clone.create(spec, ch09_runtime.assemble(spec, 6))
for line in open(f"/proc/{container.pid}/status"):
    if line.startswith(("CapEff", "CapPrm")):
        print(line.split()[1])
ch02_clone.delete(container)
"""


@fact(1, "nothing is left already before the program starts",
      "grep Cap /proc/PID/status while it waits for \"start\"")
def before(machine):
    out = came_up(machine.script(BEFORE)).out.split()
    return must({*out} == {"0" * 16}, out[0], "the process itself still has them: change them in "
                "the kernel (capset), not on a copy")


@fact(1, "no_new_privs", "crabcan step 6 -- grep NoNewPrivs /proc/self/status")
def privileges(machine):
    return no_new(machine, "execve of a set-user-ID program may still gain: set_no_new_privs()")


@fact(1, "root inside may not even chroot", "crabcan step 6 -- chroot / true")
def powerless(machine):
    return caps(machine, "CAP_SYS_CHROOT works: something is left in a set")


@fact(2, "--cap-add keeps it, in all five sets, and no other",
      "crabcan step 6 --cap-add NET_RAW -- grep Cap /proc/self/status")
def kept(machine):
    if "prctl: Operation not permitted" in machine.crabcan("--cap-add", "NET_RAW", sh="true").err:
        must(False, "EPERM from prctl", "only what is permitted and inheritable can be raised to "
             "ambient: capset comes first")
    _, outside = machine.probe("--cap-add", "NET_RAW")
    for name, value in outside["capabilities"].items():
        must(value & 1 << 13, f"{name} is {value:x}",
             f"NET_RAW is number 13: self.kept holds it, and {name} must keep it")
        must(value == 1 << 13, f"{name} has more: {names(value)}"[:70],
             f"only what is in self.kept stays in {name}")
    return "CAP_NET_RAW"


@fact(2, "two of them, one twice", "crabcan step 6 --cap-add CHOWN --cap-add KILL --cap-add KILL "
      "-- true")
def two(machine):
    out = came_up(machine.crabcan("--cap-add", "CHOWN", "--cap-add", "KILL", "--cap-add", "KILL",
                                  sh="grep CapEff /proc/self/status")).out.split()
    return equal(out[1], "0000000000000021", "CAP_CHOWN is bit 0, CAP_KILL bit 5; the same name "
                 "twice adds no third")


@fact(2, "the names are the kernel's; a misspelt one gets a suggestion",
      "crabcan step 6 --cap-add NET_ROW -- true")
def misspelt(machine):
    answer = machine.crabcan("--cap-add", "NET_ROW", sh="true")
    must(answer.status == 125, f"status {answer.status}",
         "an unknown capability must be refused, before anything runs")
    must("no capability NET_ROW" in answer.error, answer.error,
         "number() raises a LayerError that names it")
    must("NET_RAW" in answer.error, answer.error, "difflib.get_close_matches knows what was meant")
    answer = machine.crabcan("--cap-add", "QQQQ", sh="true")
    return must("capabilities(7)" in answer.error, answer.error,
                "if nothing is near, say where the list is")
