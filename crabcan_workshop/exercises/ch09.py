"""Chapter 9: the facts about the command that assembles the layers."""
import json
import random

from crabcan_steps.ch09_runtime import LAYERS, NAMES, UsageError
from crabcan_steps.ch09_runtime import selected as ours

from .. import chapters
from .facts import came_up, collector, drawn, equal, must, number, refused

FACTS, fact = collector()
LIST = """
import json, os
from crabcan_steps import ch09_runtime as r
from crabcan_steps.ch01_args import Spec
{before}
for chapter, layers in json.loads({cases!r}):
    spec = Spec(); spec.layers = layers
    found = r.assemble(spec, chapter)
    if found is None:
        say("null")
        continue
    say(json.dumps([[type(x).__name__ for x in found], [isinstance(x, type) for x in found]]))
"""
VALUES = {  # of each option that belongs to a layer: something that it takes
    "--hostname": "mine", "--mount": "/", "--add": "/home:/x", "--read-only": None, "--uid": "7",
    "--cap-add": "CHOWN", "--seccomp": "deny-list", "--memory": "64M", "--pids": "20", "--cpus": "0.5",
    "--io-weight": "50", "--nofile": "40"}


def assembled(machine, cases, before=""):
    """(names of classes, the answer) of what assemble() gives for (chapter, layers)."""
    answer = machine.script(LIST.format(cases=json.dumps(cases), before=before))
    must("UsageError" not in answer.err, answer.error, "nobody asked for an option here: defaults are the "
         "class's, and only what was asked for stands in vars(spec)")
    came_up(answer)
    found = [json.loads(line) for line in answer.out.splitlines()]
    must(None not in found, "None", "assemble() returned nothing")
    for _, classes in found:
        must(True not in classes, "classes", "a class is no layer yet: call it, for an object")
    return [names for names, _ in found], answer


def wanted(chapter, layers="all"):
    return [layer.__name__ for layer in LAYERS if layer.chapter <= chapter and layer.name in ours(layers)]


def compared(seen, right, what):
    lost, more = [x for x in right if x not in seen], [x for x in seen if x not in right]
    must(not lost, f"{what}: no {' '.join(lost)}", "a layer belongs to the step if its chapter is N or less, and "
         "if the user did not leave it out: every class of LAYERS")
    must(more != ["Users"], f"{what}: Users, too", "Users() is borrowed by who is not root, and only if it is "
         "not among the layers: os.geteuid() tells")
    must(not more, f"{what}: {' '.join(more)}, too", "a layer belongs to the step if its chapter is N or less, "
         "and if the user did not leave it out")
    must(len(seen) == len(right), f"{what}: {' '.join(sorted({x for x in seen if seen.count(x) > 1}))} twice",
         "one object of each class")
    must(seen == right, f"{what}: {' '.join(seen)}", "the order is that of LAYERS: a later layer reads what an "
         "earlier one has prepared")


@fact(1, "step N has the layers of chapters 2 to N",
      "for n in 2 3 4; do crabcan step $n -d -- true; done")
def triangle(machine):
    cases = [(chapter, "all") for chapter in range(2, 10)]
    for (chapter, _), seen in zip(cases, assembled(machine, cases)[0], strict=True):
        compared(seen, wanted(chapter), f"step {chapter}")
    return "so"


@fact(1, "a layer that is left out is left out, with all its classes",
      "crabcan run --layers all,-caps -- grep Cap /proc/self/status")
def without(machine):
    cases = [(9, f"all,-{name}") for name in NAMES if name != "clone"]
    for (chapter, layers), seen in zip(cases, assembled(machine, cases)[0], strict=True):
        compared(seen, wanted(chapter, layers), f"--layers {layers}")
    return f"{len(cases)} lists"


@fact(1, "and the kernel shows it", "crabcan run -- cat /proc/self/status")
def shown(machine):
    answer = machine.crabcan(sh="true")
    if answer.status:
        must(False, answer.seen)
    inside, outside = machine.probe()
    own = {name for name in outside["namespaces"]
           if outside["namespaces"][name] != machine.host["namespaces"].get(name)}
    must({"pid", "uts", "mnt", "user", "ipc", "net", "cgroup"} <= own, f"own: {' '.join(sorted(own))}",
         "a namespace is the machine's: its layer is missing")
    must(not any(outside["capabilities"].values()), "capabilities are left", "BoundingSet and Capabilities")
    must(outside["seccomp"] == "2", "no filter", "Filter")
    must(not inside["host's key found"], "a key of the machine's", "Keyring")
    return must(outside["uid"] != 0 or not machine.many_ids, "the machine's root", "Users") and "so"


@fact(1, "an option without its layer is refused",
      "crabcan run --layers all,-hostname --hostname x -- true; echo $?")
def useless(machine):
    for layer in LAYERS:
        for option in layer.options.values():
            if option in VALUES and layer.name != "clone":
                words = [option, *filter(None, [VALUES[option]])]
                answer = machine.crabcan("--layers", f"all,-{layer.name}", *words, sh="true")
                must(answer.status == 2, f"{option} without {layer.name}: status {answer.status}",
                     f"{option} would be ignored in silence: UsageError, status 2")
                refused(answer, 2, option)
    answer = machine.words("step", "3", "--memory", "64M", "--", "true")
    must(answer.status == 2, f"status {answer.status}", "--memory means nothing in step 3: UsageError")
    return refused(answer, 2, "--memory") and "so"


