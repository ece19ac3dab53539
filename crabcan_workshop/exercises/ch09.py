"""Chapter 9: the facts about the command that assembles the layers."""
from .facts import came_up, collector, equal, must

FACTS, fact = collector()
LIST = """
from crabcan_steps import ch09_runtime as r
from crabcan_steps.ch01_args import Spec
for chapter in range(2, 10):
    print(chapter, *dict.fromkeys(layer.name for layer in r.assemble(Spec(), chapter)))
"""


@fact(1, "step N has the layers of chapters 2 to N",
      "for n in 2 3 4; do crabcan step $n -d -- true; done")
def triangle(machine):
    names = ["clone", "hostname", "mounts", "namespaces", "caps", "seccomp", "cgroups", "terminal"]
    for line in came_up(machine.script(LIST)).out.splitlines():
        chapter, *seen = line.split()
        must(sorted(seen) == sorted(names[:int(chapter) - 1]),
             f"step {chapter}: {' '.join(seen) or 'nothing'}",
             "a layer belongs to the step if its chapter is N or less, and if the user did not "
             "leave it out")
    return "so"


@fact(1, "each is a new object of its class", "python3: type(assemble(Spec(), 9)[0])")
def objects(machine):
    out = came_up(machine.script("from crabcan_steps import ch09_runtime as r\nfrom "
                                 "crabcan_steps.ch01_args import Spec\nprint({isinstance(x, "
                                 "r.ch02_clone.Layer) if hasattr(r.ch02_clone, 'Layer') else 1 for "
                                 "x in r.assemble(Spec(), 9)})")).out
    return must("False" not in out, "classes", "a class is no layer yet: call it") and "so"


@fact(1, "an option without its layer is refused",
      "crabcan run --layers all,-hostname --hostname x -- true; echo $?")
def useless(machine):
    answer = machine.crabcan("--layers", "all,-hostname", "--hostname", "x", sh="true")
    must(answer.status == 2, f"status {answer.status}",
         "--hostname would be ignored in silence: UsageError, status 2")
    must("--hostname has no effect" in answer.error, answer.error,
         "the error names the option and the layer that is missing")
    return "so"


@fact(1, "an option with its layer is taken", "crabcan step 3 --hostname x -- hostname")
def taken(machine):
    out = came_up(machine.crabcan("--hostname", "x", sh="hostname", step=3)).out.strip()
    return equal(out, "x", "only the options of layers that are left out are refused")


@fact(1, "an ordinary user's early steps borrow the user namespace",
      "crabcan step 3 -- id (not as root)")
def borrows(machine):
    answer = machine.script("import os\nos.geteuid = lambda: 1000\n" + LIST)
    came_up(answer)
    lines = answer.out.splitlines()
    must("namespaces" in lines[1], lines[1], "without chapter 5 an ordinary user has no right to "
         "clone: add Users()")
    must(answer.err.count("borrows") == 3, f"{answer.err.count('borrows')} lines about it",
         "once for each of steps 2 to 4, and in no other: say that the step borrows it, and only "
         "if it does")
    return "so"


@fact(2, "--layers: names, all, and -NAME", "crabcan run --layers all,-seccomp,-caps -d -- true")
def selection(machine):
    cases = {"clone,mounts": "clone mounts", "all,-seccomp,-caps": "cgroups clone hostname mounts "
             "namespaces terminal",
             "-seccomp": "caps cgroups clone hostname mounts namespaces terminal",
             " clone , hostname ": "clone hostname",
             "clone": "clone", "all": "caps cgroups clone hostname mounts namespaces seccomp "
             "terminal"}
    out = came_up(machine.script("from crabcan_steps.ch09_runtime import selected, UsageError\n"
                                 f"for text in {list(cases)!r}:\n    try: "
                                 f"print(*sorted(selected(text)))\n    except UsageError as error: "
                                 f"print(error)")).out.splitlines()
    for text, seen in zip(cases, out, strict=True):
        equal(seen, cases[text], f"that is not what --layers '{text}' means: words add, -NAME "
              f"takes away, and a list that begins with -NAME begins with all")
    return f"{len(cases)} lists"


@fact(2, "a misspelt layer, and a list without clone, are refused",
      "crabcan run --layers al -- true; echo $?")
def misspelt(machine):
    answer = machine.crabcan("--layers", "clone,hostnam", sh="true")
    must(answer.status == 2, f"status {answer.status}: {answer.error}",
         "an unknown name is a UsageError: status 2")
    must("no layer 'hostnam'" in answer.error and "hostname" in answer.error, answer.error,
         "the error names it, and lists those that exist")
    answer = machine.crabcan("--layers", "hostname", sh="true")
    return must(answer.status == 2 and "without clone" in answer.error, answer.error or "it ran",
                "without clone there is no child to be a container") and "so"


@fact(2, "statuses: 127 not found, 126 not executable, 125 ours", "crabcan run -- nowhere; echo $?")
def statuses(machine):
    for status, words in {127: ["nowhere"], 126: ["/etc/passwd"]}.items():
        answer = machine.crabcan(command=words)
        must(answer.status == status, f"status {answer.status} for {words[0]}",
             "report() asks program.explain about execve")
        must(words[0] in answer.error, answer.error or "silence",
             "one line says what it was about: warn()")
    answer = machine.crabcan("-w", "/nowhere", sh="true")
    must(answer.status == 125, f"status {answer.status}",
         "what is not the command's own failure is ours: 125")
    return must("--workdir must exist" in answer.error, answer.error or "silence",
                "the cure comes from error.explain, which must know all layers and Start") and "so"
