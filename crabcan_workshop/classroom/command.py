"""`workshop class`: one machine for a room of people, made, looked at, and taken away."""
import argparse
import os
import signal
import sys
from pathlib import Path

from ..words import NAME, typed

COMMANDS = {"class": "one machine for a room of people"}
EXAMPLES = f"""examples:
  {NAME} class --learners 30               learner01 to learner30, in this machine's own browser
  {NAME} class --file names.csv --address 0.0.0.0 --name class.example.org
                                         a room: names from a file, a certificate of its own making
  {NAME} class --file names.csv --address 0.0.0.0 --port 443 --cert full.pem --key key.pem
  {NAME} class --learners 30 --dry-run     only say what would be done
  {NAME} class                             how it is
  {NAME} class --backup work.tar.gz        everybody's work in one file
  {NAME} class --remove                    all of it; asks first

As root, on Debian 12 or 13. The same command with more names adds learners. Each comes in with a name of
the list, the class's password, and a word of their own, which they choose the first time."""


def add_arguments(name, parser):
    parser.formatter_class, parser.epilog = argparse.RawDescriptionHelpFormatter, EXAMPLES
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--learners", type=number(1, 250), metavar="N", help="so many, without names")
    what.add_argument("--file", metavar="FILE", help="a name a line, or a CSV with a column \"name\"")
    for word, text in (("start", "run it again, now and with the machine"), ("stop", "end it; work stays"),
                       ("remove", "take all of it away; asks first")):
        what.add_argument(f"--{word}", action="store_true", help=text)
    what.add_argument("--backup", metavar="FILE", help="everybody's work in one file, such as work.tar.gz")
    what.add_argument("--qr", action="store_true", help="its address, and its root's, as QR codes for the wall")
    what.add_argument("--forget", metavar="NAME", help="a learner's own word: the next one chooses it anew")
    parser.add_argument("--address", type=address, help="where it listens (127.0.0.1: for this machine only)")
    parser.add_argument("--port", type=number(1, 65535), help="(8443 with a certificate, else 8000)")
    parser.add_argument("--name", action="append", metavar="NAME", help="what browsers call it; may be repeated")
    parser.add_argument("--cert", metavar="FILE", help="a certificate, with those between it and its root")
    parser.add_argument("--key", metavar="FILE", help="its key")
    parser.add_argument("--password", metavar="WORD", help="the class's (made up, and shown)")
    parser.add_argument("--teacher-password", metavar="WORD", help="the teacher's (made up, and shown)")
    parser.add_argument("--memory", type=number(128, 1 << 20), metavar="MB", help="for each (what the machine has)")
    parser.add_argument("--cpu", type=number(5, 10000), metavar="PERCENT", help="for each, of one (100)")
    parser.add_argument("--tasks", type=number(100, 100000), metavar="N", help="processes, threads of each (512)")
    parser.add_argument("--disk", type=number(100, 1 << 20), metavar="MB", help="for each (1024)")
    parser.add_argument("--idle", type=number(1, 10000), metavar="MINUTES", help="until a server ends (120)")
    parser.add_argument("--internet", action="store_true", help="learners may reach it; the course needs none")
    parser.add_argument("--sysctls", action="store_true", help="change kernel settings that forbid a class")
    parser.add_argument("--update", action="store_true", help="the course as it is here now, for the class, too")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--json", action="store_true", help="how it is, as JSON")


def number(least, most):
    def read(text):
        if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"'{text}': must be a number from {least} to {most}")
        return int(text)
    return read


def address(text):
    import ipaddress
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}': must be an address such as 0.0.0.0") from None


def main(options):
    from .system import ClassError
    try:
        return act(options)
    except ClassError as error:
        print(typed(f"workshop: class: {error}"), file=sys.stderr)
        return 1
    except BrokenPipeError:  # who reads has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except PermissionError as error:
        print(f"workshop: class: {error.filename}: only root may: sudo {NAME} class", file=sys.stderr)
        return 1


def act(options):
    """What was asked for; its exit status."""
    from . import choices, making, secret, settings, state
    from .system import ClassError
    before = settings.load() if settings.ETC.exists() and settings.CHOSEN.exists() else None
    if options.learners or options.file:
        return make(choices.chosen(options, before), options)
    if before is None:
        raise ClassError("there is no class on this machine: workshop class --learners 30 makes one (see --help)")
    if options.remove:
        return remove(before, options)
    if options.forget:
        if not secret.Words().forget(options.forget):
            raise ClassError(f"{options.forget} has no word of their own")
        return 0
    for word in ("start", "stop"):
        if getattr(options, word):
            getattr(making, word)(before)
            return 0
    if options.backup:
        making.backup(before, Path(options.backup).absolute())
        print(f"{options.backup}: {os.path.getsize(options.backup) >> 20} MB, the work of {len(before['learners'])}")
        return 0
    if options.qr:
        from . import shown
        shown.show(before, colour=sys.stdout.isatty())
        return 0
    return 0 if state.show(before, options.json) else 1


def make(chosen, options):
    """All steps; or their names."""
    from . import choices, making, state
    for line in choices.warnings(chosen):
        print(f"workshop: class: {line}", file=sys.stderr)
    secrets, begun = chosen.pop("shown"), False
    try:
        for text, do in making.steps(chosen):
            print(("would " if options.dry_run else "") + text, flush=True)
            if not options.dry_run:
                do()
                begun = True
    finally:  # the next time they are known, and not shown
        for who, word in secrets.items() if begun else ():
            print(f"{who}: {word}      (shown only now)")
    if options.dry_run:
        return 0
    print(f"the class: {state.address(chosen)}")
    if chosen["own_authority"]:
        print(typed(f"  browsers believe it with this root: {chosen['root']} (workshop class --qr shows it)"))
    return 0


def remove(before, options):
    """Asks, then all of it goes."""
    from . import making
    from .system import ClassError
    count = len(before["learners"])
    if options.dry_run:
        print(f"would delete the class with the accounts and the work of {count} learners")
        return 0
    if not options.yes:
        if not sys.stdin.isatty():
            raise ClassError(f"--remove deletes the work of {count} learners: say --yes where nobody can be asked")
        print(typed(f"This deletes the accounts and the work of {count} learners. "
                    "(workshop class --backup FILE keeps it.)"))
        if input("Type remove to go on: ").strip() != "remove":
            print("nothing was changed")
            return 1
    stay = making.remove(before)
    print("the class is gone" + (f"; Debian's {', '.join(stay)} stay, for others need them" if stay else ""))
    return 0
