"""`workshop pack`: all that a learner wrote, in one file to take home."""
import contextlib
import os
import stat
import sys
import time
from pathlib import Path

from ..words import typed
from . import workspace

COMMANDS = {"pack": "all that you wrote, in one file to take home"}
LEFT_OUT = (".ipynb_checkpoints", "__pycache__")
LARGEST = 20 << 20  # bytes of a file; what is larger was not written by hand


def add_arguments(name, parser):
    parser.add_argument("file", nargs="?", type=Path, help="(my-container.zip, in the workspace)")
    parser.add_argument("--dir", help="the workspace (the one you stand in, or ~/my-container)")


def main(options):
    try:
        place = workspace.find(options.dir).need()
        path, count, left = packed(place, options.file)
    except workspace.WorkspaceError as error:
        print(typed(f"workshop: pack: {error}"), file=sys.stderr)
        return 1
    print(f"{path}: {count} files, {path.stat().st_size / 1000:.0f} kB")
    for name in left:
        print(f"workshop: pack: left out: {name}", file=sys.stderr)
    return 0


def packed(place, path=None):
    """Writes the file; returns where it is, how many files are in it, and what was left out, and why.

    It unpacks to a workspace: `workshop check` and the rest go on there."""
    import zipfile  # only here: the other commands start without it
    path = Path(path or place.folder / "my-container.zip").absolute()
    if path.is_dir():
        path = path / "my-container.zip"
    if path.exists() and not path.is_file():
        raise workspace.WorkspaceError(f"{path} is no file: name another")
    new, count, left = path.with_name(f".{path.name}.new"), 0, []
    try:
        with zipfile.ZipFile(new, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as archive:
            for name in files(place.folder, {path, new}):
                try:
                    data, when = content(place.folder / name)
                except (OSError, ValueError) as error:
                    left.append(f"{name}: {getattr(error, 'strerror', None) or error}")
                    continue
                entry = zipfile.ZipInfo(f"my-container/{name}", time.localtime(when)[:6])
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, data, zipfile.ZIP_DEFLATED)
                count += 1
        os.replace(new, path)
    except OSError as error:
        raise workspace.WorkspaceError(f"{path}: {error.strerror}: name a file elsewhere: workshop pack FILE") from error
    finally:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)
    return path, count, left


def files(folder, without):
    """The names of what is in a directory, and in those below it."""
    for here, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in LEFT_OUT)
        for name in sorted(names):
            path = Path(here, name)
            if path not in without:
                yield path.relative_to(folder)


def content(path):
    """The bytes of a file, and when it was written. Raises ValueError for what is none: no link leads
    out of the workspace, and no FIFO keeps us waiting."""
    if path.is_symlink():
        raise ValueError("is a link")
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    with open(fd, "rb") as file:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("is no file")
        if found.st_size > LARGEST:
            raise ValueError(f"is longer than {LARGEST >> 20} MB")
        return file.read(LARGEST), max(found.st_mtime, 315619200)  # zip's years begin with 1980
