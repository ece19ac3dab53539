"""The command: crabcan. What its words mean; every error becomes one line and an exit status."""
import os
import sys

from . import __version__, ch01_args, ch02_clone, linux
from .ch09_runtime import LAST, UsageError, assemble, report, run
from .layer import LayerError, warn
from .runtime.interpreter import shelter

USAGE = f"""crabcan {__version__}: a container runtime to learn from

  crabcan run [OPTIONS] [--] [COMMAND [ARG ...]]       a container with all layers
  crabcan step N [OPTIONS] [--] [COMMAND [ARG ...]]    the checkpoint of chapter N, 1 to {LAST + 3}
  crabcan run --help                                   the options, with examples
  crabcan pull | images | history | ... --help         images, to fetch, list, commit: chapter 12
  crabcan seccomp PROFILE [CALL ...]                   which rule decides about which call
  crabcan completion bash                              (or zsh, fish) what makes Tab complete them

`run` may be left out before an option: crabcan -m ./root -c /bin/sh"""

IMAGES = ("pull", "images", "inspect", "history", "rmi", "prune", "save", "push", "commit", "layers")


def main(argv=None):
    """The command. Returns its exit status."""
    try:
        status = command(argv)
    except SystemExit as end:  # how wrong options end
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
    if word == "step" and rest and rest[0] in map(str, range(1, LAST + 1)):
        return execute(int(rest[0]), rest[1:], f"crabcan step {rest[0]}")
    if word == "step" and rest[:1] == ["10"]:
        from .oci.stepping import step  # its container is a file
        return step(rest[1:])
    if word == "step" and rest[:1] in (["11"], ["12"]):  # the whole container, with what these add
        return execute(int(rest[0]), rest[1:], f"crabcan step {rest[0]}")
    if word == "step" and rest[:1] == ["--help"]:
        return execute(LAST, rest[:1], "crabcan step N")
    if word == "seccomp":
        return rules(rest)
    if word in IMAGES:
        from .images.commands import main as images  # with http, json and the rest: 60 ms
        return images(word, rest)
    if word in ("completion", "complete"):
        return complete(word, rest)
    if word == "run":
        return execute(LAST, rest, "crabcan run")
    if word and word.startswith("-"):
        return execute(LAST, argv, "crabcan run")
    if word == "step":
        print(f"crabcan: step wants the number of a chapter, 1 to {LAST + 3}", file=sys.stderr)
    elif word:
        print(f"crabcan: no command '{word}': try `crabcan run -- {word}`", file=sys.stderr)
    else:
        print(USAGE, file=sys.stderr)
    return 2


def rules(argv):
    """`seccomp PROFILE [CALL ...]`, with the options of `run`, as the capabilities that stay matter."""
    from .ch06_caps import Choice
    from .seccomp.rules import table
    try:
        spec = ch01_args.parse(argv, "crabcan seccomp")
        Choice().prepare(spec, None)
        profile, *calls = spec.command or (spec.seccomp,)
        print(*table(profile, spec.kept, calls), sep="\n")
        return 0
    except BrokenPipeError:  # whoever reads has read enough
        os.dup2(os.open("/dev/null", os.O_WRONLY), 1)
        return 128 + linux.SIGPIPE
    except Exception as error:
        return report(LayerError.of("seccomp", error), [])


def complete(word, rest):
    """`completion SHELL` prints what a shell is to read; that calls `complete WORD ...` at each Tab."""
    from .runtime.completion import SHELLS, candidates
    if word == "complete":
        for found, text in candidates(rest).items():
            print(found, text or "", sep="\t")
    elif rest[:1] and rest[0] in SHELLS:
        print(SHELLS[rest[0]])
    else:
        warn(f"completion: for which shell? {', '.join(SHELLS)}: eval \"$(crabcan completion bash)\"")
        return 2
    return 0


def execute(chapter, argv, prog):
    """Parses, assembles and runs; makes of every error one line and an exit status."""
    layers, place, exploring = [], "args", None
    try:
        spec = ch01_args.parse(argv, prog)
        if vars(spec).get("explore"):
            from .runtime import exploring
            exploring.begin(spec)
        if spec.debug or spec.trace:
            from .trace import record  # only now: with its json it takes 5 ms
            record(spec)
        if spec.image or chapter == 12:
            place = "images"
            from .images.running import run as run_image
            return run_image(spec)
        layers = assemble(spec, chapter)
        if spec.write_bundle:
            from .oci.writing import write
            write(spec, spec.write_bundle)
            return 0
        if chapter == 1:
            return ch01_args.run(spec)
        place = ch02_clone.Clone.name  # whoever knows a better one has said so
        shelter(layers)
        return run(spec, layers)
    except UsageError as error:
        warn(error)
        return 2
    except Exception as error:  # a bug, too, is one line and a status
        return report(LayerError.of(place, error), layers)
    finally:
        if exploring:
            exploring.finish(spec)
