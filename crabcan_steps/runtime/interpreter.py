"""What stands behind /proc/self/exe before execve: ours, the host's Python. For chapter 9.

COMMAND may be /proc/self/exe, and so may what the root calls a shell: then a program of the
container's choosing holds the very file that the next start on the host will run (CVE-2019-5736).
Debian's Python belongs to the host's root, who is nobody in there. Where whoever is inside could
write it, we first start again from a copy in memory that the kernel lets nobody change.
"""
import os

from .. import linux
from ..ch04_mounts import Mounts
from ..ch05_namespaces import Users
from ..layer import LayerError, exists, named
from ..namespaces.ranges import ROOT_RANGE, subordinate
from .sealed import EXE, again, copy, sealed


def shelter(layers):
    """Makes sure that these layers' container cannot write our interpreter. May start us again."""
    names = {type(layer) for layer in layers}
    if Mounts not in names or not exists(EXE):
        return  # chapter 2 says what to do where there is no /proc
    try:
        needed = exposed(Users in names)
    except OSError as error:
        raise LayerError.of(Users.name, error) from error
    if needed:
        file = named(EXE, os.open, EXE, os.O_RDONLY)
        if not sealed(file):
            again(copy(file))
        linux.close(file)


def exposed(mapped):
    """Tells whether somebody inside might write the interpreter: its owner, or who may do so now."""
    status = linux.stat(EXE)
    root = os.geteuid() == 0
    if not mapped or status.st_mode & 0o002 or not root and os.access(EXE, os.W_OK):
        return True
    ranges = [subordinate("uid") or (ROOT_RANGE if root else (0, 0))]
    if not root:
        ranges.append((os.getuid(), 1))
    return any(first <= status.st_uid < first + count for first, count in ranges)
