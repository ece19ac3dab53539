"""The learner's own directory: a file a chapter, an attic for what was replaced, and the progress.

Nothing in it is ever half written: a new file gets another name first, and the right one when it is
whole. Nothing of the learner's is ever deleted.
"""
import fcntl
import json
import os
import stat
import time
from contextlib import contextmanager
from pathlib import Path

from .. import exercises

PROGRESS = ".progress.json"
LONGEST = 1 << 20  # bytes of a file; ours have 10,000
README = """This is your container: a file a chapter, with the functions that are yours to write; and reducer.py,
which is the explorer's (`workshop check explorer`).

    workshop check 3      is chapter 3 right?       workshop hint 3       a hint, then a better one
    workshop watch 3      check whenever you save   workshop solution 3   ours
    workshop status       how far you are           workshop reset 3      begin again (attic/ has yours)
"""


KINDS = {"attempts": int, "passed": list, "hints": dict, "answer": str, "seen": bool, "last": int,
         "since": int, "stop": str, "taken": bool}


class WorkspaceError(Exception):
    """Something about the learner's files that one line can say."""


def find(asked=None):
    """The workspace: the one asked for, the one that we stand in, or ~/my-container."""
    if asked or os.environ.get("CRABCAN_WORKSPACE"):
        return Workspace(asked or os.environ["CRABCAN_WORKSPACE"])
    here = Path.cwd()
    for folder in (here, *here.parents):
        if os.path.exists(folder / PROGRESS):  # not Path's, which raises where we may not look
            return Workspace(folder)
    return Workspace(usual())


def there(path):
    """Whether there is such a file. Raises WorkspaceError where we may not look."""
    try:
        os.lstat(path)
        return True
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise WorkspaceError(f"{path}: {error.strerror}: is it another user's?") from error


def usual():
    """Where a workspace is, unless one says another place."""
    if not os.environ.get("HOME", "/").startswith("/"):
        raise WorkspaceError("the variable HOME is empty, so nobody knows where your files go: set it, "
                             "or say where: workshop start DIR, then --dir DIR")
    return Path("~/my-container").expanduser()


def read(path):
    """The text of a file of the learner's. Only a file's: nobody may keep us waiting (a FIFO, a
    device). Raises OSError; ValueError if it is no text, or too long."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise ValueError("is no file")
        data = file.read(LONGEST + 1)
    if len(data) > LONGEST:
        raise ValueError(f"is longer than {LONGEST >> 20} MB")
    try:
        return data.decode().replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data[:error.start].count(b"\n") + 1
        raise ValueError(f"line {line} is not UTF-8 text: save it as UTF-8, or begin again with "
                         "`workshop reset N`") from None


def write(path, text):
    """Whole or not at all."""
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with open(new, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise WorkspaceError(f"{path}: {error.strerror}: nothing was changed; make room, or give "
                             f"the directory back to yourself, then the same command "
                             f"again") from error


def known(entry):
    """What is remembered of a chapter, less what is not of its kind: anybody may have written it."""
    whole = {key: value for key, value in entry.items() if type(value) is KINDS.get(key, type(value))}
    if "passed" in whole:
        whole["passed"] = [number for number in whole["passed"] if number in (1, 2)]
    if "hints" in whole:
        whole["hints"] = {key: level for key, level in whole["hints"].items()
                          if type(level) is int and 0 <= level <= 3}
    return whole


class Workspace:
    """A directory with the learner's files."""

    def __init__(self, folder):
        self.folder = Path(folder).expanduser().absolute()

    def need(self):
        if not there(self.folder / PROGRESS):
            if there(self.folder) and not self.folder.is_dir():
                raise WorkspaceError(f"{self.folder} is a file, no workspace")
            raise WorkspaceError(f"{self.folder} is no workspace yet: workshop start {self.folder}")
        return self

    def start(self):
        """Makes what is missing; returns the names of the files that are new."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            raise WorkspaceError(f"{self.folder} is a file: name a directory: workshop start DIR") from None
        except OSError as error:
            raise WorkspaceError(f"{self.folder}: {error.strerror}: is HOME yours? Or name a directory elsewhere: "
                                 "workshop start DIR, then --dir DIR") from error
        texts = {"README.txt": README}
        for chapter in map(exercises.chapter, (*exercises.CHAPTERS, *exercises.BESIDE)):
            texts[chapter.file] = chapter.starter()
        new = [name for name in texts if not there(self.folder / name)]
        for name in new:
            write(self.folder / name, texts[name])
        if not there(self.folder / PROGRESS):
            write(self.folder / PROGRESS, "{}\n")
        return new

    def path(self, chapter):
        return self.folder / chapter.file

    def must_have(self, number):
        """Raises WorkspaceError if the learner's file is gone: "nothing is written yet" would be no help."""
        path = self.path(exercises.chapter(number))
        if number in exercises.BESIDE:
            self.start()  # an older workspace has not its file
        if not there(path):
            raise WorkspaceError(f"{path} is gone: workshop start {self.folder} puts a new one there")

    def text(self, chapter):
        """The learner's file; the starter if there is none."""
        try:
            return read(self.path(chapter))
        except FileNotFoundError:
            return chapter.starter()
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise WorkspaceError(f"{self.path(chapter)}: cannot be read: {why}") from error

    def put(self, chapter, text):
        """A new text for a file. The old one goes to the attic; returns where, or None if it was
        the same, or nothing but the starter."""
        path, kept = self.path(chapter), None
        try:
            old = self.text(chapter)
        except WorkspaceError:
            old = None  # no text: it is moved as it is
        if old not in (text, chapter.starter()):
            attic = self.folder / "attic"
            try:
                attic.mkdir(exist_ok=True)
            except OSError as error:
                raise WorkspaceError(f"{attic}: {error.strerror}: nothing was changed; give the "
                                     "directory back to yourself, or move away what is "
                                     "there, then the same command again") from error
            stamp = time.strftime("%Y-%m-%d-%H%M%S")
            number = 0
            while (kept := attic / f"{path.stem}-{stamp}-{number}.py").exists():
                number += 1
            if old is None:
                os.rename(path, kept)
            else:
                write(kept, old)
        if old != text or not path.exists():
            write(path, text)
        return kept

    def reset(self, chapter):
        """Back to the starter."""
        return self.put(chapter, chapter.starter())

    # ------------------------------------------------------------ progress

    def progress(self):
        """What is remembered of each chapter: "passed", "attempts", "hints", "answer"."""
        try:
            found = json.loads(read(self.folder / PROGRESS))
        except (OSError, ValueError, RecursionError):
            return {}  # checking again tells all but the attempts
        return {key: known(entry) for key, entry in found.items() if isinstance(entry, dict)} \
            if isinstance(found, dict) else {}

    @contextmanager
    def changing(self, number):
        """The progress of one chapter, to be changed; two at once wait for each other."""
        lock = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            progress = self.progress()
            entry = progress.setdefault(str(number), {})
            yield entry
            entry["last"] = int(time.time())
            write(self.folder / PROGRESS, json.dumps(progress, indent=1) + "\n")
        finally:
            os.close(lock)
