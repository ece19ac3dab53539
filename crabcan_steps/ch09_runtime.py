"""Chapter 9: the layers assembled, and the command: crabcan.

The chapters stand in the order in which one learns; the child acts in the order of the stages.
"""
import os
import sys

from . import __version__, ch01_args, ch02_clone, linux, program
from .ch03_hostname import Hostname
from .ch04_mounts import Mounts
from .ch05_namespaces import Identity, Keyring, Namespaces, Users
from .ch06_caps import BoundingSet, Capabilities
from .ch07_seccomp import Filter
from .ch08_cgroups import Cgroup, Rlimits
from .layer import LayerError, warn
from .terminal import Terminal

LAYERS = (ch02_clone.Clone, Hostname, Mounts, Users, Keyring, Identity, Namespaces,
          BoundingSet, Capabilities, Filter, Cgroup, Rlimits, Terminal)
NAMES = list(dict.fromkeys(layer.name for layer in LAYERS))
USAGE = f"""crabcan {__version__}: a container runtime to learn from

  crabcan run [OPTIONS] [--] [COMMAND [ARG ...]]       a container with all layers
  crabcan step N [OPTIONS] [--] [COMMAND [ARG ...]]    the checkpoint of chapter N, 1 to 9
  crabcan run --help                                   the options, with examples

`run` may be left out before an option: crabcan -m ./root -c /bin/sh"""


class UsageError(Exception):
    """The options contradict each other."""


def main(argv=None):
    """The command. Returns its exit status."""
    try:
        status = command(argv)
    except SystemExit as end:  # argparse's way
        status = end.code
    except KeyboardInterrupt:
        status = 128 + linux.SIGINT
    if error := unwritten(1, sys.stdout):
        warn(f"our output cannot be written: {error.strerror}")
        status = status or 125
    unwritten(2, sys.stderr)  # of which we cannot tell anybody
    return status


def unwritten(fd, stream):
    """Writes out what a stream holds; returns the error. Python, at its end, would make 120 of it."""
    try:
        return stream and stream.flush()
    except OSError as error:
        os.dup2(os.open("/dev/null", os.O_WRONLY), fd)
        return error


def command(argv):
    """Does what the first word says. Returns the exit status."""
    argv = sys.argv[1:] if argv is None else argv
    word, rest = (argv[0], argv[1:]) if argv else (None, [])
    if word in ("-h", "--help", "help"):
        print(USAGE)
        return 0
    if word in ("-V", "--version", "version"):
        print(f"crabcan {__version__}")
        return 0
    if word == "step" and rest and rest[0] in tuple("123456789"):
        return execute(int(rest[0]), rest[1:], f"crabcan step {rest[0]}")
    if word == "run":
        return execute(9, rest, "crabcan run")
    if word and word.startswith("-"):
        return execute(9, argv, "crabcan run")
    if word == "step":
        print("crabcan: step wants the number of a chapter, 1 to 9", file=sys.stderr)
    elif word:
        print(f"crabcan: no command '{word}': try `crabcan run -- {word}`", file=sys.stderr)
    else:
        print(USAGE, file=sys.stderr)
    return 2


def execute(chapter, argv, prog):
    """Parses, assembles and runs; makes of every error one line and an exit status."""
    layers, place = [], "args"
    try:
        spec = ch01_args.parse(argv, prog)
        if spec.debug or spec.trace:
            from .trace import record  # only now: with its json it takes 5 ms
            record(spec)
        layers = assemble(spec, chapter)
        if chapter == 1:
            return ch01_args.run(spec)
        place = ch02_clone.Clone.name  # whoever knows a better one has said so
        return run(spec, layers)
    except UsageError as error:
        warn(error)
        return 2
    except Exception as error:  # a bug, too, is one line and a status
        return report(LayerError.of(place, error), layers)


def report(error, layers):
    """Prints one line about an error; returns the exit status that goes with it."""
    if error.call == "execve":
        status, text = program.explain(error.errno, error.about, error.head)
    else:
        status, text = 125, error.explain([*layers, ch02_clone.Start])
    warn(text)
    return status


def assemble(spec, chapter):
    """The layers of chapters 2 to N, less those that the user leaves out by name."""
    wanted = selected(spec.layers)
    layers = []
    for layer in LAYERS:
        if layer.chapter <= chapter and layer.name in wanted:
            layers.append(layer())
            continue
        for field, option in layer.options.items():
            if vars(spec).get(field):
                raise UsageError(f"{option} has no effect without chapter {layer.chapter} ({layer.name})")
    if chapter > 1 and os.geteuid() != 0 and not any(isinstance(x, Users) for x in layers):
        warn("not root, so this step borrows the user namespace of chapter 5")
        layers.append(Users())
    return layers


def selected(text):
    """Which layers --layers means: names, or `all` and -NAME for those to leave out."""
    wanted = set()
    for word in text.split(","):
        name = word.strip().removeprefix("-")
        if name not in (*NAMES, "all"):
            raise UsageError(f"--layers {text}: no layer '{name}': they are {', '.join(NAMES)}")
        names = set(NAMES) if name == "all" else {name}
        if word.strip().startswith("-"):
            wanted = (wanted or set(NAMES)) - names
        else:
            wanted |= names
    if "clone" not in wanted:
        raise UsageError(f"--layers {text}: without clone there is no container")
    return wanted


def run(spec, layers):
    """ch02_clone.run, with our terminal connected while the container runs."""
    container = ch02_clone.create(spec, layers)
    try:
        terminals = [layer.connect(container) for layer in layers if isinstance(layer, Terminal)]
        ch02_clone.start(container)
        return ch02_clone.wait(container, terminals[0] if terminals else None)
    finally:
        ch02_clone.delete(container)


if __name__ == "__main__":
    sys.exit(main(["step", "9", *sys.argv[1:]]))
