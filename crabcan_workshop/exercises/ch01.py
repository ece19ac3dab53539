"""Chapter 1: the facts about the command line, and about what the program gets."""
from .facts import came_up, collector, drawn, equal, must, refused

FACTS, fact = collector()


@fact(1, "the program takes the place of this very process",
      "sh -c 'echo $$; exec \"$PYTHON\" -P -m crabcan_steps step 1 -- sh -c \"echo \\$\\$\"'")
def same_process(machine):
    answer = came_up(machine.crabcan(sh="echo up; cat", watch=True))
    return must(answer.outside, "another process than the one that was started",
                "the command is a child: chapter 1 becomes the command (execve), it starts none") \
        and "the same"


@fact(1, "it starts in --workdir", "crabcan step 1 --workdir /tmp -- pwd")
def workdir(machine):
    folder = f"/tmp/{drawn()}"
    machine.shell(f"mkdir {folder}")
    return equal(came_up(machine.crabcan("-w", folder, sh="pwd")).out.strip(), folder,
                 "run() changes the directory before it executes the program")


@fact(1, "no variable of the caller's, only PATH and HOME", "crabcan step 1 -- env | cat")
def scratch(machine):
    out = came_up(machine.crabcan(command=["env"])).out.split("\n")
    names = sorted(line.partition("=")[0] for line in out if line)
    must(set(names) <= {"HOME", "PATH"}, f"{len(names)} variables",
         "variables of the caller's slip through: begin with an empty dict, not with os.environ")
    return equal(" ".join(names), "HOME PATH", "no program gets far without PATH and HOME")


@fact(1, "no descriptor and no umask of the caller's",
      "exec 7</etc/passwd; umask 077; crabcan step 1 -- sh -c 'umask; ls /proc/self/fd'")
def clear(machine):
    line = "exec 3</etc/passwd 7</etc/passwd; umask 077; exec \"$@\""
    out = came_up(machine.words("step", "1", "--", "sh", "-c", "umask; echo $(ls /proc/self/fd)",
                                before=["sh", "-c", line, "sh"])).out.split("\n")
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
    name = drawn()
    out = came_up(machine.crabcan("--hostname", name, command=["env"], step=3)).out
    return must(f"HOSTNAME={name}\n" in out, "no HOSTNAME",
                "shells look for the name there") and f"HOSTNAME={name}"


@fact(1, "--env adds, and wins", "crabcan step 1 -e A=1 -e HOME=/here -- env | cat")
def variables(machine):
    name, here = drawn().upper(), f"/{drawn()}"
    out = came_up(machine.crabcan("-e", f"{name}=1", "-e", f"HOME={here}", command=["env"])).out.split()
    must(f"{name}=1" in out, f"{name} is missing", "what --env says belongs to the environment")
    return must(f"HOME={here}" in out, f"HOME is not {here}",
                "what the user says wins over the defaults") and "so"


@fact(1, "what the kernel refuses is an error: no such directory, no such program",
      "crabcan step 1 -w /nowhere -- true; crabcan step 1 -- nowhere; echo $?")
def failing(machine):
    name = drawn("nowhere")
    answer = machine.crabcan("-w", f"/{name}", sh="echo up")
    must(answer.status, "it starts elsewhere", "the error of chdir was passed over: let it through")
    refused(answer, 125, name)
    answer = machine.crabcan(command=[name])
    must(answer.status, "status 0", "the error of execve was passed over: let it through")
    return refused(answer, 127, name) and "so"


@fact(2, "a command is its words, after -- or without it", "crabcan step 1 -- echo -- a 'b  c'")
def words(machine):
    one, two = drawn(), drawn()
    seen = came_up(machine.words("step", "1", "--", "echo", "--", one, f"b  {two}")).out
    equal(seen, f"-- {one} b  {two}\n", "only the first -- is ours; the words are not split again")
    seen = came_up(machine.words("step", "1", "-w", "/tmp", "sh", "-c", "pwd")).out
    must(seen == "/tmp\n", seen, "options.read leaves in spec.words what is not an option")
    return equal(came_up(machine.words("step", "1", "echo", two)).out, f"{two}\n",
                 "without options, too") and "so"


@fact(2, "--command: one string, quoted as in a shell", "crabcan step 1 -c \"echo 'a  b'\"")
def string(machine):
    one, two = drawn(), drawn()
    seen = came_up(machine.words("step", "1", "-c", f"echo '{one}  b' {two}")).out
    return equal(seen.rstrip("\n"), f"{one}  b {two}", "the string is split, quoted as in a shell "
                 "(shlex): the ancestor split at every space")


@fact(2, "what cannot be meant: one line, and status 2", "crabcan step 1 -c ''; echo $?")
def unmeant(machine):
    for why, names, *command in (
            ("two commands: which of them counts?", ["--command"], "-c", "a", "--", "b"),
            ("a string without a word is no command", ["command"], "-c", ""),
            ("a string without a word is no command", ["command"], "-c", "  "),
            ("a quote that is not closed is a mistake", ["quot"], "-c", "echo 'a"),
            ("an empty word can be no program's name", ["command"], "--", "")):
        answer = machine.words("step", "1", *command)
        answer.raised.clear()  # what comes of passing it on says less than the reason below
        must(answer.status == 2, f"status {answer.status}: {answer.error or answer.out}",
             f"{why}: wrong(...)")
        refused(answer, 2, *names)
    answer = machine.script("from crabcan_steps.ch01_args import parse\nparse(['a', 'b\\0c'])")
    return must("NUL" in answer.error and answer.status == 2, answer.error or "accepted",
                "a word cannot contain NUL: execve would cut it off") and "so"
