"""start: where a workspace may be, and how the other commands find it there."""
import os
from pathlib import Path

from ..words import typed
from . import workspace

COURSE = Path(__file__).resolve().parents[2]


def start(asked):
    """Makes a workspace, or what is missing in one."""
    made = place(asked)
    new = made.start()
    print(f"{made.folder}: {len(new)} new files" if new else f"{made.folder}: everything is "
          f"there already")
    if said := findable(made):
        print(said)
    print(typed("Read chapters/01-args.md, write what is missing in ch01_args.py, then: workshop "
                "check 1"))
    return 0


def place(asked):
    """The workspace to be made. Raises WorkspaceError where it would be in the way."""
    if asked is None:
        return workspace.Workspace(workspace.usual())
    if not asked:
        raise workspace.WorkspaceError("start: the name is empty: name a directory, or none for ~/my-container")
    if asked.isdigit():
        raise workspace.WorkspaceError(f"start {asked}: start is for all chapters; then: workshop check "
                                       f"{asked}. If a directory is meant: workshop start ./{asked}")
    found = workspace.Workspace(asked)
    real = found.folder.resolve()
    if real == COURSE or COURSE in real.parents:
        raise workspace.WorkspaceError(f"{found.folder} is in the course's own directory, which an update "
                                       "changes: name one elsewhere, or none for ~/my-container")
    if found.folder.is_dir() and not ours(found.folder):
        raise workspace.WorkspaceError(f"{found.folder} has files in it that are no workspace's: name a "
                                       "new directory")
    return found


def ours(folder):
    """Whether a directory is empty, or a workspace, perhaps one that has lost its progress."""
    try:
        names = os.listdir(folder)
    except OSError as error:
        raise workspace.WorkspaceError(f"{folder}: {error.strerror}: is it another user's?") from error
    return not names or workspace.PROGRESS in names or "ch01_args.py" in names


def findable(place):
    """Makes the others find a workspace that is elsewhere: by a link, where none is in the way."""
    usual = Path(workspace.usual())
    if place.folder.resolve() == usual.resolve():
        return ""
    try:
        usual.symlink_to(place.folder)
        return f"{usual} leads there, so the other commands find it from everywhere."
    except OSError:
        return f"{usual} is another one: stand in {place.folder}, or give the commands --dir {place.folder}"
