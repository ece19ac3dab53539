"""The layer that puts a container into its cgroups."""
import errno
import os

from ... import linux
from ...layer import Layer, LayerError, Stage, exists, warn
from . import delegation, devices, tree, update
from .alone import alone, claim
from .join import JoinCgroup
from .limits import wanted
from .names import canonical
from .processes import remove

ALONE = "rootless needs no limits + no cgrouppath when no permission is granted for cgroups"


class BundleCgroup(Layer):
    """A bundle's cgroup: linux.cgroupsPath, and what linux.resources allows in it."""
    chapter, name, stage = 10, "cgroups", Stage.CLONE
    tasks = ()  # version 1: where the child moves itself

    def prepare(self, spec, undo):
        config = spec.config.get("linux") or {}
        self.spec = spec
        self.resources = canonical(config.get("resources") or {}, spec.config.get("ociVersion", "1.3"))
        self.path = config.get("cgroupsPath") or ""
        self.groups = {"version": tree.version(), "paths": {}, "made": [], "unit": None,
                       "user": False, "rules": not tree.rootless()}
        spec.state["cgroups"] = self.groups
        if getattr(spec, "systemd", False):
            from . import systemd
            self.unit = systemd.prepare(self.groups, self.path, spec)
            return
        places = tree.directories(self.path, spec.id)
        undo.callback(undone, self.groups)
        spec.note(planned=tree.missing(places.values()))  # should we be killed while we make them
        for controller, (top, path) in places.items():
            self.make(controller, top, path)
            if len(self.groups["paths"]) == 1:
                claim(self.groups, undo)
        if self.groups["paths"]:
            alone(self.groups)
            self.set()
            self.enter(undo)
        elif self.asked():
            raise LayerError(self.name, "unable to apply cgroup configuration", 0, ALONE)

    def make(self, controller, top, path):
        """Makes our directory in a tree. Who may not, and asks for nothing, has none."""
        try:
            tree.descend(top, path, self.groups["made"])
        except OSError as error:
            why = f"{getattr(error, 'call', '')} {error.filename}: {error.strerror.lower()}"
            unable = error.errno in (errno.EACCES, errno.EPERM, errno.EROFS)
            if not (unable and tree.rootless()) or self.path:
                raise LayerError(self.name, "unable to apply cgroup configuration", 0, why) from error
            if self.groups["version"] == 2 and self.asked():
                raise LayerError(self.name, "unable to apply cgroup configuration", 0,
                                 f"{ALONE}: {why}") from error
            tree.release(self.groups["made"])
            self.groups["made"].clear()
        else:
            self.groups["paths"][controller] = path

    def asked(self):
        """Whether anything is asked for that takes a cgroup."""
        return wanted(self.resources) or any(
            self.resources.get(key) for key in ("hugepageLimits", "unified"))

    def set(self):
        update.apply(self.groups, self.resources)
        devices.apply(self.groups, self.resources.get("devices"))
        delegation.hand_over(self.groups, self.spec.config)

    def enter(self, undo):
        """Version 2: the child is born inside. Version 1 has nothing like it."""
        if "" in self.groups["paths"]:
            self.flags = linux.CLONE_INTO_CGROUP
            self.cgroup = linux.open(self.groups["paths"][""], os.O_RDONLY | os.O_DIRECTORY)
            undo.callback(linux.close, self.cgroup)
        self.tasks = [f"{path}/tasks" for path in tree.unique(self.groups) if exists(f"{path}/tasks")]

    def parent(self, pid, undo):
        if getattr(self.spec, "systemd", False):
            from . import systemd
            undo.callback(undone, self.groups)
            systemd.start(self.groups, self.unit, self.resources, pid)
            self.set()

    child = JoinCgroup.child


def undone(groups):
    """After a create that failed: removes what it has made, and nothing else."""
    made = set(groups["made"])
    ours = {name: path for name, path in groups["paths"].items() if path in made}
    try:
        remove({**groups, "paths": ours}, seconds=2)
    except LayerError as error:
        warn(f"cleaning up: {error.call}: {error.about}")
