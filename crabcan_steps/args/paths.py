"""What an option may say about files, for chapter 1: of the host, and where in the container."""
import os

from ..layer import warn
from .values import check, size, something

NEITHER = ("z", "Z", "cached", "delegated", "consistent", "private", "rprivate")
TMPFS_FLAGS = {"rw": 0, "nosuid": 0, "nodev": 0, "noexec": 0, "ro": 1, "exec": -8}  # MOUNT_ATTR_*


def inside(text):
    """A path in the container: absolute, and without '..'."""
    check(text.startswith("/"), text, "must be an absolute path in the container")
    check(".." not in text.split("/"), text, "must not contain '..'")
    return check("\0" not in text, text, "must not contain NUL")


def below(path, whole):
    """The same, for something to be put there: not the root, nor where the kernel shows itself."""
    parts = os.path.normpath(inside(path)).strip("/").split("/")
    check(parts != [""], whole, "the root itself is set by --mount DIR")
    check(parts[0] not in ("proc", "sys"), whole, f"nothing is put over /{parts[0]} or into it: it "
          "would hide what the kernel tells there, and what is masked there on purpose")
    return path


def directory(text):
    """The root directory. Docker's -m is --memory: a size is not taken for a directory."""
    like_a_size = something(text)[0].isdigit() and text[-1].lower() in "0123456789bkmgt"
    return check(not like_a_size or os.path.exists(text), text,
                 f"there is no such directory: as a limit it is --memory {text}")


def addition(text):
    words = text.split(":")
    check(len(words) == 2 or len(words) == 3 and words[2] in ("ro", "rw"), text,
          "must be HOST:CONTAINER or HOST:CONTAINER:ro (a path with a colon: "
          "--mount type=bind,source=HOST,target=CONTAINER)")
    check(words[0], text, "names no path on the host")
    return words[0], below(words[1], text), words[2:] == ["ro"]


def volume(text):
    """Docker's form of it: more words may follow, most of which mean nothing here."""
    words = text.split(":")
    check(len(words) > 1, text,
          f"we keep no volumes: HOST:CONTAINER, or for an empty place --tmpfs {text}")
    check("/" in words[0], text, f"'{words[0]}' would be the name of a volume, and we keep none: "
          f"for a directory say ./{words[0]}")
    modes = ",".join(words[2:]).split(",")
    for word in filter(None, modes):
        check(word in ("ro", "rw", *NEITHER), text, f"we cannot do '{word}': ro or rw")
        if word in NEITHER:
            warn(f"-v {text}: '{word}' means nothing here, and is left out")
    return words[0], below(words[1], text), "ro" in modes


def mount(text):
    """Docker's --mount: KEY=VALUE,... Returns the Spec's field that it belongs to, and a value."""
    words = dict(word.partition("=")[::2] for word in text.split(","))
    names = {"src": "source", "dst": "target", "destination": "target", "ro": "readonly"}
    words = {names.get(key, key): value for key, value in words.items()}
    kind = words.pop("type", "volume")
    known = {"bind": ("source", "target", "readonly"), "tmpfs": ("target", "tmpfs-size", "tmpfs-mode")}
    check(kind in known, text, "must be type=bind or type=tmpfs: we keep no volumes")
    for word in words:
        check(word in known[kind], text, f"we cannot do '{word}': {', '.join(known[kind])}")
    target = below(words.get("target", ""), text)
    if kind == "tmpfs":
        settings = [f"{key[6:]}={words[key]}" for key in sorted(words) if key != "target"]
        return "tmpfs", tmpfs(f"{target}:{','.join(settings)}")
    check(words.get("source"), text, "names no source")
    return "add", (words["source"], target, words.get("readonly", "false") in ("", "true", "1"))


def tmpfs(text):
    """PATH[:WORD,...]: (path, mount attributes to add, settings of tmpfs(5))."""
    path, _, words = text.partition(":")
    settings, attributes = {}, 0
    for word in filter(None, dict.fromkeys(words.split(","))):  # each counts once
        key, _, value = word.partition("=")
        if key == "size":
            settings[key] = str(size(value))
        elif key == "mode":
            check(value and not value.strip("01234567"), text, "mode is an octal number")
            settings[key] = value
        else:
            check(word in TMPFS_FLAGS, text, f"we cannot do '{word}': size=, mode=, ro, exec")
            attributes += TMPFS_FLAGS[word]
    return below(path, text), attributes, settings


def device(text):
    """HOST[:CONTAINER[:rwm]], both below /dev."""
    words = text.split(":")
    source, target = words[0], words[1] if words[1:] and words[1][:1] == "/" else words[0]
    rights = words[-1] if words[1:] and words[-1][:1] != "/" else "rwm"
    check(len(words) <= 3 and source.startswith("/dev/"), text,
          "must be /dev/NAME or /dev/NAME:/dev/OTHER")
    check(inside(target).startswith("/dev/") and os.path.normpath(target) == target, text,
          "devices belong below /dev in the container, too")
    check("r" in rights and "w" in rights and not rights.strip("rwm"), text,
          f"'{rights}' cannot be enforced: who may use a device, its file's mode says here")
    return source, target
