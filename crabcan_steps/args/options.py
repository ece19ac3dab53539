"""Options read, told and, if they are wrong, explained, for chapter 1. table.py has which."""
from ..layer import say, warn
from .actions import Option
from .table import TABLE

EXAMPLES = """examples:
  crabcan run                                    a shell in a container
  crabcan run -- sh -c 'id; hostname; ps ax'     one command
  crabcan run --memory 64M --pids 20 -- python3  less than the default 1G and 64 processes
  crabcan run -m ./root -v ~/data:/data:ro -- ls /data
  crabcan run --net bridge -p 8080:80 -- python3 -m http.server 80
  crabcan run --image oci:./alpine               a shell in an image: chapter 12
  crabcan run --layers all,-seccomp -- bash      leave one layer out, on purpose
  crabcan step 3 -- hostname                     the container as chapter 3 leaves it
  crabcan run -d -- true                         what each layer asks of the kernel
  eval "$(crabcan completion bash)"              Tab completes; or zsh, fish

exit status: the command's own; 128+n if signal n ended it; 125 crabcan could not make the
container; 126 the command is not executable; 127 it was not found; 2 wrong usage"""
REPEATED = ("-e, -a, -v, --tmpfs, --device, --cap-add, --cap-drop, --ulimit, -p, --dns and --add-host\n"
            "can be repeated\n\n"
            "with --image what you do not say is the image's: the command, -e, -w, -u; and --caps is\n"
            "docker, --nofile 1024")
ROWS = [row for row in TABLE if isinstance(row, Option)]
NAMED = {name: row for row in ROWS for name in row.names}


def read(argv, spec, prog):
    """Puts what the options say into a Spec, and leaves the command in spec.words.

    Prints --help, or one line if they are wrong, and exits (0 or 2)."""
    words = list(argv)
    while words and words[0].startswith("-") and words[0] not in ("-", "--"):
        name, value = apart(words.pop(0))
        if name == "--help" or name == "-h" and value is None and (not words or words[0][:1] == "-"):
            print(told(prog))
            raise SystemExit(0)
        row = NAMED.get(name) or end(unknown(name, value is not None), prog)
        if not row.metavar:
            if value and name[:2] != "--":
                words.insert(0, f"-{value}")  # -it is -i -t
            elif value is not None:
                end(f"{name}: takes no value, and '{value}' is one", prog)
        elif value is None:
            value = words.pop(0) if words else end(f"{name}: wants {row.metavar} behind it", prog)
        try:
            row.take(spec, value)
        except ValueError as error:
            end(f"{'/'.join(row.names)}: {error}", prog)
    spec.words = words
    if spec.entrypoint and not spec.image:
        warn(f"--entrypoint {spec.entrypoint}: {spec.entrypoint} and the words behind are the command, as with --command")
        spec.words = ["--", spec.entrypoint, *(words[1:] if words[:1] == ["--"] else words)]


def apart(word):
    """An option's name, and its value if that is in the same word: --cpus=2, -u1000, -u=1000."""
    if word.startswith("--"):
        name, equals, value = word.partition("=")
        return name, value if equals else None
    if f"-{word.partition('=')[0]}" in NAMED:  # -memory: not -m with a directory named emory
        return word, None
    return word[:2], word[2:].removeprefix("=") if word[2:] else None


def unknown(name, valued):
    """What to say of an option that there is none of; a suggestion if one is close, and alike."""
    import difflib  # only now: it costs 5 ms
    known = [long[2:] for row in ROWS for long in row.names if long[:2] == "--"
             and (row.metavar or not valued)]
    bare = name.lstrip("-")
    near = sorted(long for long in known if len(bare) > 2 and long.startswith(bare))
    if not near or not near[-1].startswith(near[0]):
        near = difflib.get_close_matches(bare, known, 1, 0.83)
    return f"unknown option {name}" + (f": did you mean --{near[0]}?" if near else "")


def told(prog):
    """The text of --help."""
    lines = [f"usage: {prog} [OPTIONS] [--] [COMMAND [ARG ...]]"]
    for row in TABLE:
        if isinstance(row, str):
            lines += ["", row]
        elif row.text:
            lines.append(f"  {', '.join(row.names)} {row.metavar or ''}".ljust(35) + row.text)
    return "\n".join([*lines, "", REPEATED, "", EXAMPLES])


def end(message, prog):
    """Ends it all with one line: how the options were wrong."""
    say(f"{prog}: {message} (see {prog} --help)")
    raise SystemExit(2)
