"""The command `workshop`."""
import argparse
import sys

from .desk import commands as learner
from .desk import escape, instructor

EXAMPLES = """examples:
  workshop doctor            what this machine can do for each chapter, and the cures
  workshop matrix            run every checkpoint and see what it isolates
  workshop matrix --json     the same, for programs
  workshop compare           our container beside runc's, podman's and bubblewrap's
  workshop start             your own workspace, ~/my-container
  workshop check 3           is your chapter 3 right?
  workshop hint 3            a hint
  workshop escape 4          a container with a hole: find the flag behind it"""


def main(argv=None):
    p = argparse.ArgumentParser(prog="workshop", description=__doc__, epilog=EXAMPLES,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = p.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, text in {"doctor": "look at this machine, chapter by chapter",
                       "matrix": "run all checkpoints, draw what each isolates",
                       "compare": "our container beside other runtimes' defaults"}.items():
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("--json", action="store_true", help="print JSON")
    for name, text in learner.COMMANDS.items():
        learner.add_arguments(name, commands.add_parser(name, help=text, description=text))
    for module in (escape, instructor):
        for name, text in module.COMMANDS.items():
            module.add_arguments(name, commands.add_parser(name, help=text, description=text))
    options = p.parse_args(argv)
    if options.command in learner.COMMANDS:
        command = learner
    elif options.command in escape.COMMANDS:
        command = escape
    elif options.command in instructor.COMMANDS:
        command = instructor
    elif options.command == "matrix":
        from .measure import matrix as command
    elif options.command == "compare":
        from .measure import compare as command
    else:
        from . import doctor as command
    try:
        return command.main(options)
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
