"""Where a container's cgroups are: the trees of this host, and a directory in each of them.

cgroups(7). Of version 2 there is one tree; of version 1 there is one for each controller, or one
for a few of them together.
"""
import errno
import os
import posixpath

from ... import linux
from ...cgroups.session import own_path
from ...layer import exists

ROOT = "/sys/fs/cgroup"  # as in chapter 8, which `exec` need not load
CONTROLLERS = ("cpuset", "cpu", "cpuacct", "blkio", "memory", "devices", "freezer", "net_cls",
               "perf_event", "net_prio", "hugetlb", "pids", "rdma", "misc")


def version():
    """2 if the host's tree is version 2's, else 1."""
    return 2 if exists(f"{ROOT}/cgroup.controllers") else 1


def trees():
    """The trees: controller -> (where it is mounted, which of its directories is to be seen there).

    "" is version 2's, "name=systemd" one without a controller."""
    if version() == 2:
        return {"": (ROOT, "/")}
    found = {}
    for line in linux.read("/proc/self/mountinfo").splitlines():
        mount, _, filesystem = line.partition(" - ")
        kind, _, options = filesystem.split(" ", 2)
        if not kind.startswith("cgroup"):
            continue
        top, place = mount.split()[3:5]
        names = [""] if kind == "cgroup2" else [
            name for name in options.split(",") if name in CONTROLLERS or name.startswith("name=")]
        for name in names:  # the usual place counts, should somebody have mounted one more
            if name not in found or place.startswith(f"{ROOT}/"):
                found[name] = (place, top)
    return found


def directories(path, name):
    """A container's directory in each tree: controller -> (the tree's top, the directory).

    An absolute path is below the top. A relative one, or none (then it is the container's name), is
    below our own cgroup; in version 2 beside it, since a cgroup with processes can have no limits
    for those below it (runc does the same)."""
    inner = posixpath.normpath("/" + (path or name)).lstrip("/")  # ".." does not lead above the top
    found = {}
    for controller, (top, seen) in trees().items():
        own = ""
        if not path.startswith("/"):
            own = own_path(controller)
            own = posixpath.dirname(own) if controller == "" else own.removeprefix(seen.rstrip("/"))
        found[controller] = (top, f"{top}/{own}/{inner}".replace("//", "/").rstrip("/"))
    return found


def descend(top, path, made):
    """Makes a directory and those missing above it. Notes in `made` which ones were missing.

    Another container's end may take away what is empty on our way: then we begin anew."""
    for attempt in range(100):
        try:
            return steps(top, path, made)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENODEV) or attempt == 99 or not exists(top):
                raise


def missing(places):
    """The directories that are not there yet of these (top, path), the upper ones first."""
    found = {}
    for top, path in places:
        here = top
        for word in path[len(top):].split("/")[1:]:
            here = f"{here}/{word}"
            if not exists(here):
                found[here] = None
    return list(found)


def steps(top, path, made):
    here = top
    for word in path[len(top):].split("/")[1:]:
        if exists(f"{here}/cgroup.subtree_control"):
            enable(here)
        above, here = here, f"{here}/{word}"
        try:
            linux.mkdir(here)
            if here not in made:
                made.append(here)
            linux.chmod(here, 0o755)  # whatever the umask made of it
        except FileExistsError:
            pass
        if exists(f"{here}/cpuset.mems") and exists(f"{here}/tasks"):
            inherit(above, here)


def enable(path):
    """Version 2: whatever controllers a directory has, those below it get them, too.

    What cannot be had is named when a limit needs it: here nobody has asked yet. Where processes
    are, nothing is changed: those below could then have no more than threads (cgroups(7))."""
    missing = (set(linux.read(f"{path}/cgroup.controllers").split())
               - set(linux.read(f"{path}/cgroup.subtree_control").split()))
    if missing and path != ROOT and inhabited(path):
        return
    for name in sorted(missing):  # one by one: all are refused with any of them
        try:
            linux.write(f"{path}/cgroup.subtree_control", f"+{name}")
        except OSError:
            pass


def inhabited(path):
    """Whether processes are in a directory itself; in a threaded one nobody may ask."""
    try:
        return bool(linux.read(f"{path}/cgroup.procs"))
    except OSError:
        return True


def inherit(above, here):
    """Version 1: a new cpuset has no processors and no memory, and nobody could live in it."""
    for file in "cpuset.cpus", "cpuset.mems":
        if not linux.read(f"{here}/{file}").strip():
            linux.write(f"{here}/{file}", linux.read(f"{above}/{file}").strip())


def below(path, sub):
    """A directory below a container's own. Raises ValueError if it would lead elsewhere."""
    path = posixpath.normpath(path)
    inner = posixpath.normpath(f"{path}/{sub}")
    if inner != path and not inner.startswith(f"{path}/"):
        raise ValueError(f"--cgroup: {sub} is not a sub cgroup path")
    return inner


def unique(groups):
    """The directories of a container, each once: some controllers share a tree."""
    return list(dict.fromkeys(groups["paths"].values()))


def release(made):
    """Removes directories that were made for a container and others may use by now."""
    for path in reversed(made):
        try:
            linux.rmdir(path)
        except OSError:
            pass


def initial_user_namespace():
    """Whether we are in the host's own user namespace, whose rules count for everything."""
    return linux.read("/proc/self/uid_map").split() == ["0", "0", "4294967295"]


def rootless():
    """Whether the host's root may do more than we may."""
    return os.geteuid() != 0 or not initial_user_namespace()
