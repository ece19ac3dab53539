"""Compiled filters are kept, for chapter 7: libseccomp takes 40 ms for one."""
import os

from .. import linux
from ..layer import named

HERE = os.path.dirname(os.path.abspath(__file__))
PROFILES = os.path.join(HERE, "profiles")
WHOLE = b"the end of a filter\n"  # stands at the end of a cached one


def cached(path, own, kept):
    """The compiled profile: from the user's cache, if it was made of these very bytes, here.

    The key is all that goes into a filter, bpf.py too: a mended compiler believes no old work.
    One of the user's may have conditions, so what the container keeps goes into it as well.
    """
    source = named(f"--seccomp {path}", linux.read, path, False)
    maker = b"".join(linux.read(os.path.join(HERE, name), False)
                     for name in ("bpf.py", "chain.py", "profile.py")[:2 if own else 3])
    system = linux.uname()
    where = f"{system.machine} {system.release} {len(maker)} {len(source)} {linux.NUMBERS} " + (
        "" if own else "all" if kept is None else " ".join(sorted(kept))) + "\n"
    return remembered(os.path.basename(path), where.encode() + maker + source,
                      lambda: made(source, own, kept, system))


def made(source, own, kept, system):
    """The profile, compiled now."""
    from .bpf import compiled  # only now: libseccomp takes 40 ms, and mostly the cache has the answer
    if own:
        return compiled(source)
    from .profile import resolved
    return compiled(resolved(source, kept, system))


def remembered(name, key, make):
    """What make() makes of all that the key consists of, from the user's cache if it is there."""
    folder = cache_folder()
    name = os.path.join(folder, f"{name}.bpf")
    try:
        with open(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            status = os.fstat(file.fileno())  # another's may be a FIFO, or without end
            ours = status.st_uid == os.geteuid() and not status.st_mode & 0o022
            found = file.read() if ours else b""
        if found.startswith(key) and found.endswith(WHOLE):
            return found[len(key):-len(WHOLE)]
    except OSError:
        pass
    code = make()
    try:
        os.makedirs(folder, 0o700, exist_ok=True)
        if os.path.lexists(name):
            os.unlink(name)
        # A new file, which nobody else writes to; if we are killed it lacks its end, and is the
        # next one's to replace. A temporary file would stay for ever.
        with open(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(key + code + WHOLE)
    except OSError:
        pass  # a cache is no promise
    return code


def cache_folder():
    """The user's, as the XDG base directory specification has it: a relative path is none."""
    home = os.environ["HOME"] if "HOME" in os.environ else os.path.expanduser("~")
    for base in os.environ.get("XDG_CACHE_HOME", ""), home and f"{home}/.cache":
        if base.startswith("/"):
            return f"{base}/crabcan"
    return "/dev/null/crabcan"  # where nothing can be read or written
