"""Another container's network, for chapter 11: what the containers of a pod have in common."""
import os

from .. import linux
from ..layer import Layer, LayerError
from . import leases, names


class Joined(Layer):
    """Is born in the network namespace of another: we go there, and come back when it is."""
    chapter, name = 11, "network"

    def prepare(self, spec, undo):
        whose = spec.net.partition(":")[2]
        number, lease = leases.join(whose)
        if lease is None and not whose.isdigit():
            raise LayerError(self.name, f"--net {spec.net}", 0, "no container on this host's bridge has this --name")
        pid = lease["init"] if lease else int(whose)
        try:
            there = linux.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise LayerError(self.name, f"--net {spec.net}", 0, "there is no such process, or it is not yours") from error
        undo.callback(linux.close, there)
        self.own = linux.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        undo.callback(linux.close, self.own)
        if os.path.sameopenfile(there, self.own):
            raise LayerError(self.name, f"--net {spec.net}", 0, "this process has the host's own network")
        spec.files = names.shared(leases.Leases().path, number, lease)
        linux.setns(there, linux.CLONE_NEWNET)
        undo.callback(self.come_back)

    def parent(self, pid, undo):
        self.come_back()

    def come_back(self):
        linux.setns(self.own, linux.CLONE_NEWNET)
