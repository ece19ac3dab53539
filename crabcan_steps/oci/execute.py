"""exec: one more process in a container that runs. It joins the namespaces, and gets the same walls."""
from .. import ch02_clone, linux
from ..ch10_bundle import FILES, Join, Waiting
from ..layer import Layer, Stage
from . import procfs
from .bundle import Bundle, Single, extras
from .last import told, write_whole
from .process import BoundingSet, Caps, Identity, Labels, Limits, WorkDir
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


def spec_of(state, config, process, settings):
    """What to run, in the container of a state."""
    if process is None:
        raise Refused("exec: no process")
    if process.get("capabilities") is None:
        process["capabilities"] = (config["process"].get("capabilities") or {})
    for name in "apparmorProfile", "selinuxLabel", "oomScoreAdj", "execCPUAffinity", "ioPriority", "scheduler":
        if process.get(name) is None and config["process"].get(name) is not None:
            process[name] = config["process"][name]
    spec = Bundle(config | {"hooks": {}}, state.record["bundle"], state.id,
                  settings | {"exec": True}, process)
    spec.spaces = {kind: f"/proc/{state.record['pid']}/ns/{FILES[kind]}" for kind in spec.spaces}
    spec.cgroups = state.groups()
    spec.waits, spec.folder = False, state
    spec.told = told(config, state.id, state.record["bundle"])
    return spec


def joins(spec):
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


def layers(spec):
    """The layers of a process that joins."""
    found = [Single(), *joins(spec), OldLabels(), Undumpable(), Limits(), Join(), StillThere(),
             WorkDir(), Identity(), BoundingSet(), Caps()]
    return found + extras(spec)


def start(state, config, process, settings):
    """Starts a process in a running container; returns it, and the console if we hold its other end."""
    status = state.status()
    if status == "paused" and not settings.get("ignore-paused"):
        raise Refused("cannot exec in a paused container (use --ignore-paused to override)")
    if status not in ("running", "created", "paused"):
        raise Refused("cannot exec in a stopped container")
    spec = spec_of(state, config, process, settings)
    chain = layers(spec)
    container = ch02_clone.create(spec, chain, Waiting())
    if settings.get("pid-file"):
        write_whole(settings["pid-file"], str(container.pid))
    ch02_clone.start(container)
    return container, chain
