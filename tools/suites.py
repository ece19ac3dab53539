#!/usr/bin/env python3
"""Runs tests that others wrote for container runtimes: ours beside runc and crun, on this machine.

Three suites: runc's (bats) and crun's (Python), whose sources Debian has, and the specification's
own validation (runtime-tools, in Go), of which you give a directory. Nothing of theirs is kept here:
it is fetched and built below --work. Wants root. tools/suites.py --help
"""
import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]  # -m needs no installed package

from tools.suites_of import crun, runc, runtime_tools  # noqa: E402
from tools.suites_of.common import Missing, runtimes  # noqa: E402

SUITES = {suite.name: suite for suite in (runc.Suite, crun.Suite, runtime_tools.Suite)}
EXAMPLES = """examples:
  tools/suites.py --suite runc                       runc's own tests, with all three runtimes
  tools/suites.py --suite crun --only 'test_mounts'  one of crun's files
  tools/suites.py --runtime-tools ~/runtime-tools    all, the specification's validation too
  tools/suites.py --runtimes ours --json out.json    only ours, for a program"""


def options(argv):
    parser = argparse.ArgumentParser(prog="tools/suites.py", description=__doc__.splitlines()[0],
                                     epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", action="append", choices=SUITES, help="(all that can be had)")
    parser.add_argument("--runtimes", default="ours,runc,crun", help="which (ours,runc,crun)")
    parser.add_argument("--only", default="*", metavar="PATTERN", help="files of the suite, such as 'exec*'")
    parser.add_argument("--runtime-tools", type=Path, metavar="DIR", help="the sources of runtime-tools")
    parser.add_argument("--go", default="go", help="a Go that can build them (go)")
    parser.add_argument("--work", type=Path, help="where to fetch and build; kept (a directory in /tmp, removed)")
    parser.add_argument("--all", action="store_true", help="show every test, not only those that fail with ours")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all results there")
    return parser.parse_args(argv)


def results(suite, chosen, pattern):
    """{test: {runtime: passed, failed or skipped}}; one runtime after another: they share names."""
    found = {}
    for name, runtime in chosen.items():
        for test, outcome in suite.run(name, runtime, pattern):
            found.setdefault(test, {})[name] = outcome
            if sys.stderr.isatty():
                print(f"\r{suite.name}, {name}: {test:.60}", end="\033[K", file=sys.stderr, flush=True)
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    return found


def show(suite, found, names, everything):
    """The table of a suite: totals, then the tests with what each has made of them."""
    print(f"\n{suite.name}: {suite.what}")
    for name in names:
        count = [row.get(name, "none") for row in found.values()]
        print(f"  {name:5} {count.count('passed'):4} passed {count.count('failed'):4} failed "
              f"{count.count('skipped'):4} skipped")
    for test, row in found.items():
        if everything or row.get("ours") == "failed":
            print(f"  {' | '.join(f'{row.get(name, chr(45)):7}' for name in names)} | {test}")
            if row.get("ours") == "failed" and (reason := suite.reason(test)):
                print(f"  {'':{10 * len(names)}}  {reason}")


def main(argv=None):
    given = options(argv)
    if os.geteuid() != 0:
        sys.exit("tools/suites.py: the suites make containers of root's: sudo")
    chosen = runtimes(given.runtimes.split(","))
    behind, report = False, {}
    with tempfile.TemporaryDirectory(prefix="suites-", dir="/tmp") as temporary:
        work = (given.work or Path(temporary)).resolve()
        work.mkdir(parents=True, exist_ok=True)
        for name in given.suite or SUITES:
            suite = SUITES[name](work, given)
            try:
                suite.build()
            except Missing as missing:
                print(f"{name}: {missing}", file=sys.stderr)
                behind = behind or bool(given.suite)
                continue
            found = report[name] = results(suite, chosen, given.only)
            show(suite, found, chosen, given.all)
            passed = {who: sum(row.get(who) == "passed" for row in found.values()) for who in chosen}
            behind = behind or "ours" in chosen and passed["ours"] < max(passed.values())
    if given.json:
        given.json.write_text(json.dumps(report, indent=1))
    return 1 if behind else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
