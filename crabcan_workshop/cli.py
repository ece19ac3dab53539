"""The command `workshop`, in Python: its sub-commands, and who does them."""
import argparse
import importlib
import os
import signal
import sys

from . import words

JSON = {"doctor": "doctor", "matrix": "measure.matrix", "compare": "measure.compare"}  # take only --json
DOOR = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "workshop")


def modules():
    """{sub-command: its module}, for those that are written in Python."""
    from .desk import asking, commands, escape, explore, fields, instructor, pack
    from .classroom import command as classroom
    from .engine import command as engine
    from .layers import command as layers
    from .teacher import command as teacher
    from . import completion
    known = {name: module for module in
             (asking, commands, escape, explore, fields, instructor, pack, engine, layers, teacher, classroom,
              completion)
             for name in module.COMMANDS}
    return known | dict.fromkeys(JSON)


def parser(name, module):
    """What one sub-command takes."""
    p = words.Parser.of(name)
    if module:
        module.add_arguments(name, p)
    else:
        p.add_argument("--json", action="store_true", help="print JSON")
    return p


def usage():
    with open(words.TABLE, encoding="utf-8") as table:
        return f"usage: {words.NAME} COMMAND [ARG ...]\n\n{table.read()}"


def main(argv=None, ready=lambda: None):
    """The command. Returns its exit status; calls `ready` when all is loaded."""
    argv = sys.argv[1:] if argv is None else argv
    only = argv[:1] == ["--words"]  # the door asks whether they are right, before it sets up what they want
    argv = argv[only:]
    word = argv[0] if argv else None
    if word in ("-h", "--help", "help"):
        print(usage(), end="")
        return 0
    if word is None:
        print(usage(), end="", file=sys.stderr)
        return 2
    known = modules()
    if word not in known:
        return elsewhere(word, argv)
    module = known[word]
    told = argparse.Namespace(command=word, parsers=lambda: {
        name: parser(name, module) for name, module in known.items()})
    options = parser(word, module).parse_args(argv[1:], told)
    if only:
        return 0
    if module is None:
        module = importlib.import_module(f"crabcan_workshop.{JSON[word]}")
    if not standing():
        print("workshop: the directory that you stand in is gone: cd to another", file=sys.stderr)
        return 1
    try:
        ready()
        return module.main(options)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def standing():
    """Whether the current directory is still there."""
    try:
        return bool(os.getcwd())
    except OSError:
        return False


def elsewhere(word, argv):
    """What the door does, if we are in a clone; else one line."""
    if word in ("-V", "--version", "version"):
        from crabcan_steps import __version__
        print(f"workshop {__version__}")
        return 0
    if word in words.COMMANDS:
        if os.access(DOOR, os.X_OK):
            os.execv(DOOR, [DOOR, *argv])
        print(f"workshop: {word}: only in a clone of the course's repository", file=sys.stderr)
        return 1
    print(f"workshop: no command '{word}'{words.meant(word, words.COMMANDS)} "
          f"(see {words.NAME} --help)", file=sys.stderr)
    return 2
