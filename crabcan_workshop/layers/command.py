"""`workshop layers IMAGE`: what is in an image, layer by layer, and what it carries for nothing."""
import argparse
import contextlib
import json
import os
import sys

from crabcan_steps.args.values import size
from crabcan_steps.images.errors import ImageError
from crabcan_steps.layer import printable

from ..words import NAME

COMMANDS = {"layers": "what is in an image, layer by layer"}
EXAMPLES = f"""examples:
  {NAME} layers alpine                        to look through, on a terminal: keys are shown, q quits
  {NAME} layers alpine --plain                layers, wasted bytes, secrets, advice; so it is in a pipe, too
  {NAME} layers docker-archive:image.tar      from a file; no daemon is asked
  {NAME} layers alpine --layer 1 --filter etc the tree of what layer 1 does
  {NAME} layers before after                  what two images differ in
  {NAME} layers alpine --html alpine.html     the same as one page
  {NAME} layers alpine --ci --min-efficiency 0.95 --no-secrets

exit status: 0; 1 no such image; with --ci 3 if a threshold is not met"""


def add_arguments(name, parser):
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    parser.add_argument("image", help="a name in the store, HOST/NAME:TAG, oci:DIR, oci-archive:FILE, docker-archive:FILE")
    parser.add_argument("other", nargs="?", help="another one, to compare with")
    parser.add_argument("--platform", help="linux/arm64 or the like")
    parser.add_argument("--insecure", action="store_true", help="a registry without TLS")
    parser.add_argument("--plain", action="store_true", help="print it, also on a terminal")
    parser.add_argument("--layer", type=int, help="the tree of what this layer does")
    parser.add_argument("--filter", default="", metavar="TEXT", help="only paths that contain it")
    parser.add_argument("--all", action="store_true", help="long trees whole")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--html", metavar="FILE", help="write one page for the browser")
    parser.add_argument("--ci", action="store_true", help="compare with the thresholds, and exit with 3 if one is not met")
    parser.add_argument("--min-efficiency", type=float, default=0.9, metavar="X", help="0 to 1 (0.9)")
    parser.add_argument("--max-wasted", type=size, metavar="SIZE", help="bytes, such as 20M")
    parser.add_argument("--no-secrets", action="store_true", help="nothing hidden may look like a secret")


def main(options):
    """The command. Returns its exit status."""
    try:
        return shown(options)
    except (ImageError, OSError) as error:
        print(f"{NAME} layers: {printable(str(error))}", file=sys.stderr)
    except Exception as error:  # a bug, too, is one line and a status
        print(f"{NAME} layers: {printable(f'{type(error).__name__}: {error}')}", file=sys.stderr)
    return 1


def shown(options):
    """Reads the image, and says what was asked for."""
    from .index import Index
    from .source import image_at
    with contextlib.ExitStack() as stack:
        image, opened = stack.enter_context(image_at(options.image, options))
        second = stack.enter_context(image_at(options.other, options)) if options.other else None
        index = Index(image)
        if options.layer is not None and not 0 <= options.layer < len(index.steps):
            raise ImageError(f"--layer {options.layer}: there are 0 to {len(index.steps) - 1}")
        if looked_at(options):
            return looked(index, opened, second)
        return told(index.read(opened), second, options)


def looked_at(options):
    """Tells whether somebody sits there who can look around."""
    asked = (options.plain, options.json, options.html, options.ci, options.filter, options.all, options.layer is not None)
    return not any(asked) and sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def looked(index, opened, second):
    """On the terminal, until q."""
    from .screen import Viewer  # only now: textual takes half a second
    screen = Viewer(index, opened, second and (lambda first: compared(first, second)))
    screen.run()
    if screen.fault:
        raise screen.fault
    return 0


def compared(index, second):
    """What two images differ in; the second is read for it."""
    from .index import Index
    from .waste import compare
    image, opened = second
    return compare(index, Index(image).read(opened))


def told(index, second, options):
    """As text, JSON or a page."""
    from . import view
    from .waste import Report
    if second:
        found = compared(index, second)
        print(json.dumps(found, indent=2)) if options.json else view.differences(found, view.console())
        return 0
    report = Report(index)
    if options.html:
        from .page import page
        with open(options.html, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(page(report))
    if options.json:
        print(json.dumps(report.data(), indent=2))
    elif options.layer is not None:
        view.tree(report, options.layer, options.filter, options.all, view.console())
    elif not options.ci and not options.html:
        view.summary(report, view.console())
    return verdict(report, options) if options.ci else 0


def verdict(report, options):
    """Tells each threshold that is not met."""
    faults = []
    if report.efficiency < options.min_efficiency:
        faults.append(f"efficiency {report.efficiency:.3f} is below {options.min_efficiency}")
    if options.max_wasted is not None and report.lost > options.max_wasted:
        faults.append(f"{report.lost} bytes are wasted, and {options.max_wasted} allowed")
    if options.no_secrets:
        faults += [f"/{path}: {', '.join(kinds)}, hidden in layer {layer}" for path, layer, _, kinds in report.hidden]
    for fault in faults:
        print(f"{NAME} layers: {printable(fault)}", file=sys.stderr)
    return 3 if faults else 0
