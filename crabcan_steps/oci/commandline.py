"""The command line that runtimes have in common: global options, a command, its options, its words.

One table, for the parser and for --help. As in Go's flag package, from which the form has spread,
one dash is as good as two, and a value may stand behind a blank or a =.
"""

GLOBAL = """
--root DIR            where the states of containers are kept (/run/crabcan)
--log FILE            also write errors and warnings there
--log-format FORMAT   text or json
--debug               tell each step, in the log or on standard error
--systemd-cgroup      ask systemd for cgroups (cgroupsPath is slice:prefix:name)
--cgroup-manager NAME cgroupfs or systemd
--rootless VALUE      true, false or auto
--criu PATH           not used: there is no checkpoint
--version -v          versions of ours and of the specification
--help -h             this text, or with a command its own
"""
PROCESS = """
--tty -t              give it a terminal
--user -u UID[:GID]   run as this user
--cwd DIR             its working directory
--env -e NAME=VALUE   add to its environment; again for more *
--cap -c NAME         add a capability; again for more *
--additional-gids -g GID   a further group; again for more *
--apparmor NAME       its AppArmor profile
--process-label LABEL its SELinux label
--no-new-privs        it may gain no privileges by execve
--cgroup PATH         a cgroup below the container's; or CONTROLLER[,CONTROLLER]:PATH *
--ignore-paused       also where the container is paused
"""
MAKES = """
--bundle -b DIR       where config.json and the root file system are (here)
--config -f FILE      another name than config.json
--console-socket PATH where to send the terminal
--pid-file FILE       write the number of the process there
--no-pivot            chroot(2) instead of pivot_root(2), for an initial ramdisk
--no-new-keyring      keep our caller's session keyring
--preserve-fds N      also pass on descriptors 3 to N+2
"""
UPDATE = """
--resources -r FILE   read linux.resources from there (-: standard input)
--blkio-weight N      weight of input and output, 10 to 1000
--cpu-period N        microseconds
--cpu-quota N         microseconds of a period
--cpu-burst N         microseconds that may be saved up
--cpu-share N         relative weight
--cpu-shares N        the same
--cpu-rt-period N     microseconds, for real time
--cpu-rt-runtime N    microseconds of that period
--cpu-idle N          1: only when nobody else wants to run
--cpuset-cpus LIST    processors, such as 0-3,7
--cpuset-mems LIST    memory nodes
--memory SIZE         limit
--memory-reservation SIZE   below this nothing is reclaimed
--memory-swap SIZE    limit of memory and swap together; -1: none
--kernel-memory SIZE  without effect on today's kernels
--kernel-memory-tcp SIZE    the same
--pids-limit N        how many processes
--l3-cache-schema S   Intel's RDT
--mem-bw-schema S     Intel's RDT
"""
COMMANDS = {  # name -> (its words, what it does, its options)
    "create": ("ID", "make a container of a bundle; its program waits for `start`", MAKES),
    "start": ("ID", "let the program of a created container run", ""),
    "run": ("ID", "create, start, wait and delete in a row", MAKES + """
--detach -d           do not wait for the end
--keep                keep the state afterwards
--no-subreaper        leave orphans to others
"""),
    "state": ("ID", "print the state of a container as JSON", ""),
    "kill": ("ID [SIGNAL]", "send a signal (TERM) to its first process", "\n--all -a   to each process\n"),
    "delete": ("ID", "remove what is left of a container that has ended",
               "\n--force -f  end it first (KILL), and do not mind if there is none\n"),
    "exec": ("ID COMMAND [ARG ...]", "run one more process in a container", """
--process -p FILE     the process, in the form of config.json's `process`
--detach -d           do not wait for its end
--console-socket PATH where to send the terminal
--pid-file FILE       write the number of the process there
--preserve-fds N      also pass on descriptors 3 to N+2
""" + PROCESS),
    "ps": ("ID [OPTION ...]", "the processes of a container", "\n--format -f FORMAT   table or json\n"),
    "pause": ("ID", "let nothing in it run until `resume`", ""),
    "resume": ("ID", "let it run again", ""),
    "update": ("ID", "change its limits", UPDATE),
    "events": ("ID", "print what it uses, and when it ran out of memory, as JSON",
               "\n--interval TIME   between two figures, such as 5s\n--stats           the figures once\n"),
    "list": ("", "all containers", "\n--format -f FORMAT   table or json\n--quiet -q           ids only\n"),
    "features": ("", "what this runtime can do, as JSON", ""),
    "spec": ("", "write a config.json to begin with",
             "\n--bundle -b DIR   there, instead of here\n--rootless        for an ordinary user\n"),
    "checkpoint": ("ID", "not supported", "\n--any VALUE *\n"),
    "restore": ("ID", "not supported", "\n--any VALUE *\n"),
}
ENDS_OPTIONS = ("exec", "ps")  # what follows the id is not ours