@fact(1, "an option with its layer is taken", "crabcan step 3 --hostname x -- hostname")
def taken(machine):
    name = drawn()
    out = came_up(machine.crabcan("--hostname", name, sh="hostname", step=3)).out.strip()
    return equal(out, name, "only the options of layers that are left out are refused")


@fact(1, "an ordinary user's early steps borrow the user namespace",
      "setpriv --reuid 7 --regid 7 --clear-groups \"$PYTHON\" -P -m crabcan_steps step 3 -- id")
def borrows(machine):
    cases = [(chapter, "all") for chapter in chapters.LAYERED]
    found, answer = assembled(machine, cases, "os.geteuid = lambda: 1000")
    must(not found[0], f"step 1: {' '.join(found[0])}", "step 1 has no child yet, and so nothing to borrow for")
    for (chapter, _), seen in list(zip(cases, found, strict=True))[1:]:
        must("Users" in seen, f"step {chapter}: {' '.join(seen)}", "without chapter 5 an ordinary user has no "
             "right to clone: add Users()")
        compared(seen, wanted(chapter) + ["Users"] * (chapter < 5), f"step {chapter}")
    must(len(answer.lines) == 3, f"{len(answer.lines)} lines about it",
         "once for each of steps 2 to 4, and in no other: say that the step borrows it, and only "
         "if it does")
    found, answer = assembled(machine, [(3, "all")])
    must(not answer.lines, answer.error, "root needs to borrow nothing")
    return "so"


SELECT = """
import json
from crabcan_steps.ch09_runtime import selected, UsageError
for text in json.loads({cases!r}):
    try: say(json.dumps(sorted(selected(text))))
    except UsageError as error: say("UsageError")
"""


def right(text):
    try:
        return sorted(ours(text))
    except UsageError:
        return None


def lists():
    """Lists for --layers, drawn for this check."""
    yield from ("all", "clone", "-seccomp", "all,-seccomp,-caps", " clone , hostname ", "", "clone,,mounts",
                "all,-clone", "hostname", "-seccomp,seccomp", "seccomp,-seccomp,clone", "clone,-clone,clone", "-all,clone", "all,-mounts,mounts")
    words = [*NAMES, *(f"-{name}" for name in NAMES), "all", drawn()]
    for _ in range(20):
        some = random.sample(words, number(1, 4))
        text = random.choice([",", ", "]).join([*random.choice([["all"], ["clone"], []]), *some])
        if not doubtful(text):
            yield text


def doubtful(text):
    """Whether something is taken from a list that is empty by then: that can be meant in two ways."""
    left = None
    for word in map(str.strip, text.split(",")):
        names = set(NAMES) if word.strip("-") == "all" else {word.strip("-")}
        if word.startswith("-"):
            if left == set():
                return True
            left = (set(NAMES) if left is None else left) - names
        else:
            left = (left or set()) | names
    return False


@fact(2, "--layers: names, all, and -NAME, in their order", "crabcan run --layers all,-seccomp,-caps -d -- true")
def selection(machine):
    cases = list(lists())
    answer = came_up(machine.script(SELECT.format(cases=json.dumps(cases))))
    for text, line in zip(cases, answer.out.splitlines(), strict=True):
        seen = None if line == "UsageError" else json.loads(line)
        why = (f"that is not what --layers '{text}' means: words add, -NAME takes away, one after the other, "
               "and a list that begins with -NAME begins with all")
        must(seen is not None or right(text) is None, f"--layers '{text}': UsageError", why)
        must(right(text) is not None or seen is None, f"--layers '{text}': {' '.join(seen or ())}",
             "an unknown name, an empty one, and a list without clone are a UsageError")
        equal(seen, right(text), why)
    return f"{len(cases)} lists"


@fact(2, "a misspelt layer, and a list without clone, are refused",
      "crabcan run --layers clone,hostnam -- true; echo $?")
def misspelt(machine):
    wrong = drawn()
    answer = machine.crabcan("--layers", f"clone,{wrong}", sh="true")
    must(answer.status == 2, f"status {answer.status}: {answer.error}",
         "an unknown name is a UsageError: status 2" if answer.status in (0, 125) else "")
    refused(answer, 2, wrong)
    must(all(name in answer.error for name in NAMES), answer.error, "and it lists those that exist")
    answer = machine.crabcan("--layers", "hostname", sh="true")
    must(answer.status == 2, f"status {answer.status}", "without clone there is no child to be a container")
    return refused(answer, 2, "clone") and "so"


@fact(2, "statuses: 127 not found, 126 not executable, 125 ours", "crabcan run -- nowhere; echo $?")
def statuses(machine):
    for status, word in {127: drawn("nowhere"), 126: "/etc/passwd"}.items():
        answer = machine.crabcan(command=[word])
        must("crabcan" not in answer.printed, "a line on standard output",
             "standard output is the program's: an error goes to standard error, by warn()")
        must(answer.status == status, f"status {answer.status} for {word}",
             "report() asks program.explain about execve, which knows 126 and 127" if answer.status != 0 else
             "report() returned nothing: the status is what it returns")
        refused(answer, status, word)
    answer = machine.crabcan("-w", "/" + drawn(), sh="true")
    must("crabcan" not in answer.printed, "a line on standard output", "errors go to standard error: warn()")
    must(answer.status == 125, f"status {answer.status}",
         "what is not the command's own failure is ours: 125")
    refused(answer, 125)
    return must("--workdir" in answer.error, answer.error or "silence",
                "the cure comes from error.explain, which must know all layers and Start") and "so"
