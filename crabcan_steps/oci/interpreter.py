"""Chapter 9's shelter, for bundles: who may be root of the machine inside finds no Python to write.

To begin anew costs as much as everything else, so it comes first, before anything is loaded; unless a
first look at config.json says that it will not be needed. That look is only a guess: `secure` looks
again when the file has been read.
"""
import os

EXE = "/proc/self/exe"
COMMANDS = ("create", "run", "exec")
A_NAMESPACE, THE_MACHINES_ROOT = b'{"type":"user"}', (b'"hostID":0,', b'"hostID":0}')
ENOUGH = 1 << 20  # bytes of a file


def shelter(words):
    """Starts us again from a sealed copy, if we can write our interpreter: then so can who is inside.

    Whether somebody inside can who is not us, such as the owner of a mapped id, `secure` sees."""
    if any(word in COMMANDS for word in words) and writable() and not any(map(mapped, files(words))):
        seal()


def secure(config):
    """The same, by what a container's configuration says."""
    words = config.get("linux") or {}
    spaces = [space["type"] for space in words.get("namespaces") or ()]
    if (writable() or "user" in spaces) and not safe(words):
        seal()


def writable():
    return os.access(EXE, os.W_OK, effective_ids=True)


def seal():
    """Begins anew, if we are not the copy already."""
    from ..runtime.sealed import again, copy, sealed
    file = os.open(EXE, os.O_RDONLY | os.O_CLOEXEC)
    if not sealed(file):
        again(copy(file))
    os.close(file)


def files(words):
    """Where the configuration may be: in the bundle, or in the state of a container to join."""
    folders = {"": "."}
    for option, value in zip(words, [*words[1:], ""]):
        name, equals, rest = option.partition("=")
        if name.lstrip("-") in ("root", "bundle", "b") and option[:1] == "-":
            folders[name.lstrip("-")[:1]] = rest if equals else value
    root = folders.get("r") or ("/run/crabcan" if os.geteuid() == 0 else "")
    if "exec" not in words:
        yield f"{folders.get('b') or '.'}/config.json"
    elif root:
        yield from (f"{root}/{word}/config.json" for word in words if "/" not in word and word[:1] != "-")


def mapped(path):
    """Tells whether a file seems to want a user namespace in which the machine's root is nobody."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        text = os.read(fd, min(os.fstat(fd).st_size, ENOUGH)).translate(None, b" \t\r\n")
    except OSError:
        return False
    finally:
        os.close(fd)
    return A_NAMESPACE in text and not any(word in text for word in THE_MACHINES_ROOT)


def safe(words):
    """Tells whether a new user namespace lacks whoever may write our interpreter."""
    status = os.stat(EXE)
    kinds = {space["type"]: space.get("path") for space in words.get("namespaces") or ()}
    if "user" not in kinds or kinds["user"] or status.st_mode & 0o002:
        return False
    writers = [(status.st_uid, "uid")] + ([(status.st_gid, "gid")] if status.st_mode & 0o020 else [])
    return not any(m["hostID"] <= number < m["hostID"] + m["size"]
                   for number, kind in writers for m in words.get(f"{kind}Mappings") or ())
