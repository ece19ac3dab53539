"""What only who joins needs: layers that keep it apart from those who are in there already."""
from .. import linux
from ..layer import Layer, Stage
from . import procfs
from .process import Labels
from .state import Refused


class OldLabels(Labels):
    """Before anything of the container's is joined: its /proc is not to be believed."""
    stage = Stage.CLONE

    def prepare(self, spec, undo):
        super().prepare(spec, undo)
        if self.writes:
            spec.proc = procfs.hold(undo)


class Undumpable(Layer):
    """Who is in there may be allowed to trace: not us, while we still hold what is outside."""
    chapter, name, stage = 10, "namespaces", Stage.CLONE

    def child(self):
        linux.prctl(linux.PR_SET_DUMPABLE, 0)


class StillThere(Layer):
    """Looks again, when the namespaces are open: only of a process that has not ended meanwhile is
    it known that its number was not another's."""
    chapter, name, stage = 10, "namespaces", Stage.CLONE

    def prepare(self, spec, undo):
        process = spec.folder.process()
        if process is None:
            raise Refused("cannot exec in a stopped container")
        linux.close(process)


def cgroup(spec):
    """The container's cgroup is entered first: from inside it could not be seen."""
    if not spec.cgroups:
        return []
    from .cgroups.join import JoinCgroup
    return [JoinCgroup(spec.cgroups, where(spec.settings.get("cgroup") or ()), spec.folder.record["pid"])]


def where(words):
    """What --cgroup says: a path below the container's cgroup, or for some controllers only."""
    paths = {}
    for word in words:
        controllers, colon, path = word.rpartition(":")
        if not colon:
            return word
        paths.update((controller, path) for controller in controllers.split(","))
    return paths or ""
