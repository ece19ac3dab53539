"""create and run: a bundle becomes a container, which waits for `start`, or is started at once."""
import os

from ... import ch02_clone, ch10_bundle
from ...ch05_namespaces import Keyring
from .. import ending
from ..bundle import Bundle, Single, extras
from ..cgroups.layer import BundleCgroup
from ..config import check
from ..interpreter import secure
from ..last import NAME_OF_FILE, told
from ..namespaces import Maps, Network, Spaces, UtsName
from ..process import BoundingSet, Caps, Identity, Labels, Limits, WorkDir
from ..reading import load
from ..state import Refused, State, valid
from ..tree import Tree
from .kill import delete
from .start import poststart, unlock


def create(root, options, words):
    options["detached"] = True
    made(*prepared(root, options, words[0], waits=True))
    return 0


def bundle_of(options):
    """(absolute directory, configuration) of --bundle."""
    path = os.path.realpath(options.get("bundle") or ".")
    if not os.path.isdir(path):
        raise Refused(f"bundle {path}: no such file or directory")
    config = load(os.path.join(path, options.get("config") or NAME_OF_FILE))
    warnings = check(config, startable=False)
    secure(config)
    for warning in warnings:
        options["log"].warn(warning)
    return path, config


def prepared(root, options, name, waits):
    """(spec, layers, state) for a container that is to be made."""
    path, config = bundle_of(options)
    spec = Bundle(config, path, valid(name), options)
    spec.told, spec.waits = told(config, name, path), waits
    environment(spec)
    chain = layers(spec)
    spec.folder = State.create(root, name)
    try:
        if waits and os.environ.get("NOTIFY_SOCKET"):
            from .. import notify
            notify.offer(spec, spec.folder)
    except BaseException:
        spec.folder.remove()
        raise
    return spec, chain, spec.folder


def layers(spec):
    """The layers that a container of this bundle needs."""
    chosen = [Single, Spaces]
    if "user" in spec.spaces:
        chosen.append(Maps)
    if not spec.settings.get("no-new-keyring"):
        chosen.append(Keyring)
    chosen += [UtsName, Network, Tree, BundleCgroup, Labels, Limits, WorkDir, Identity,
               BoundingSet, Caps]
    return [layer() for layer in chosen] + extras(spec)


def environment(spec):
    """LISTEN_FDS of sd_listen_fds(3): sockets that our caller has opened for the container."""
    count = os.environ.get("LISTEN_FDS", "")
    if os.environ.get("LISTEN_PID", str(os.getpid())) != str(os.getpid()):
        return  # meant for somebody above us: what its descriptors are here, nobody knows
    if count.isascii() and count.isdigit() and int(count):
        spec.process["env"] = [*(spec.process.get("env") or ()), f"LISTEN_FDS={count}", "LISTEN_PID=1"]
        kept = str(spec.settings.get("preserve-fds") or 0)
        spec.settings["preserve-fds"] = int(kept) + int(count) if kept.isdigit() else kept


def made(spec, chain, state):
    """Makes it; what cannot be made leaves nothing, not even its directory."""
    log = spec.settings["log"]  # its words are runc's: who reads such logs looks for them
    log.debug(f"nsexec container setup: {spec.bundle}, chapters {chapters(chain)}")
    try:
        container = ch10_bundle.create(spec, chain, state)
        log.debug(f"child process in init(): {container.pid} has its walls, and waits")
        return container
    except BaseException as error:
        state.remove()
        if isinstance(error, Refused) or getattr(error, "call", "") == "Refused":
            # A hook has failed, here or in the container: the specification goes on with the last ones.
            ending.after(spec.config, spec.told | {"status": "stopped"}, log)
        raise


def chapters(chain):
    """Which layers it is made of, in the order in which the child meets them."""
    return ", ".join(f"{layer.chapter} {layer.name}" for layer in sorted(chain, key=lambda one: one.stage))


def run(root, options, words):
    options["detached"] = options.get("detach", False)
    spec, chain, state = prepared(root, options, words[0], waits=False)
    container = made(spec, chain, state)
    ready = None
    try:
        if spec.terminal:
            from ..foreground import follow
            ready = follow(container, chain)
        ch02_clone.start(container)
        options["log"].debug("init: closing the pipe to signal completion: its program runs")
        poststart(state, options["log"])
        if options.get("detach"):
            return 0
        unlock(state)
        return ch02_clone.wait(container, ready)
    finally:
        if container.terminal:
            container.terminal.close()
        if not options.get("detach") and not options.get("keep"):
            unlock(state)  # or we would wait for ourselves, where it failed before we only waited
            delete(root, options | {"force": True}, words)  # unless somebody else has
