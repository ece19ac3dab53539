"""Which ids of the host's are ours to give, and who maps them for us, for chapter 5."""
import os

from .. import linux
from ..layer import LayerError

NEWIDMAP = {"uid": "/usr/bin/newuidmap", "gid": "/usr/bin/newgidmap"}
ROOT_RANGE = (1_500_000_000, 65_536)  # if /etc/subuid has none for root: high, so nobody's


def subordinate(kind):
    """Our (first, count) in /etc/subuid or /etc/subgid (subuid(5)), or None."""
    names = {name_of(os.getuid()), str(os.getuid())}
    try:
        for words in entries(f"/etc/sub{kind}"):
            if len(words) == 3 and words[0] in names and int(words[2]) > 0:
                return int(words[1]), int(words[2])
    except ValueError:
        pass
    return None


def name_of(uid):
    """A user's name, or None. A database that fails also says "none such": so we look ourselves."""
    import pwd  # only now: asks the host's user database
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        found = [words[0] for words in entries("/etc/passwd") if words[2:3] == [str(uid)]]
        return found[0] if found else None


def entries(path):
    """The lines of a file as words; none if there is no such file. Another error is one."""
    try:
        return [line.strip().split(":") for line in linux.read(path).splitlines()]
    except FileNotFoundError:
        return []


@linux.system_call
def newidmap(program, *words):
    """Runs newuidmap or newgidmap, which may write what we may not (they are set-user-ID)."""
    child = linux.posix_spawn(program, [program, *map(str, words)], {}, setsigmask=())
    return os.waitstatus_to_exitcode(linux.waitpid(child, 0)[1])


def helper(program, *words):
    """Has a map written for us. Raises LayerError if that is refused."""
    status = newidmap(program, *words)
    if status:
        raise LayerError("namespaces", os.path.basename(program), 0, f"exit status {status}")
