"""Runs the benchmarks: start, scale, memory, filters, oci, network and images. See each for what it measures."""
import argparse
import importlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import common  # noqa: E402
from crabcan_workshop import words  # noqa: E402

ALL = ("start", "scale", "memory", "filters", "oci", "network", "images")
EXAMPLES = f"""examples:
  {words.NAME} bench                    all of them, some minutes
  {words.NAME} bench start --rounds 5   quicker, and less sure
  {words.NAME} bench memory --json"""


def main():
    p = words.Parser(prog=f"{words.NAME} bench", description=__doc__, epilog=EXAMPLES,
                     formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("benchmark", nargs="*", help=f"which of {', '.join(ALL)} (all)")
    p.add_argument("--rounds", type=int, default=20, metavar="N", help="how often (20)")
    p.add_argument("--json", action="store_true", help="print JSON, a document each")
    options = p.parse_args()
    for name in options.benchmark:
        if name not in ALL:
            p.error(f"no benchmark '{name}': they are {', '.join(ALL)}")
    if options.rounds < 1:
        p.error("--rounds: must be at least 1")
    common.prepare()
    for name in options.benchmark or ALL:
        common.show(importlib.import_module(name).measure(options.rounds), options.json)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        common.progress("")
        sys.exit(130)
