"""Chapter 1: the facts about the command line, and about what the program gets."""
import sys

from .facts import came_up, collector, equal, must

FACTS, fact = collector()


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


@fact(1, "no descriptor and no umask of the caller's",
      "exec 7</etc/passwd; umask 077; crabcan step 1 -- sh -c 'umask; ls /proc/self/fd'")
def clear(machine):
    line = 'exec 7</etc/passwd; umask 077; exec "$0" -P -m crabcan_steps step 1 -- ' \
           "sh -c 'umask; echo $(ls /proc/self/fd)'"
    out = came_up(machine.run(["sh", "-c", line, sys.executable])).out.split("\n")
    must(out[1] == "0 1 2 3", f"descriptors {out[1]}", "what the caller has open would be open inside: "
         "program.clear() first")
    return equal(out[0], "0022", "the caller's umask would decide about files inside: program.clear()")


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


def step(machine, *words):
    """`crabcan step 1` with just these words."""
    return machine.run([sys.executable, "-P", "-m", "crabcan_steps", "step", "1", *words])


@fact(2, "a command is its words, after -- or without it", "crabcan step 1 -- echo -- a 'b  c'")
def words(machine):
    seen = came_up(step(machine, "--", "echo", "--", "a", "b  c")).out
    equal(seen, "-- a b  c\n", "only the first -- is ours; the words are not split again")
    seen = came_up(step(machine, "-w", "/tmp", "sh", "-c", "pwd")).out
    must(seen == "/tmp\n", seen, "options.read leaves in spec.words what is not an option")
    return equal(came_up(step(machine, "echo", "a")).out, "a\n", "without options, too") and "so"


@fact(2, "--command: one string, quoted as in a shell", "crabcan step 1 -c \"echo 'a  b'\"")
def string(machine):
    seen = came_up(step(machine, "-c", "echo 'a  b' c")).out
    return equal(seen.rstrip("\n"), "a  b c", "the string is split, quoted as in a shell (shlex): "
                 "the ancestor split at every space")


@fact(2, "what cannot be meant: one line, and status 2", "crabcan step 1 -c ''; echo $?")
def refused(machine):
    for said, why, *command in (
            ("give one of them", "two commands: which of them counts?", "-c", "a", "--", "b"),
            ("names no command", "a string without a word is no command", "-c", ""),
            ("names no command", "a string without a word is no command", "-c", "  "),
            ("no closing quotation", "a quote that is not closed is a mistake", "-c", "echo 'a"),
            ("the command is empty", "an empty word can be no program's name", "--", "")):
        answer = step(machine, *command)
        must(said in answer.error and answer.status == 2,
             f"status {answer.status}: {answer.error or answer.out}", f"{why}: wrong(...)")
    code = "from crabcan_steps.ch01_args import parse\nparse(['a', 'b\\0c'])"
    answer = machine.script(code)
    return must("contains NUL" in answer.error, answer.error or "accepted",
                "a word cannot contain NUL: execve would cut it off") and "so"
