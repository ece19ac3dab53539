"""exec: the command line becomes a process, which joins a container (execute.py)."""
from ... import ch02_clone
from .. import checks, execute, fields
from ..form import Form
from ..interpreter import secure
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
    container, chain = execute.start(state, config, process, options)
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
