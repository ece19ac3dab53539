#!/usr/bin/env python3
"""Weaves the book: puts quoted code and real output into its pages, and checks what stands there.

In a page, directly above a fenced block:

  <!-- quote: ch04_mounts.py::Mounts.child -->   code by name: a function, class, method, variable;
      also A..B (from one name to another), __doc__, __main__, Class.__head__ (up to its first
      method), * (all); profiles/deny-list.json::The kernel's (the rule whose comment begins so);
      first/container.py::* (a program that stands beside the pages: chapters/first/container.py);
      explore/reducer.py::reduce (of crabcan_workshop/explore)
  <!-- run: crabcan step 3 -- hostname -->       a command and its output; several commands in the
      lines of one comment share a shell. Options: run (exit 1): status of the last command;
      (user): not as root; (bare): no `$ command` line; (world): in a network of its own, with an
      internet (tools/weaving/world.py); (needs cgroup v2), (needs PROGRAM ...): on hosts without it
      left as it is
"""
import argparse
import difflib
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from weaving import Problem, coverage  # noqa: E402
from weaving.pages import Page, check_fence  # noqa: E402
from weaving.quotes import Library  # noqa: E402
from weaving.runs import LIMIT, Bench  # noqa: E402
from weaving.volatile import normal  # noqa: E402

CHECKOUT = Path(__file__).resolve().parent.parent
EXAMPLES = """examples:
  tools/weave.py --write                     fill all pages
  tools/weave.py --write README.md           fill one
  tools/weave.py --check                     is all as it was? and is each line of code quoted?
  tools/weave.py --check --no-run            the same without running commands
  tools/weave.py --check --only quotes chapters/04-mounts.md
  tools/weave.py --coverage                  what is not quoted yet

Without FILES: chapters/*.md and README.md; only then --check includes the coverage.
What differs from run to run (pids, times, ...: tools/weaving/volatile.py) does not count.

exit status: 0 as it should be; 1 --check or --coverage found something; 2 a page or a command is
wrong (pages with such faults are not written)"""


def options():
    parser = argparse.ArgumentParser(prog="weave", description=__doc__, epilog=EXAMPLES,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    deed = parser.add_mutually_exclusive_group(required=True)
    deed.add_argument("--write", action="store_true", help="fill the blocks, in place")
    deed.add_argument("--check", action="store_true", help="show what --write would change")
    deed.add_argument("--coverage", action="store_true", help="tell which code is not quoted")
    parser.add_argument("--only", choices=("quotes", "runs"), help="leave the other ones alone")
    parser.add_argument("--no-run", action="store_true", help="run no command")
    parser.add_argument("--timeout", type=float, default=LIMIT, metavar="SECONDS",
                        help=f"for one command ({LIMIT})")
    parser.add_argument("files", nargs="*", metavar="FILES", type=Path)
    return parser.parse_args()


def pages_of(files):
    found = []
    for path in files:
        path = path.absolute()
        inside = path.is_relative_to(CHECKOUT)
        found.append(Page(path, str(path.relative_to(CHECKOUT) if inside else path)))
    return found


def new_texts(pages, library, chosen, problems):
    """What each block should hold: {block: lines}."""
    texts = {}
    blocks = [block for page in pages for block in page.blocks]
    for block in blocks:
        if block.kind == "quote":
            try:
                texts[block], block.source = library.quote(block)
            except Problem as problem:
                problems.append(problem)
    if "quotes" not in chosen.only:
        texts.clear()
    if "runs" in chosen.only:
        with Bench(CHECKOUT, [b for b in blocks if b.kind == "run"], chosen.timeout) as bench:
            texts |= bench.all(problems)
    for block in list(texts):
        try:
            check_fence(block, texts[block])
        except Problem as problem:
            problems.append(problem)
            del texts[block]
    return {b: new for b, new in texts.items() if not same(b, new)}


def same(block, new):
    """Whether a block need not change."""
    if block.kind == "quote":
        return block.old == new
    return normal("\n".join(block.old)) == normal("\n".join(new))


def show(block, new):
    """A unified diff of a block; lines that differ only by what does not count are not in it."""
    old = block.old
    if block.kind == "run":
        plain = [normal(line) for line in old], [normal(line) for line in new]
        for tag, a, b, c, d in difflib.SequenceMatcher(None, *plain, autojunk=False).get_opcodes():
            if tag == "equal":
                new = [*new[:c], *old[a:b], *new[d:]]
    colours = {"+": 32, "-": 31, "@": 36} if sys.stdout.isatty() else {}
    ask = block.body if block.kind == "quote" else block.body[0]
    for line in difflib.unified_diff(old, new, block.where, ask, lineterm=""):
        colour = colours.get(line[:1])
        print(f"\033[{colour}m{line}\033[0m" if colour else line)


def main():
    chosen = options()
    whole = not chosen.files
    files = chosen.files or [*sorted((CHECKOUT / "chapters").glob("*.md")), CHECKOUT / "README.md"]
    only = {"quotes", "runs"} if chosen.only is None else {chosen.only}
    chosen.only = only - ({"runs"} if chosen.no_run or chosen.coverage else set())
    pages = pages_of(files)
    problems = [problem for page in pages for problem in page.problems]
    status, changes = 0, {}
    try:
        library = Library(CHECKOUT / "crabcan_steps", CHECKOUT / "chapters", CHECKOUT / "crabcan_workshop/explore")
        changes = new_texts(pages, library, chosen, problems)
        if chosen.coverage or chosen.check and whole and "quotes" in chosen.only:
            out = sys.stdout
            status = 1 if coverage.report(library, pages, out) else 0
    except Problem as problem:
        problems.append(problem)
    if chosen.check:
        for block, new in changes.items():
            status = 1
            show(block, new)
    for problem in problems:
        print(problem, file=sys.stderr)
    faulty = {str(problem).partition(":")[0] for problem in problems}
    for page in pages if chosen.write else ():
        if page.name not in faulty and any(block in changes for block in page.blocks):
            page.write(changes)
            print(f"weave: wrote {page.name}", file=sys.stderr)
    return 2 if problems else status


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # undo what was made for the runs
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
