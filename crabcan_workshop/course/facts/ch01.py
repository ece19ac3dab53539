"""Chapter 1: the facts about the command line, and about what the program gets."""
from . import came_up, collector, equal, must

FACTS, fact = collector()
VALUES = {  # what an option says -> what it means; None: refused
    "size": {"64M": 64 << 20, "1G": 1 << 30, "2048k": 2 << 20, "1T": 1 << 40, "1048576": 1 << 20,
             "1M": 1 << 20, "1023K": None, "1000": None, "1.5M": None, "M": None, "": None,
             "-1G": None,
             "64MB": None, "x": None, "1048576T": None, "\u0661G": None},
    "addition": {"/a:/b": ["/a", "/b", False], "/a:/b:ro": ["/a", "/b", True],
                 "/a:/b:rw": ["/a", "/b", False], "a:/b/c": ["a", "/b/c", False], "nocolon": None,
                 "/a:/b:xx": None, ":/b": None, "/a:/": None, "/a:b": None, "/a:/b/../c": None,
                 "/a:/b:ro:ro": None},
}
WHY = {"1023K": "less than 1M is refused: no program starts in so little",
       "1000": "less than 1M is refused: no program starts in so little",
       "2048k": "small letters count, too", "1048576T": "2**60 and more is refused",
       "nocolon": "HOST and CONTAINER are both needed: the ancestor crashed on this",
       "/a:/": "the root itself cannot be covered", ":/b": "an empty host path names nothing"}


@fact(1, "the program takes the place of this very process",
      "sh -c 'echo $$; exec crabcan step 1 -- sh -c \"echo \\$\\$\"'")
def same_process(machine):
    answer = came_up(machine.crabcan(sh="echo $$"))
    return must(answer.out.strip() == str(answer.pid),
                f"process {answer.out.strip()}, started as {answer.pid}",
                "the command is a child: chapter 1 becomes the command (execve), it starts none")


@fact(1, "it starts in --workdir", "crabcan step 1 --workdir /tmp -- pwd")
def workdir(machine):
    return equal(came_up(machine.crabcan("-w", "/tmp", sh="pwd")).out.strip(), "/tmp",
                 "run() changes the directory before it executes the program")


@fact(1, "no variable of the caller's, only PATH and HOME", "crabcan step 1 -- env | cat")
def scratch(machine):
    out = came_up(machine.crabcan(command=["env"])).out.split()
    names = sorted(line.partition("=")[0] for line in out)
    must(set(names) <= {"HOME", "PATH"}, f"{len(names)} variables",
         "variables of the caller's slip through: begin with an empty dict, not with os.environ")
    return equal(" ".join(names), "HOME PATH", "no program gets far without PATH and HOME")


@fact(1, "HOME is /root, or / for another user", "crabcan step 5 --uid 7 -- env")
def home(machine):
    out = came_up(machine.crabcan(command=["env"])).out
    must("HOME=/root\n" in out, out, "root's home is /root")
    if machine.many_ids:
        out = came_up(machine.crabcan("--uid", 7, command=["env"], step=5)).out
        must("HOME=/\n" in out, out, "another user than root has no home: /")
    return "so"


@fact(1, "TERM only at a terminal", "crabcan step 1 -- env; crabcan step 1 -- env </dev/null")
def term(machine):
    must("TERM=xterm\n" in came_up(machine.crabcan(command=["env"], tty=True)).out,
         "no TERM at a terminal",
         "a program at a terminal must know which kind it is: TERM")
    return "so"


@fact(1, "HOSTNAME if there is a name", "crabcan step 3 --hostname mine -- env")
def hostname(machine):
    out = came_up(machine.crabcan("--hostname", "mine", command=["env"], step=3)).out
    return must("HOSTNAME=mine\n" in out, "no HOSTNAME",
                "shells look for the name there") and "HOSTNAME=mine"


@fact(1, "--env adds, and wins", "crabcan step 1 -e A=1 -e HOME=/here -- env | cat")
def variables(machine):
    out = came_up(machine.crabcan("-e", "A=1", "-e", "HOME=/here", command=["env"])).out.split()
    must("A=1" in out, "A is missing", "what --env says belongs to the environment")
    return must("HOME=/here" in out, "HOME is not /here",
                "what the user says wins over the defaults") and "so"


def meanings(machine, name):
    """Calls one of the functions with each text; compares."""
    answer = machine.script(
        "import argparse, json\nfrom crabcan_steps.ch01_args import " + name + " as f\n"
        f"for text in {list(VALUES[name])!r}:\n"
        "    try: print(json.dumps(f(text)))\n"
        "    except argparse.ArgumentTypeError as error: print('null')\n"
        "    except NotImplementedError: raise\n"
        "    except Exception as error: print(json.dumps(f'crashed: {type(error).__name__}'))\n")
    import json
    for line, (text, value) in zip(came_up(answer).out.splitlines(), VALUES[name].items(),
                                   strict=True):
        seen = json.loads(line)
        crash = "; check() raises the right error" if "crashed" in line else ""
        want = "to be refused" if value is None else value
        must(seen == value, f"'{text}' -> {'refused' if seen is None else seen}",
             f"'{text}' ought {'' if value is None else 'to be '}{want}: "
             + WHY.get(text, "see the docstring and the rules in the texts") + crash)
    return f"{len(VALUES[name])} texts"


@fact(2, "sizes: 64M, 1G, 2048k; nonsense refused", "crabcan step 8 --memory 64MB -- true")
def sizes(machine):
    return meanings(machine, "size")


@fact(2, "--add: HOST:CONTAINER, with :ro; nonsense refused",
      "crabcan step 4 --add nocolon -- true")
def additions(machine):
    return meanings(machine, "addition")
