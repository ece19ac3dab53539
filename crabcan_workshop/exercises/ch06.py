"""Chapter 6: the facts about capabilities."""
import re

import prctl

from .facts import came_up, collector, equal, must, number, property_of, refused, swallowed

FACTS, fact = collector()
caps, no_new = property_of("caps"), property_of("no_new")
EPERM = 1
WHY = {"CapEff": "what it may do now: capset, and in the kernel, not on a copy of the state",
       "CapPrm": "what it could take up again: capset's second set",
       "CapInh": "what an execve could pass on: capset's third set",
       "CapAmb": "what an execve of any program would keep: PR_CAP_AMBIENT_CLEAR_ALL",
       "CapBnd": "the ceiling: a set-user-ID program would get them back; drop each, up to "
       "cap_last_cap"}
SOME = {"CHOWN": 0, "DAC_OVERRIDE": 1, "FOWNER": 3, "KILL": 5, "NET_BIND_SERVICE": 10, "NET_ADMIN": 12,
        "NET_RAW": 13, "SYS_NICE": 23, "AUDIT_WRITE": 29, "SYSLOG": 34, "BLOCK_SUSPEND": 36}


def names(value):
    known = {number: name for name, number in vars(prctl).items()
             if name.startswith("CAP_") and isinstance(number, int) and 0 <= number and name != "CAP_LAST_CAP"}
    return " ".join(known.get(bit, f"number {bit}") for bit in range(64) if value >> bit & 1)


def some(count):
    """Capabilities for this check: (name, number) each."""
    left = sorted(SOME.items())
    return [left.pop(number(0, len(left) - 1)) for _ in range(count)]


def order(machine, answer, *options):
    """Why capabilities could not be changed, as far as the calls tell."""
    failed = answer.failed or {}
    if failed.get("errno") != EPERM:
        return ""
    made = machine.calls(*options)[1]
    parent = [call for side, call, _ in made if side == "parent"]
    child = [(call, rest) for side, call, rest in made if side == "child"]
    calls = [call for call, _ in child]
    raised = next((at for at, (call, rest) in enumerate(child) if "AMBIENT_RAISE" in rest), None)
    capset = next((rest for call, rest in child if call == "capset"), "")
    given = [int(word, 0) for word in re.findall(r"0x[0-9a-f]+|[0-9]+", capset)[:3]]
    numbers = {SOME[name] for name in {*options} & {*SOME}}
    wanted = sum(1 << number for number in numbers)
    dropped = [call for call, rest in child if call == "capbset_drop" and rest.split(")")[0].removeprefix("CAP_") in options]
    if failed["call"] == "capset" and given[:1] == [wanted] and dropped:
        return "the bounding set has lost what is to be kept: what is above that ceiling cannot be had"
    if raised is not None and given == [0, 0, 0]:
        return "capset took away what is to be kept: a bit for each, in each of its masks"
    if given and wanted and given[0] == sum(SOME[name] for name in {*options} & {*SOME}) != wanted:
        return "a bit mask is 1 << number, for each number"
    if raised is not None and given[2:] == [0]:
        return ("only what is permitted and inheritable can be raised to ambient: capset's third set, "
                "too")
    if "capset" in parent:
        return "capset was called by the parent: prepare() takes the runtime's own; child() has its turn"
    if failed["call"] == "capbset_drop" and "capset" in calls[:calls.index("capbset_drop")]:
        return "the bounding set first: dropping needs CAP_SETPCAP, which capset takes away"
    if raised is not None and "capset" not in calls[:raised]:
        return "only what is permitted and inheritable can be raised to ambient: capset comes first"
    return ""


@fact(1, "it comes up", "crabcan step 6 -- true")
def up(machine):
    answer = machine.crabcan(sh="true")
    if answer.status:
        must(False, answer.seen, order(machine, answer))
    return "so"


def empty(name):
    @fact(1, f"{name} is empty", "crabcan step 6 -- grep Cap /proc/self/status")
    def attempt(machine):
        _, outside = machine.probe()
        value = outside["capabilities"][name]
        return must(value == 0, f"{value:016x}", WHY[name]) and "0"


for _name in ("CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb"):
    empty(_name)


BEFORE = """
from crabcan_steps import ch02_clone, ch09_runtime
from crabcan_steps.ch01_args import Spec
spec = Spec(); spec.command = ("true",)
container = ch02_clone.create(spec, ch09_runtime.assemble(spec, 6))
for line in open(f"/proc/{container.pid}/status"):
    if line.startswith(("CapEff", "CapPrm")):
        say(line.split()[1])
ch02_clone.delete(container)
"""


@fact(1, "nothing is left already before the program starts", "")
def before(machine):
    out = came_up(machine.script(BEFORE)).out.split()
    return must({*out} == {"0" * 16}, out[0], "the process itself still has them: change them in "
                "the kernel (capset), not on a copy")


@fact(1, "no_new_privs", "crabcan step 6 -- grep NoNewPrivs /proc/self/status")
def privileges(machine):
    no_new(machine, "execve of a set-user-ID program may still gain: set_no_new_privs()")
    (name, _), = some(1)
    answer = machine.crabcan("--cap-add", name, sh="true")
    if answer.status:
        must(False, answer.seen, order(machine, answer, "--cap-add", name))
    _, outside = machine.probe("--cap-add", name)
    return must(outside["no_new_privs"], "not with --cap-add", "whatever is kept: set_no_new_privs()") \
        and "so"


