"""The layer that puts whoever joins a container into its cgroups. A module of its own: `exec` shall be quick."""
import errno
import os

from ... import linux
from ...layer import Layer, LayerError, Stage, exists
from . import delegation
from .tree import below


class JoinCgroup(Layer):
    """The cgroup of a container that runs already, for `exec`. `sub` as in processes.join()."""
    chapter, name, stage = 10, "cgroups", Stage.CLONE
    moved = None  # where systemd is to move the child

    def __init__(self, groups, sub="", init=None):
        self.groups, self.sub, self.init = groups, sub, init

    def prepare(self, spec, undo):
        self.tasks = []
        if unknown := sorted(set(self.sub if isinstance(self.sub, dict) else ()) - set(self.groups["paths"])):
            raise LayerError(self.name, f"--cgroup: unknown controller {unknown[0]}", 0)
        for controller, path in self.groups["paths"].items():
            place = below(path, self.sub if isinstance(self.sub, str)
                               else self.sub.get(controller, ""))
            if self.sub and not exists(place):
                raise LayerError(self.name, f"adding pid of the new process to {place}/cgroup.procs",
                                 errno.ENOENT)
            if controller == "":
                self.born_in(delegation.leaf(place, "" if self.sub else self.init), undo)
            elif f"{place}/tasks" not in self.tasks:
                self.tasks.append(f"{place}/tasks")

    def born_in(self, place, undo):
        """Version 2: the child is born there; or it is moved, if only systemd may do so."""
        if delegation.within_reach(self.groups, place):
            self.flags = linux.CLONE_INTO_CGROUP
            self.cgroup = linux.open(place, os.O_RDONLY | os.O_DIRECTORY)
            undo.callback(linux.close, self.cgroup)
        elif self.groups["user"]:
            self.moved = place
        else:
            raise LayerError(self.name, f"adding pid of the new process to {place}/cgroup.procs",
                             errno.EACCES, delegation.ELSEWHERE)

    def parent(self, pid, undo):
        if self.moved:
            from . import systemd
            systemd.attach(self.groups, self.moved, pid)

    def child(self):
        for file in self.tasks:  # 0 is whoever writes it
            linux.write(file, "0")