class Misused(Exception):
    """The command line is wrong."""


def options_of(text):
    """{name: (long name, whether it takes a value, whether it may come again)} of a table."""
    found = {}
    for line in text.strip().splitlines():
        words = line.split()
        names = [word for word in words if word.startswith("-")][:2]
        names = names[:1] + [word for word in names[1:] if words.index(word) == 1]
        rest = words[len(names):]
        takes = bool(rest) and rest[0].strip("[]:=") .isupper() or rest[:1] == ["NAME=VALUE"]
        for name in names:
            found[name.lstrip("-")] = (names[0].lstrip("-"), takes, line.endswith("*"))
    return found


def read(words, known, stop=1 << 30):
    """(options, the words that are none) of a command line; options end after `stop` such words."""
    options, others, words = {}, [], list(words)
    while words:
        word = words.pop(0)
        if word == "--" or len(others) >= stop:
            others += words if word == "--" else [word, *words]
            break
        if word == "-" or not word.startswith("-"):
            others.append(word)
            continue
        name, equals, value = word.lstrip("-").partition("=")
        if name not in known:
            raise Misused(f"flag provided but not defined: {word}")
        name, takes, again = known[name]
        if takes and not equals:
            if not words:
                raise Misused(f"flag needs an argument: {word}")
            value = words.pop(0)
        elif not takes:
            value = value.lower() not in ("false", "0", "f") if equals else True
        if again:
            options.setdefault(name, []).append(value)
        else:
            options[name] = value
    return options, others


def split(argv):
    """(global options, command or None, its options, its words). Raises Misused."""
    first = 0
    known = options_of(GLOBAL)
    while first < len(argv) and argv[first].startswith("-"):
        name, equals, _ = argv[first].lstrip("-").partition("=")
        first += 2 if known.get(name, (0, False))[1] and not equals else 1
    settings, rest = read(argv[:first], known)
    command, *rest = [*rest, *argv[first:]] or [None]
    if command is None or command == "help":
        return settings, None, {}, rest
    if command not in COMMANDS:
        if {"-h", "--help", "-help"} & set(rest):
            raise Misused(f"No help topic for '{command}'")
        import difflib
        near = difflib.get_close_matches(command, COMMANDS, 1)
        raise Misused(f"no command '{command}'" + (f": did you mean {near[0]}?" if near else ""))
    known = options_of(COMMANDS[command][2]) | {"help": ("help", False, False),
                                                "h": ("help", False, False)}
    options, words = read(rest, known, 1 if command in ENDS_OPTIONS else 1 << 30)
    return settings, command, options, words


def usage(command=None):
    """The text of --help."""
    if command is None:
        lines = ["usage: crabcan-oci [GLOBAL OPTIONS] COMMAND [OPTIONS] [ARG ...]", "",
                 "A container runtime that engines can call (podman, docker, containerd).", ""]
        lines += [f"  {name:10} {what}" for name, (_, what, _) in COMMANDS.items()]
        lines += ["", "global options:", *("  " + x for x in GLOBAL.strip().splitlines())]
        lines += ["", "  crabcan-oci spec                       a config.json to begin with",
                  "  crabcan-oci run box                    the bundle of this directory",
                  "  podman --runtime $(command -v crabcan-oci) run --rm busybox id"]
        return "\n".join(lines)
    words, what, table = COMMANDS[command]
    lines = [f"usage: crabcan-oci {command} {'[OPTIONS] ' if table else ''}{words}".rstrip(), "", what]
    lines += ["", *("  " + line.rstrip(" *") for line in table.strip().splitlines())] if table else []
    return "\n".join(lines)
