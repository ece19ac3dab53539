"""`workshop engine`: one container through an engine, and all that the engine asks of our runtime."""
import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from crabcan_steps.layer import printable

from ..words import NAME, typed
from . import image
from .daemons import Containerd, Docker
from .errors import EngineError
from .podman import Podman

COMMANDS = {"engine": "one container through an engine, with our runtime"}
ENGINES = {engine.name: engine for engine in (Podman, Docker, Containerd)}
EXAMPLES = f"""examples:
  {NAME} engine podman                       a container's life, and the calls behind each step
  {NAME} engine docker -- sh -c 'id; ps'     your own command
  {NAME} engine podman --tty -- sh           a shell; the calls when you leave it
  {NAME} engine containerd --json            for a program

What is set up stands in a directory of its own in /tmp, and is removed at the end. Nothing that the
engine has on this machine is read or changed."""
WAIT = 3  # seconds for calls that an engine makes after it has answered


def add_arguments(name, parser):
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    parser.usage = f"{NAME} engine {{{','.join(ENGINES)}}} [--tty] [--json] [-- COMMAND ...]"
    parser.add_argument("engine", choices=ENGINES, metavar="ENGINE", help=", ".join(ENGINES))
    parser.add_argument("--tty", action="store_true", help="the command at a terminal: yours")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("words", nargs="*", metavar="COMMAND", help="what to run (without: a tour)")


def tour(engine):
    """The steps of a container's life, in an engine's own words."""
    if engine.name == "containerd":
        words = [word for word in engine.shown(["sleep", "100"], "--detach", name="box") if word != "--rm"]
        return [words, ["tasks", "exec", "--fifo-dir", f"{engine.folder}/fifo", "--exec-id", "one", "box", "id"],
                *(["tasks", word, "box"] for word in ("ps", "pause", "resume")),
                ["tasks", "kill", "--signal", "KILL", "box"], ["tasks", "delete", "box"], ["containers", "rm", "box"]]
    return [["run", "--detach", "--network", "none", "--name", "box", image.NAME, "sleep", "100"],
            ["exec", "box", "id"], ["update", "--memory", "64m", "--memory-swap", "64m", "box"],
            ["pause", "box"], ["unpause", "box"], ["stop", "-t", "1", "box"], ["rm", "box"]]


def steps(engine, options):
    """What to ask of the engine, in its own words."""
    if options.words:
        words = engine.shown(options.words)
        return [[*words[:1], *(("-t",) if engine.name == "containerd" else ("-it",)), *words[1:]]
                if options.tty else words]
    return tour(engine)


def runtime():
    """Our own. Raises EngineError if it is not set up."""
    path = Path(sys.executable).with_name("crabcan-oci")
    found = str(path) if path.exists() else shutil.which("crabcan-oci")
    if not found:
        raise EngineError("no crabcan-oci beside this Python: workshop setup")
    return found


def settled(engine, seconds=WAIT):
    """The calls so far, when none is under way and for a moment none has come."""
    end, before = time.monotonic() + seconds, None
    while time.monotonic() < end:
        calls = engine.calls()
        if calls and len(calls) == before and all(call.status is not None for call in calls):
            return calls
        before = len(calls)
        time.sleep(0.3)
    return engine.calls()


def taken(engine, options, show):
    """Takes the steps; yields (words, status, output, calls) of each."""
    count = len(settled(engine, 1))
    if count:
        show([], 0, "", engine.calls())
    for words in steps(engine, options):
        if options.words and not options.json:  # as if it had been typed
            sys.stdout.flush()
            status, said = subprocess.run(engine.command(*words), env=engine.environment).returncode, ""
        else:
            result = engine.call(*words)
            status, said = result.returncode, result.stdout + result.stderr
        calls = settled(engine)
        show(words, status, said, calls[count:])
        yield words, status, said, calls[count:]
        count = len(calls)


def printer(engine):
    """Prints one step: what was typed, what it said, and the calls."""
    from rich.console import Console
    from rich.text import Text
    console = Console(highlight=False, soft_wrap=True)
    program = engine.command()[0]

    def show(words, status, said, calls):
        title = f"$ {program} {' '.join(words)}" if words else f"{engine.name} looks at its runtime"
        console.print(Text(title.replace(image.NAME, "busybox").replace(str(engine.folder), "..."), style="bold"))
        for line in said.splitlines():
            console.print(Text("  " + printable(line)))
        for call in calls:
            took = f"{call.took:.0f} ms" if call.took is not None else ""
            console.print(Text(f"    {call.command:10}{took:>8}  ", style="cyan").append(call.meaning(), "default"))
            console.print(Text(f"      {printable(call.shown())}", style="dim"))
    return show


def go(options):
    """Sets the engine up, takes the steps; returns the exit status."""
    from rich.console import Console
    notes = Console(stderr=True)
    with notes.status(f"setting up {options.engine} in a directory of its own"):
        engine = ENGINES[options.engine](runtime()).__enter__()
    try:
        show = (lambda *_: None) if options.json else printer(engine)
        found = list(taken(engine, options, show))
        if options.json:
            print(json.dumps({"engine": options.engine, "steps": [
                {"words": engine.command(*words), "status": status, "output": said,
                 "calls": [call.data() for call in calls]} for words, status, said, calls in found]}, indent=1))
        if options.words:
            return found[-1][1]
        return 1 if any(status for _, status, _, _ in found) else 0
    finally:
        engine.__exit__()


def main(options):
    """The command. However it ends, all that was set up is taken down."""
    def ended(number, frame):
        sys.exit(128 + number)
    signal.signal(signal.SIGTERM, ended)
    signal.signal(signal.SIGHUP, ended)
    if options.tty and not (options.words and os.isatty(0)):
        print("workshop: engine: --tty wants a COMMAND, and a terminal", file=sys.stderr)
        return 2
    try:
        return go(options)
    except EngineError as error:
        print(typed(f"workshop: {error}"), file=sys.stderr)
        return 1
