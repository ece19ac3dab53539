"""Limits beside the cgroup's, for chapter 8: soft ones, and a part of what a user may have."""
import errno
import resource

from .. import linux
from ..ch08_cgroups import lower
from ..layer import Layer, LayerError, Stage, exists

QUOTAS = ("max_inotify_instances", "max_inotify_watches")  # few, and a full host has none left


class Ulimits(Layer):
    """The soft limits of --ulimit, which a program may raise again as far as the hard ones.

    Those Rlimits has set; here it is looked whether they can be had."""
    chapter, name, stage = 8, "cgroups", Stage.LIMITS

    def prepare(self, spec, undo):
        self.limits = []
        for name, soft, hard in spec.ulimit:
            kind = getattr(resource, f"RLIMIT_{name}")
            self.limits.append((kind, (soft, hard)))
            if lower(linux.getrlimit(kind)[1], hard) != hard:
                raise LayerError(self.name, "setrlimit", errno.EPERM,
                                 f"--ulimit {name.lower()}={hard}: our own hard limit is "
                                 f"{linux.getrlimit(kind)[1]}")

    def child(self):
        for kind, limits in self.limits:
            linux.setrlimit(kind, limits)


class Quotas(Layer):
    """What the kernel counts for a user over all namespaces: a container gets a part of it.

    The files of /proc/sys/user are the user namespace's own (namespaces(7)); above it the container
    still counts as whoever has started it."""
    chapter, name, stage = 8, "cgroups", Stage.HOSTNAME  # while there is a /proc/sys to write to

    def prepare(self, spec, undo):
        self.quotas = {}
        for name in QUOTAS if hasattr(spec, "ids") else ():  # chapter 5's: else they are the host's
            path = f"/proc/sys/user/{name}"
            if exists(path):
                self.quotas[path] = str(max(1, int(linux.read(path)) // 4))

    def child(self):
        for path, value in self.quotas.items():
            linux.write(path, value)
