"""Files of learners', read by somebody with more power than they have.

What stands in a learner's directory is theirs to choose, and to change while we look. So: each name is
opened once, below the descriptor of the directory, through no link and into no other mount; a FIFO or a
lease makes nobody wait; what is opened must be a file, and no more than so much of it is read.
"""
import json
import os
import stat

from crabcan_steps import linux, numbers
from crabcan_steps.layer import printable

from ..desk import asking, reports, workspace

BELOW = (numbers.RESOLVE_BENEATH | numbers.RESOLVE_NO_SYMLINKS | numbers.RESOLVE_NO_MAGICLINKS |
         numbers.RESOLVE_NO_XDEV)
SMALL, LARGE = 64 << 10, 1 << 20  # bytes: what is remembered; a chapter
MOST = 1000  # entries of a directory


class Unread(Exception):
    """A file that cannot be read, or is none: why."""


def directory(name, below=None):
    """A descriptor. The first is the teacher's own word; what stands below it is not."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NONBLOCK
    if below is None:
        return os.open(name, flags)
    # A home may be a mount of its own: its name stands in a directory that is not the learner's.
    return os.open(name, flags | os.O_NOFOLLOW, dir_fd=below)


def inner(folder, name):
    """A descriptor of a directory in a learner's one."""
    return linux.openat2(folder, name, os.O_RDONLY | os.O_DIRECTORY | os.O_NONBLOCK, BELOW)


def file(folder, name, most=SMALL):
    """What is in a file, and what tells whether it has changed. Raises FileNotFoundError, Unread."""
    try:
        fd = linux.openat2(folder, name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY, BELOW)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Unread(f"{name}: {os.strerror(error.errno)}") from error
    try:
        about = os.fstat(fd)
        if not stat.S_ISREG(about.st_mode):
            raise Unread(f"{name}: is no file")
        if about.st_size > most:
            raise Unread(f"{name}: has {about.st_size} bytes, and {most} are read")
        data = b""
        while len(data) <= most and (more := os.read(fd, most + 1 - len(data))):
            data += more
    except OSError as error:
        raise Unread(f"{name}: {error.strerror}") from error
    finally:
        os.close(fd)
    if len(data) > most:
        raise Unread(f"{name}: grows while it is read")
    return data


def document(folder, name):
    """A JSON object in a file; {} if there is none. Raises Unread."""
    try:
        found = json.loads(file(folder, name))
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError):
        raise Unread(f"{name}: is no JSON") from None
    return found if isinstance(found, dict) else {}


def names(folder):
    """The directories in one of the teacher's: links are none, and there is an end."""
    with os.scandir(folder) as found:
        some = [entry.name for _, entry in zip(range(MOST), found)
                if entry.is_dir(follow_symlinks=False) and not entry.name.startswith(".")]
    return sorted(some)


def workspaces(path):
    """Of a directory of the teacher's: (who, descriptor of the workspace, "" or why there is none).

    It is one itself, or has one for each learner, or a home with ~/my-container for each. The
    descriptors are the caller's to close."""
    top = directory(path)
    try:
        if there(top):
            yield printable(os.path.basename(os.path.abspath(path))), os.dup(top), ""
            return
        for name in names(top):
            yield from learner(top, name)
    finally:
        os.close(top)


def learner(top, name):
    """One entry of a directory."""
    who, fd = printable(name), None
    try:
        fd = directory(name, top)
        if there(fd):
            yield who, os.dup(fd), ""
            return
        place = inner(fd, reports.USUAL)
    except FileNotFoundError:
        return  # somebody who has not begun, or no learner
    except OSError as error:
        yield who, None, f"{name}/{reports.USUAL}: {os.strerror(error.errno)}"
        return
    finally:
        if fd is not None:
            os.close(fd)
    yield who, place, ""


def there(folder):
    """Whether a directory has a workspace's mark; what it is, file() finds out."""
    try:
        os.stat(workspace.PROGRESS, dir_fd=folder, follow_symlinks=False)
        return True
    except OSError:
        return False


def standing(folder):
    """(what is remembered of each chapter, the wish for help or None). Raises Unread."""
    found = document(folder, workspace.PROGRESS)
    known = {key: workspace.known(entry) for key, entry in found.items() if isinstance(entry, dict)}
    try:
        wish = document(folder, asking.ASKS)
    except Unread as error:
        wish = {"at": 0, "text": str(error)}
    at, text = wish.get("at"), wish.get("text")
    asks = {"at": at, "text": text[:300]} if type(at) is int and isinstance(text, str) else None
    return known, asks
