"""`workshop layers IMAGE`: what is in an image, layer by layer, and what it carries for nothing."""
import argparse
import json
import sys

from crabcan_steps.args.values import size
from crabcan_steps.images.errors import ImageError
from crabcan_steps.layer import printable

from ..words import NAME

COMMANDS = {"layers": "what is in an image, layer by layer"}
EXAMPLES = f"""examples:
  {NAME} layers alpine                        layers, wasted bytes, secrets, advice
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
    parser.add_argument("--layer", type=int, help="the tree of what this layer does")
    parser.add_argument("--filter", default="", metavar="TEXT", help="only paths that contain it")
    parser.add_argument("--all", action="store_true", help="long trees whole")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--html", metavar="FILE", help="write one page for the browser")
    parser.add_argument("--ci", action="store_true", help="compare with the thresholds, and exit with 3 if one is not met")
    parser.add_argument("--min-efficiency", type=float, default=0.9, metavar="X", help="0 to 1 (0.9)")
    parser.add_argument("--max-wasted", type=size, metavar="SIZE", help="bytes, such as 20M")
    parser.add_argument("--no-secrets", action="store_true", help="nothing hidden may look like a secret")


def image_of(store, text, options):
    """An image of the store; brought there if it is not. Raises ImageError."""
    from crabcan_steps.images.found import Options, find
    from crabcan_steps.images.pull import pull
    if text.partition(":")[0] not in ("oci", "oci-archive", "docker-archive") and not options.platform:
        try:
            return find(store, text)
        except ImageError:
            pass
    chosen = Options()
    chosen.platform, chosen.insecure = options.platform, options.insecure
    return pull(store, text, chosen)


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
    from crabcan_steps.images.store import Store
    from . import view
    from .index import Index
    from .waste import Report, compare
    store = Store()
    store.share()
    index = Index(store, image_of(store, options.image, options))
    if options.other:
        found = compare(index, Index(store, image_of(store, options.other, options)))
        print(json.dumps(found, indent=2)) if options.json else view.differences(found, view.console())
        return 0
    report = Report(index)
    if options.html:
        from .page import page
        with open(options.html, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(page(report))
    if options.layer is not None and not 0 <= options.layer < len(index.steps):
        raise ImageError(f"--layer {options.layer}: there are 0 to {len(index.steps) - 1}")
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