@fact(1, "the runtime keeps its own: it is the child that drops them", "")
def own(machine):
    _, outside = machine.probe()
    runtime = outside["runtime"]
    must(not runtime["no_new_privs"], "no_new_privs in the runtime", "set_no_new_privs() was called by "
         "the parent, for all containers that it will ever start: child() calls it")
    return equal(runtime["capabilities"], machine.host["capabilities"],
                 "the parent's own were changed: child() changes the container's") and "so"


@fact(1, "root inside may not even chroot", "crabcan step 6 -- chroot / true")
def powerless(machine):
    return caps(machine, "CAP_SYS_CHROOT works: something is left in a set")


@fact(1, "what the kernel refuses is an error", "")
def failing(machine):
    (name, _), = some(1)
    swallowed(machine, ["capset", "prctl:0=38", "prctl:0=24"])
    return swallowed(machine, ["capset", "prctl:0=47,1=2", "prctl:0=47,1=4"], "--cap-add", name)


@fact(1, "what is to be kept stays, in all five sets",
      "crabcan step 6 --cap-add NET_RAW -- grep Cap /proc/self/status")
@fact(2, "--cap-add keeps it, in all five sets, and no other",
      "crabcan step 6 --cap-add NET_RAW -- grep Cap /proc/self/status")
def kept(machine):
    for name, bit in some(2):
        answer = machine.crabcan("--cap-add", name, sh="true")
        must(f"capability {name}" not in answer.error, answer.seen, f"{name} is one: names come in capitals, and without CAP_")
        if answer.status:
            must(False, answer.seen, order(machine, answer, "--cap-add", name))
        _, outside = machine.probe("--cap-add", name)
        for where, value in outside["capabilities"].items():
            must(value & 1 << bit, f"{where} is {value:x}",
                 f"{name} is number {bit}: self.kept holds it, and {where} must keep it")
            must(value == 1 << bit, f"{where} has more: {names(value)}"[:70],
                 f"only what is in self.kept stays in {where}")
    return f"CAP_{name}"


@fact(2, "two of them, one twice", "crabcan step 6 --cap-add CHOWN --cap-add KILL --cap-add KILL "
      "-- grep Cap /proc/self/status")
def two(machine):
    (one, first), (other, second) = some(2)
    words = ["--cap-add", one, "--cap-add", other, "--cap-add", other]
    answer = machine.crabcan(*words, sh="grep CapEff /proc/self/status")
    wanted = f"{1 << first | 1 << second:016x}"
    twice = f"{(1 << first) + (2 << second):x}"
    if answer.status:
        import_error = answer.failed and answer.failed["call"] == "capset"
        alone = machine.crabcan("--cap-add", one, "--cap-add", other, sh="true")
        must(False, answer.seen, "the same name twice adds no third: 1 << number, or'ed and not added"
             if import_error and alone.status == 0 else order(machine, answer, *words))
    seen = answer.out.split()[1]
    return equal(seen, wanted, "the same name twice adds no third: 1 << number, or'ed and not added"
                 if seen.lstrip("0") == twice else f"CAP_{one} is bit {first}, CAP_{other} bit {second}")


@fact(2, "every name of capabilities(7) is known", "crabcan step 6 --cap-add BLOCK_SUSPEND -- true")
def known(machine):
    out = came_up(machine.script(KNOWN)).out.split()
    wrong = [word for word in out if "=" in word]
    must(not all(word.endswith("=None") for word in out), "None", "number() returned nothing")
    return must(not wrong, " ".join(wrong)[:70], "number() gives the number of CAP_NAME: python-prctl "
                "has a constant for each") or f"{len(out)} names"


KNOWN = """
import re

import prctl
from crabcan_steps.ch06_caps import number
for name in sorted(prctl.ALL_CAP_NAMES):
    if name.upper() == "LAST_CAP":  # python-prctl counts it among them
        continue
    right = getattr(prctl, "CAP_" + name.upper())
    seen = number(name.upper())
    say("so" if seen == right else f"{name.upper()}={seen}")
"""


@fact(2, "the names are the kernel's; a misspelt one gets a suggestion",
      "crabcan step 6 --cap-add NET_ROW -- true; echo $?")
def misspelt(machine):
    for wrong, near in (("NET_ROW", "NET_RAW"), ("SYS_ADMN", "SYS_ADMIN"), ("CHWON", "CHOWN"), ("KILLS", "KILL")):
        answer = machine.crabcan("--cap-add", wrong, sh="true")
        must(answer.status == 125, f"status {answer.status}",
             "an unknown capability must be refused, before anything runs"
             if answer.status == 0 else "")
        refused(answer, 125, wrong)
        raised = [words["type"] for words in answer.raised]
        answer.raised.clear()
        must(answer.failed and not raised, answer.error, "number() raises a LayerError, as every layer does "
             "that cannot be had")
        must(near in answer.error, answer.error, "difflib.get_close_matches knows what was meant")
    answer = machine.crabcan("--cap-add", "QQQQ", sh="true")
    return refused(answer, 125, "QQQQ") and "so"
