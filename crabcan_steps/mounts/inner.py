"""What is mounted within the trees that the user gives, for chapter 4: each mount a part of its own.

The kernel shifts the owners in a whole tree of mounts or in none (mount_setattr(2)). With one in it
that cannot be shifted, such as a /proc, nothing of the root's would belong to anybody in there.
"""
import os

from .. import linux
from ..layer import named
from .parts import Bind
from .root import BENEATH

ESCAPES = ((b"\\040", b" "), (b"\\011", b"\t"), (b"\\012", b"\n"), (b"\\134", b"\\"))  # proc(5), mountinfo


def separate(root, plan):
    """The plan with a part for each mount that is within one of its parts, or within the root."""
    table, parts = mounts(), []
    for part in (root, *plan):
        parts.append(part)
        if isinstance(part, Bind) and part.shift:
            parts += inner(part, table)
    return parts[1:]


def mounts():
    """What is mounted, as (path, number of the mount), in the order of the paths."""
    table = []
    for line in linux.read("/proc/self/mountinfo", text=False).splitlines():
        words = line.split()
        path = words[4]
        for escape, byte in ESCAPES:
            path = path.replace(escape, byte)
        table.append((path, words[0]))
    return sorted(table)


def inner(bind, table):
    """A part for each mount below what a part has opened; and then the part is without them."""
    if bind.held is None:
        bind.held = named(bind.option, linux.open, bind.source, os.O_PATH)
    top = os.fsencode(linux.readlink(f"/proc/self/fd/{bind.held}")).rstrip(b"/") + b"/"
    below = [one for one in table if one[0].startswith(top) and one[0] != top]
    if not below or locked(bind.held):
        return
    bind.depth = 0
    for path, number in below:
        name = os.fsdecode(path[len(top):])
        try:
            held = linux.openat2(bind.held, name, os.O_PATH, BENEATH)
        except OSError:  # another mount hides it
            continue
        if number in linux.read(f"/proc/self/fdinfo/{held}", text=False).split():
            part = Bind(os.path.join(bind.source, name), os.path.join(bind.target, name), bind.attributes,
                        bind.option, held)
            part.depth = 0
            yield part
        else:
            linux.close(held)


def locked(held):
    """Tells whether a mount cannot be had without what is in it (mount_namespaces(7))."""
    try:
        linux.close(linux.open_tree("", linux.OPEN_TREE_CLONE | linux.AT_EMPTY_PATH, dir_fd=held))
        return False
    except OSError:
        return True
