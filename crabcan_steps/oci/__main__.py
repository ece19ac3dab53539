"""crabcan-oci: the command line that container engines call. Every error is one line and a status."""
import os
import sys

from . import commandline
from .log import Log
from .state import Refused

NOT_HERE = ("checkpoint", "restore")
NOT_RUN = 255  # of exec, where 1 may be what the program has ended with


def main(argv=None):
    """The command. Returns its exit status."""
    log, command = Log(), None
    try:
        settings, command, options, words = commandline.split(sys.argv[1:] if argv is None else argv)
        log = Log(settings.get("log"), settings.get("log-format", "text"), settings.get("debug"))
        if settings.get("version"):
            print(version())
            return 0
        if command is None or options.get("help") or settings.get("help"):
            print(commandline.usage(command))
            return 0
        arguments(command, words)
        return act(settings, command, options, words, log)
    except commandline.Misused as error:
        log.error(f"{error} (see crabcan-oci --help)")
        return 1
    except BrokenPipeError:
        os.dup2(os.open("/dev/null", os.O_WRONLY), 1)
        return 1
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # a bug, too, is one line and a status
        log.error(told(error))
        return NOT_RUN if command == "exec" else 1


def version():
    from .. import __version__
    from .fields import VERSIONS
    return f"crabcan-oci version {__version__}\nspec: {VERSIONS[1]}"


def arguments(command, words):
    """Whether there are as many words as the command wants."""
    wanted = commandline.COMMANDS[command][0].split()
    least = sum(1 for word in wanted if word[0].isalpha() and command != "exec") or (command == "exec")
    if len(words) < least:
        raise commandline.Misused(f"{command}: {' '.join(wanted)}: {wanted[len(words)]} is missing")
    if len(words) > len(wanted) and command not in ("exec", "ps"):
        raise commandline.Misused(f"{command}: '{words[len(wanted)]}' is too much")


def told(error):
    """An error as one line."""
    from ..layer import LayerError
    from .last import no_program
    if isinstance(error, LayerError):
        if error.call == "Refused":  # by a hook in the container: the words are complete
            return error.about
        if error.layer == "program" or error.call == "execve":
            return no_program(error)
        from .known import LAYERS
        return error.explain(LAYERS)
    if isinstance(error, OSError) and error.errno:
        about = error.filename or ""
        if isinstance(about, int):  # a descriptor
            about = f"{getattr(error, 'call', 'call')} of descriptor {about}"
        return f"{os.fsdecode(about)}: {error.strerror}" if about else error.strerror
    return str(error) or type(error).__name__


def act(settings, command, options, words, log):
    """Does what the command says; returns the status."""
    if command in NOT_HERE:
        raise Refused(f"{command} is not supported: a container's processes cannot be written to disk")
    if command in ("features", "spec"):
        from . import printing
        return getattr(printing, command)(options)
    from . import verbs
    from .state import default_root
    options["log"] = log
    options["systemd"] = settings.get("systemd-cgroup") or settings.get("cgroup-manager") == "systemd"
    root = os.path.realpath(settings["root"]) if settings.get("root") else default_root()
    return verbs.do(command, root, options, words)


def leave(status):
    """Ends us at once, with all written out: to tidy up an interpreter takes 3 ms."""
    for stream in sys.stdout, sys.stderr:
        try:
            stream and stream.flush()
        except OSError:
            status = status or 1
    os._exit(status)


if __name__ == "__main__":  # engines come by runtime/launcher.py, and are sheltered there
    leave(main())
