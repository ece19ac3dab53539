"""The learner's notebooks: copies of the course's, in the workspace, so that running and changing
them never stands in the way of an update of the course.
"""
import hashlib
import json
import sys
from pathlib import Path

from . import workspace

COURSE = Path(__file__).resolve().parents[2] / "notebooks"
GIVEN = ".given.json"  # by name: the digest of what was copied
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


def clean(notebook):
    """The notebook without what running it has left."""
    cells = []
    for cell in notebook["cells"]:
        kept = {"cell_type": cell["cell_type"], "id": cell.get("id", ""), "metadata": {},
                "source": "".join(cell["source"]).rstrip().splitlines(keepends=True)}
        if cell["cell_type"] == "code":
            kept |= {"execution_count": None, "outputs": []}
        cells.append(kept)
    return {"cells": cells, "metadata": {"kernelspec": KERNEL}, "nbformat": 4, "nbformat_minor": 5}


def text(notebook):
    """As Jupyter itself writes it, so that saving without a change changes nothing."""
    return json.dumps(notebook, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def digest(content):
    return hashlib.sha256(content.encode()).hexdigest()


def changed(path, *given):
    """Whether a copy is none of those that were given, for the learner has written into it.
    To run it is no change."""
    try:
        return digest(text(clean(json.loads(path.read_text())))) not in given
    except (ValueError, KeyError, TypeError, AttributeError):
        return True  # no notebook any more; but it may be dear to somebody


def noted(folder):
    """What was given. Where that is not to be read, a copy of an older one counts as changed."""
    try:
        given = json.loads((folder / GIVEN).read_text())
    except (OSError, ValueError):
        return {}
    return given if isinstance(given, dict) else {}


def bring(place, course=COURSE):
    """Copies what is missing or has a newer version; what the learner has changed stays.

    Returns the directory, and the names of notebooks that are older than the course's.
    Raises WorkspaceError."""
    place.start()
    folder, older = place.folder / "notebooks", []
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise workspace.WorkspaceError(f"{folder}: {error.strerror}: give the directory back to "
                                       "yourself, then the same command again") from error
    given = noted(folder)
    before = dict(given)
    for source in sorted(course.glob("*.ipynb")):
        content, copy = source.read_text(), folder / source.name
        new = digest(content)
        if copy.exists() and given.get(source.name) == new:
            continue
        if copy.exists() and changed(copy, given.get(source.name), new):
            older.append(source.name)
            continue
        workspace.write(copy, content)
        given[source.name] = new
    if given != before:
        workspace.write(folder / GIVEN, json.dumps(given, indent=1) + "\n")
    return folder, older


def main():
    """Prints the directory: for `./workshop lab`."""
    try:
        folder, older = bring(workspace.find())
    except workspace.WorkspaceError as error:
        sys.exit(f"workshop: {error}")
    for name in older:
        print(f"workshop: the course has a newer {name}; yours, which you changed, stays. For the "
              f"newer one, give yours another name: {folder / name}", file=sys.stderr)
    print(folder)


if __name__ == "__main__":
    main()
