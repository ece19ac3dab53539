"""What each command does: finds the container's state, and calls who knows how."""
import os

from . import notify
from . import quickjson as json
from .interpreter import secure
from .last import NAME_OF_FILE
from .state import NotThere, Refused, State, every

LISTED = "ociVersion", "id", "pid", "status", "bundle", "rootfs", "created", "annotations", "owner"
MODULES = {"resume": "pause"}  # where a command stands, if not in a file of its own name


def bundle_of(options):
    """(absolute directory, configuration) of --bundle."""
    from .config import check
    from .reading import load
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
    from .bundle import Bundle, layers
    from .last import told
    from .state import valid
    path, config = bundle_of(options)
    spec = Bundle(config, path, valid(name), options)
    spec.told, spec.waits = told(config, name, path), waits
    environment(spec)
    chain = layers(spec)
    spec.folder = State.create(root, name)
    try:
        if waits:
            notify.offer(spec, spec.folder)
    except BaseException:
        spec.folder.remove()
        raise
    return spec, chain, spec.folder


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
    from .. import ch10_bundle
    from . import ending
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
            ending.after(spec.config, spec.told | {"status": "stopped"})
        raise


def chapters(chain):
    """Which layers it is made of, in the order in which the child meets them."""
    return ", ".join(f"{layer.chapter} {layer.name}" for layer in sorted(chain, key=lambda one: one.stage))


def create_(root, options, words):
    options["detached"] = True
    made(*prepared(root, options, words[0], waits=True))
    return 0


def start_(root, options, words):
    from .. import ch10_bundle
    state = State.open(root, words[0])
    ready = notify.listen(state) if state.status() == "created" else None
    ch10_bundle.start(state)
    options["log"].debug("init: closing the pipe to signal completion: its program runs")
    poststart(state)
    if ready:
        unlock(state)
        notify.wait(ready, state)
    return 0


def poststart(state):
    """The hooks that run once the program runs. If one fails the container is ended."""
    from . import ending, hooks
    words = state.config().get("hooks") or {}
    if words.get("poststart"):
        try:
            hooks.run(words, "poststart", json.dumps(state.told()).encode())
        except (Refused, SystemExit):
            ending.delete(state, force=True)
            raise


def run_(root, options, words):
    from .. import ch02_clone
    from .foreground import follow
    options["detached"] = options.get("detach", False)
    spec, chain, state = prepared(root, options, words[0], waits=False)
    container = made(spec, chain, state)
    ready = None
    try:
        ready = follow(container, chain, options)
        ch02_clone.start(container)
        options["log"].debug("init: closing the pipe to signal completion: its program runs")
        poststart(state)
        if options.get("detach"):
            return 0
        unlock(state)
        return ch02_clone.wait(container, ready)
    finally:
        if container.terminal:
            container.terminal.close()
        if not options.get("detach") and not options.get("keep"):
            unlock(state)  # or we would wait for ourselves, where it failed before we only waited
            delete_(root, {"force": True}, words)  # unless somebody else has


def unlock(state):
    """Others may work with it, while we only wait for its end."""
    import fcntl
    fcntl.flock(state.folder, fcntl.LOCK_UN)


def exec_(root, options, words):
    from .. import ch02_clone
    from . import execute
    from .config import check_process
    from .foreground import follow
    from .reading import load
    state = State.open(root, words[0], lock=False)
    config = state.config()
    secure(config)
    if options.get("process"):
        process = load(options["process"], streams=True)
        check_process(process)
    elif not words[1:]:
        raise Refused("exec: which COMMAND? Or --process FILE")
    else:
        process = execute.process_of(options, words[1:], config)
        check_process(process)  # -1 as a user would change nothing: setresuid(2)
    if options.get("tty"):
        process["terminal"] = True
    options["detached"] = options.get("detach", False)
    options["log"].debug(f"nsexec container setup: joins {state.record.get('pid')}")
    container, chain = execute.start(state, process, options)
    options["log"].debug(f"child process in init(): {container.pid}; setns_init: about to exec: it does")
    ready = follow(container, chain, options)
    if options.get("detach"):
        return 0
    try:
        return ch02_clone.wait(container, ready)
    finally:
        if container.terminal:
            container.terminal.close()


def state_(root, options, words):
    state = State.open(root, words[0], lock=False)
    more = {key: state.record.get(key) for key in ("rootfs", "created", "owner")}
    print(json.dumps(state.told() | more))
    return 0


def kill_(root, options, words):
    from . import ending
    signal = ending.number(words[1] if words[1:] else "TERM")
    ending.kill(State.open(root, words[0]), signal, options.get("all"))
    return 0


def delete_(root, options, words):
    from . import ending
    try:
        state = State.open(root, words[0])
    except NotThere:
        if options.get("force"):
            return 0
        raise
    ending.delete(state, options.get("force"))
    return 0


def list_(root, options, words):
    rows = []
    for name in every(root):
        try:
            state = State.open(root, name, lock=False)
            row = state.told() | {key: state.record.get(key) for key in ("rootfs", "created", "owner")}
            rows.append({name: row[name] for name in LISTED})
        except Refused:
            pass  # has just been deleted
    if options.get("quiet"):
        print(*(row["id"] for row in rows), sep="\n", end="\n" if rows else "")
    elif options.get("format") == "json":
        print(json.dumps(rows, ",", ":"))
    else:
        lines = [("ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER")]
        lines += [(r["id"], r["pid"], r["status"], r["bundle"], r["created"], user(r["owner"])) for r in rows]
        widths = [max(len(str(line[column])) for line in lines) for column in range(6)]
        for line in lines:
            print(*(str(word).ljust(width) for word, width in zip(line, widths)), sep="   ")
    return 0


def user(uid):
    """A user's name, or the number."""
    import pwd
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"#{uid}"


def on_cgroups(name):
    """A command of which only the cgroups know."""
    def command(root, options, words):
        from importlib import import_module
        state = State.open(root, words[0], lock=name not in ("ps", "events"))
        known = state.record | {"id": state.id, "status": state.status()}
        if not state.groups():
            raise Refused(f"container {state.id} has no cgroup of its own")
        module = import_module(f"{__package__}.commands.{MODULES.get(name, name)}")
        return getattr(module, name)(known, options | {"args": words[1:]})
    return command


ps_, pause_, resume_, update_, events_ = map(on_cgroups, ("ps", "pause", "resume", "update", "events"))
