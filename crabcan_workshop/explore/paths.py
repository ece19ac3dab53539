"""Where a path leads: places, mounts on top of mounts, and what /proc/PID/mountinfo would say."""
import re

from .data import Unknown

AT_FDCWD = -100
MAGIC = re.compile(r"/proc/(?:self|thread-self)/fd/(\d+)(?=/|$)")


def place(mount, path=""):
    """A file or directory: a mount, and the path below that mount's root ("" is the root)."""
    return {"mount": mount, "path": path}


def on(state, mount, path):
    """The mount that hangs at a place, or None."""
    return next((name for name, other in state["mounts"].items()
                 if other["parent"] == mount and other["at"] == path), None)


def top(state, where):
    """The place that one really sees: the root of the uppermost mount that hangs there."""
    while (above := on(state, where["mount"], where["path"])) is not None:
        where = place(above)
    return where


def walk(state, process, path, start=None):
    """The place that a path leads to. Links are not followed: a recording does not know them."""
    root = process["root"]
    if match := MAGIC.match(path):  # a link that leads to where a descriptor stands
        found = process["descriptors"].get(match[1], {})
        if found.get("kind") in ("place", "mount"):
            start, path = found.get("place") or place(found["mount"]), path[match.end():].lstrip("/")
    here = root if path.startswith("/") else start or process["cwd"]
    for name in path.split("/"):
        if name == "..":
            here = above(state, root, here)
        elif name not in ("", "."):
            here = top(state, place(here["mount"], f"{here['path']}/{name}"))
    return here


def above(state, root, here):
    """The directory above a place; the root's is itself."""
    while here != root and here["path"] == "":
        mount = state["mounts"][here["mount"]]
        if mount["parent"] is None:
            return here
        here = place(mount["parent"], mount["at"])
    return here if here == root else place(here["mount"], here["path"].rpartition("/")[0])


def start(state, process, fd):
    """Where a relative path begins, of a descriptor or AT_FDCWD."""
    if fd is None or fd == AT_FDCWD:
        return process["cwd"]
    found = process["descriptors"].get(str(fd), {})
    if found.get("kind") == "place":
        return found["place"]
    if found.get("kind") == "mount":
        return place(found["mount"])
    raise Unknown(f"{fd} leads nowhere")


def source_of(state, where):
    """The mount and the path of a place, as a path of its file system."""
    return join(state["mounts"][where["mount"]]["root"], where["path"])


def join(one, other):
    """Two paths in a row; "/" alone if both are empty."""
    return (one.rstrip("/") + other) or "/"


def inside(path, above_it):
    """Tells whether a path is another one or below it."""
    return path == above_it or path.startswith(above_it.rstrip("/") + "/")


def point(state, root, name):
    """Where a mount hangs as seen from a root, or None if it is not below it."""
    path = ""
    while name is not None:
        if name == root["mount"] and (path == "" or inside(path, root["path"])):
            return path[len(root["path"]):] or "/"
        mount = state["mounts"].get(name)
        if mount is None or mount["parent"] is None:
            return None
        name, path = mount["parent"], mount["at"] + path
    return None


def visible(state, side):
    """(path, mount id) of all mounts that a process can see from its root, as mountinfo lists them."""
    process = state["processes"][side]
    found = ((point(state, process["root"], name), name) for name in state["mounts"])
    return sorted((path, name) for path, name in found if path is not None)


def below(state, where):
    """The mounts that hang at or below a place, itself left out, those above first."""
    found = []
    for name, mount in state["mounts"].items():
        if mount["parent"] == where["mount"] and inside(mount["at"], where["path"]):
            found += [name, *below(state, place(name))]
    return found
