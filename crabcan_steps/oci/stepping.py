"""`crabcan step 10`: chapter 9's container, written down as a bundle, and run from nothing but that."""
import sys

from .. import ch01_args
from ..layer import LayerError, warn
from .interpreter import shelter
from .last import NONE, no_program
from .log import Log
from .state import Refused


def step(argv):
    """The command. Returns the exit status of the container's program, or 125 to 127."""
    shelter(["run"])
    exploring = None
    try:
        spec = ch01_args.parse(argv, "crabcan step 10")
        if spec.explore:
            from ..runtime import exploring
            exploring.begin(spec)
        if spec.debug or spec.trace:
            from ..trace import record
            record(spec)
        return from_file(spec)
    except LayerError as error:
        if error.layer == "program" or error.call == "execve":
            warn(no_program(error))
            return 127 if error.errno in NONE else 126
        from .known import LAYERS
        warn(error.explain(LAYERS))
    except (OSError, Refused, ValueError) as error:
        warn(error)
    finally:
        if exploring:
            exploring.finish(spec)
    return 125


def from_file(spec):
    """Writes the bundle into a directory of its own, runs it as an engine would, and takes it away."""
    import shutil
    import signal
    import tempfile
    from . import verbs, writing
    from ..clone.signals import DEADLY
    for number in DEADLY:
        if signal.getsignal(number) == signal.SIG_DFL:  # it would end us at once, and our directory would stay
            signal.signal(number, lambda number, _: sys.exit(128 + number))
    folder = tempfile.mkdtemp(prefix="crabcan-")
    try:
        writing.write(spec, f"{folder}/box")
        if sys.stderr.isatty():
            warn(f"the container is {folder}/box/config.json")
        name = folder.rpartition("/")[2]  # no other step's: its cgroup is called so
        return verbs.do("run", f"{folder}/state", {"bundle": f"{folder}/box", "log": Log()}, [name])
    finally:
        shutil.rmtree(folder)
