"""exec: one more process in a container that runs. The command line says which; chapter 10 joins it."""
from ... import ch02_clone
from ...ch10_bundle import FILES, Waiting, joining
from .. import checks, fields
from ..bundle import Bundle
from ..form import Form
from ..interpreter import secure
from ..last import told, write_whole
from ..state import Refused, State


def exec_(root, options, words):
    state = State.open(root, words[0], lock=False)
    config = state.config()
    secure(config)
    if options.get("process"):
        from ..reading import load
        process = load(options["process"], streams=True)
        check(process)
    elif not words[1:]:
        raise Refused("exec: which COMMAND? Or --process FILE")
    else:
        process = process_of(options, words[1:], config)
        check(process)  # -1 as a user would change nothing: setresuid(2)
    if options.get("tty"):
        process["terminal"] = True
    options["detached"] = options.get("detach", False)
    options["log"].debug(f"nsexec container setup: joins {state.record.get('pid')}")
    container, chain = start(state, config, process, options)
    options["log"].debug(f"child process in init(): {container.pid}; setns_init: about to exec: it does")
    if options.get("detach"):
        return 0
    try:
        ready = None
        if process.get("terminal"):
            from ..foreground import follow
            ready = follow(container, chain)
        return ch02_clone.wait(container, ready)
    finally:
        if container.terminal:
            container.terminal.close()


def check(process):
    """Checks what is the `process` of a configuration. Raises Invalid."""
    Form(fields.FIELDS).one("object", None, "process", process, "process")
    checks.process(process)


def process_of(options, words, config):
    """The process that the options of `exec` describe; what they leave out is as in the container."""
    own = config["process"]
    user = dict(own.get("user") or {})
    if options.get("user"):
        uid, _, gid = options["user"].partition(":")
        try:
            user = {"uid": int(uid), "gid": int(gid) if gid else 0}
        except ValueError:
            raise Refused(f"--user {options['user']}: UID[:GID], as numbers") from None
    gids = list(map(int, options.get("additional-gids") or ()))
    if gids:
        user["additionalGids"] = [*(user.get("additionalGids") or ()), *gids]
    sets = {name: list(names) for name, names in (own.get("capabilities") or {}).items() if names}
    for word in options.get("cap") or ():
        name = word.upper() if word.upper().startswith("CAP_") else f"CAP_{word.upper()}"
        for which in ("bounding", "effective", "permitted", *(("ambient", "inheritable")
                      if sets.get("inheritable") else ())):
            sets.setdefault(which, []).append(name)
    process = {**own, "args": list(words), "user": user, "capabilities": sets,
               "env": [*(own.get("env") or ()), *(options.get("env") or ())],
               "terminal": bool(options.get("tty"))}
    for option, name in (("cwd", "cwd"), ("apparmor", "apparmorProfile"), ("process-label", "selinuxLabel"),
                         ("no-new-privs", "noNewPrivileges")):
        if options.get(option):
            process[name] = options[option]
    process.pop("consoleSize", None)
    return process


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


def start(state, config, process, settings):
    """Starts a process in a running container; returns it, and the console if we hold its other end."""
    status = state.status()
    if status == "paused" and not settings.get("ignore-paused"):
        raise Refused("cannot exec in a paused container (use --ignore-paused to override)")
    if status not in ("running", "created", "paused"):
        raise Refused("cannot exec in a stopped container")
    spec = spec_of(state, config, process, settings)
    chain = joining(spec)
    container = ch02_clone.create(spec, chain, Waiting())
    if settings.get("pid-file"):
        write_whole(settings["pid-file"], str(container.pid))
    ch02_clone.start(container)
    return container, chain
