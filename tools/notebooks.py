"""Checks that the notebooks are committed as sources: no outputs, readable ids. --write mends them.

python tools/notebooks.py [--check | --write] [NOTEBOOK ...]
"""
import argparse
import json
import re
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(CHECKOUT))
from crabcan_workshop.desk.notebooks import clean, text  # noqa: E402

NOTEBOOKS = CHECKOUT / "notebooks"
ID = re.compile(r"[a-z][a-z-]*-\d+")  # break-it-1: the section, and a number in it
SECTIONS = ["title", "set-up", "break-it", "look", "build", "prove", "exercises", "learned"]


def faults(path):
    """What is wrong with a notebook, a line each."""
    source = path.read_text()
    notebook = json.loads(source)
    if source != text(clean(notebook)):
        yield f"{path.name}: has outputs or traces of a run: python tools/notebooks.py --write"
    ids = [cell.get("id", "") for cell in notebook["cells"]]
    for place, name in enumerate(ids):
        if not ID.fullmatch(name):
            yield f"{path.name}: cell {place}: id '{name}': wanted is one like break-it-1"
        elif ids.index(name) != place:
            yield f"{path.name}: cell {place}: id '{name}' is there already"
    sections = list(dict.fromkeys(name.rpartition("-")[0] for name in ids))
    if sections != SECTIONS:
        yield f"{path.name}: sections {', '.join(sections)}; wanted are {', '.join(SECTIONS)}"


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--write", action="store_true", help="strip outputs and traces of runs")
    p.add_argument("--check", action="store_true", help="only tell (this is the default)")
    p.add_argument("notebooks", nargs="*", type=Path)
    options = p.parse_args()
    paths = options.notebooks or sorted(NOTEBOOKS.glob("*.ipynb"))
    if options.write:
        for path in paths:
            path.write_text(text(clean(json.loads(path.read_text()))))
    found = [fault for path in paths for fault in faults(path)]
    print(*found, sep="\n", end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
