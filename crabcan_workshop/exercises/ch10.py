"""Chapter 10: the facts about a container that is made by one process and started by another."""
import json

from .facts import Absent, came_up, collector, drawn, equal, must, number

FACTS, fact = collector()
BASE = """
import contextlib, json, os, shutil, signal, socket, sys, time
import __main__
from crabcan_steps.layer import LayerError
from crabcan_steps.oci import verbs
from crabcan_steps.oci.log import Log
from crabcan_steps.oci.state import Refused, State, born
signal.signal(signal.SIGCHLD, signal.SIG_DFL)
US = os.geteuid() or ""
BOX, ROOT, NAME, WORD = f"/tmp/box{{US}}", f"/tmp/states{{US}}", "one", {word!r}
shutil.rmtree(BOX, ignore_errors=True)
for name in ("usr", "proc", "dev"):
    os.makedirs(f"{{BOX}}/rootfs/{{name}}")
for name in ("bin", "lib", "lib64", "sbin"):
    os.symlink(f"usr/{{name}}", f"{{BOX}}/rootfs/{{name}}")
with open(f"{{BOX}}/rootfs/broken", "w") as file:
    file.write("#!/nowhere\\n")
os.chmod(f"{{BOX}}/rootfs/broken", 0o755)
CONFIG = {{"ociVersion": "1.0.2", "root": {{"path": "rootfs"}}, "annotations": {{"of": WORD}},
    "process": {{"args": ["sh", "-c", f"echo {{WORD}}; exec sleep 30"], "cwd": "/", "user": {{"uid": 0, "gid": 0}},
        "env": ["PATH=/usr/bin:/bin"]}},
    "mounts": [{{"destination": "/usr", "type": "bind", "source": "/usr", "options": ["rbind", "ro"]}},
        {{"destination": "/proc", "type": "proc", "source": "proc"}},
        {{"destination": "/dev", "type": "tmpfs", "source": "tmpfs"}}],
    "linux": {{"namespaces": [{{"type": kind}} for kind in ("pid", "mount", "uts", "ipc")]}}}}

def bundle(**process):
    CONFIG["process"].update(process)
    with open(f"{{BOX}}/config.json", "w") as file:
        json.dump(CONFIG, file)

def oci(command, *words, hold=0, **options):
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            for fd in range(3, 3 + hold):
                os.dup2(os.open("/dev/null", os.O_RDONLY), fd)
                os.set_inheritable(fd, True)
            options = {{"log": Log(), "bundle": BOX, **options}}
            status = verbs.do(command, ROOT, options, [NAME, *words])
        except Refused as error:
            say("refused:", error)
        except LayerError as error:
            say("failed:", error.call, error.errno)
        except BaseException as error:
            __main__.raised(error)
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def status():
    return State.open(ROOT, NAME, lock=False).status()

def until(wanted):
    end = time.monotonic() + 2
    while status() != wanted and time.monotonic() < end:
        time.sleep(0.02)
    say("status", status())

def record():
    with open(f"{{ROOT}}/{{NAME}}/state.json") as file:
        return json.load(file)

def connect(word):
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection, contextlib.suppress(OSError):
        connection.connect(f"{{ROOT}}/{{NAME}}/start")
        if word:
            connection.send(word)
try:
{steps}
finally:
    oci("delete", force=True)
"""


def steps(machine, text, word="", before=()):
    """What a script of commands prints, as lines; each command is a process of its own."""
    body = "".join(f"    {line}\n" for line in text.strip().splitlines())
    return came_up(machine.script(BASE.format(word=word or drawn(), steps=body), before)).out.splitlines()


@fact(1, "what is created waits, and its maker ends", "crabcan-oci create box; crabcan-oci state box")
def waits(machine):
    word = drawn()
    seen = steps(machine, """
bundle()
say("create", oci("create"))
time.sleep(0.2); until("created")
say("start", oci("start"))
until("running"); time.sleep(0.1)""", word)
    must("create 0" in seen, " ".join(seen), "create returns when the child says that it is ready")
    early = seen[:seen.index("status created")] if "status created" in seen else seen
    must(word not in early, "the program runs before `start`", "wait() is the child's last stop: nothing "
         "may come between but the word of `start`")
    must("start 0" in seen, " ".join(seen), "start() connects, says \"start\", and hears the socket close")
    must(word in seen, "the program never ran", "after the word wait() returns, and the program is executed")
    return equal(", ".join(line for line in seen if line.startswith("status")), "status created, status running",
                 "the socket's name is how others know: it goes away when the container has started")


@fact(1, "a connection is not yet the word", "")
def silent(machine):
    word = drawn()
    seen = steps(machine, """
bundle(); oci("create")
for said in (None, b"stop", None):
    connect(said)
time.sleep(0.3); say("status", status())
oci("start"); until("running"); time.sleep(0.1)""", word)
    must(seen[:1] == ["status created"], " ".join(seen), "who connects may be killed before it has said a word, "
         "or say another: then the next one counts")
    return must(word in seen, " ".join(seen), "and the next one can start it") and "so"


@fact(1, "it is started once", "crabcan-oci start box; crabcan-oci start box")
def once(machine):
    seen = steps(machine, """
bundle(); oci("create"); oci("start"); until("running")
say("again", oci("start"))
oci("kill", "KILL"); until("stopped")
say("dead", oci("start"))""")
    again = [line for line in seen if line.startswith("refused:")]
    must("again 1" in seen and again and "already running" in again[0], " ".join(seen), "a container is "
         "started once: what runs is Refused, in words that engines look for (already running)")
    return must("dead 1" in seen and len(again) == 2 and "stopped" in again[1] and "running" not in again[1],
                " ".join(seen), "what has ended is Refused, too, and it says so: stopped, and not running") and "so"


@fact(1, "a program that cannot be executed is told by start", "")
def broken(machine):
    seen = steps(machine, """
bundle(args=["/broken"]); say("create", oci("create"))
say("start", oci("start")); until("stopped")
say("socket", not {"start", "starting"}.isdisjoint(os.listdir(f"{ROOT}/{NAME}")))""")
    must("create 0" in seen, " ".join(seen), "its interpreter is missing, which only execve finds")
    must("start 1" in seen and "failed: execve 2" in seen, " ".join(seen),
         "the child says what went wrong, and start() hears of it: receive() raises that")
    return must("socket False" in seen, "the socket is still there", "whatever happens, nobody can start "
                "it once more: the name goes away") and "so"


@fact(1, "a container without a program cannot be started", "")
def empty(machine):
    seen = steps(machine, """
bundle(); del CONFIG["process"]; bundle_file = open(f"{BOX}/config.json", "w"); json.dump(CONFIG, bundle_file); bundle_file.close()
say("create", oci("create")); say("start", oci("start")); say("status", status())""")
    return must("start 1" in seen and any("without process" in line for line in seen) and "status created" in seen,
                " ".join(seen), "process may be missing when it is created, but not when it is started: Refused") and "so"


LIST = ["/usr/bin/python3", "-I", "-c", "import os; print('open', *sorted(os.listdir('/proc/self/fd'), key=int)[:-1])"]


@fact(2, "the program finds 0, 1 and 2 open", "")
def three(machine):
    seen = steps(machine, f"bundle(args={json.dumps(LIST)}); oci('create', hold=9); oci('start'); until('stopped')")
    return equal("".join(line for line in seen if line.startswith("open")), "open 0 1 2",
                 "one of ours that stays open leads out of the container")


@fact(2, "and none of ours while it waits", "ls -l /proc/PID/fd")
def waiting(machine):
    seen = steps(machine, """
bundle(); oci("create", hold=5)
fds = {fd: os.readlink(f"/proc/{record()['pid']}/fd/{fd}") for fd in os.listdir(f"/proc/{record()['pid']}/fd")}
say("others", *(target for fd, target in fds.items() if int(fd) > 2 and not target.startswith("socket:")))
say("sockets", sum(target.startswith("socket:") for target in fds.values()))""")
    must("others" in [line.strip() for line in seen], " ".join(seen), "closed before execve looks the program up: what is "
         "open then leads out of the container")
    return must("sockets 1" in seen, " ".join(seen), "the listener stays, and nothing else: nobody is left at the "
                "other end of the pair") and "so"


@fact(2, "--preserve-fds N keeps 3 to N+2", "")
def kept(machine):
    some = number(1, 4)
    wanted = " ".join(map(str, range(3 + some)))
    settings = json.dumps({"preserve-fds": str(some)})
    seen = steps(machine, f"""
bundle(args={json.dumps(LIST)}); oci('create', hold={some + 3}, **{settings}); oci('start'); until('stopped')""")
    return equal("".join(line for line in seen if line.startswith("open")), f"open {wanted}",
                 f"--preserve-fds {some}: these stay open over execve, and no others")


@fact(1, "what later commands must know", "cat /run/crabcan/box/state.json")
def known(machine):
    word = drawn()
    seen = steps(machine, """
bundle(); before = time.time(); oci("create", **{"pid-file": "/tmp/pid"})
found = record(); pid = found["pid"]
say("pid", os.path.exists(f"/proc/{pid}") and pid != os.getpid(), open("/tmp/pid").read() == str(pid))
say("born", found.get("born") == born(pid))
say("rest", json.dumps({name: found.get(name) for name in ("id", "bundle", "rootfs", "owner", "ociVersion", "annotations")}))
say("created", found.get("created", "")[:16] in [time.strftime("%Y-%m-%dT%H:%M", time.gmtime(before + n)) for n in (0, 60)])
say("cgroups", "cgroups" in found)
say("planned", "planned" in found)
say("config", json.load(open(f"{ROOT}/{NAME}/config.json")) == CONFIG)""", word)
    lines = dict(line.split(" ", 1) for line in seen)
    must(lines.get("pid", "").startswith("True"), " ".join(seen), "the pid is the container's, as seen from here")
    must(lines["pid"] == "True True", "another number in the pid file", "--pid-file: whoever waits for it reads the pid")
    must(lines.get("born") == "True", "when it was born is not there", "a pid comes back in time: born() beside it "
         "says which process is meant")
    equal(json.loads(lines["rest"]), {"id": "one", "bundle": "/tmp/box", "rootfs": "/tmp/box/rootfs", "owner": 0,
                                      "ociVersion": "1.0.2", "annotations": {"of": word}},
          "id, bundle, rootfs, owner, ociVersion and annotations are what `state` and `list` print")
    must(lines.get("created") == "True", "another time", "now() says when it was created")
    must(lines.get("cgroups") == "True", "no cgroups", "spec.state holds what the layers want to be known")
    must(lines.get("planned") == "False", "what was planned is still there", "what delete had to look for while the "
         "container was half made has come true: `planned` goes")
    return must(lines.get("config") == "True", "another config.json", "the configuration as it was, for exec and "
                "the hooks") and "so"


@fact(2, "who joins goes through the same last stop", "crabcan-oci exec box ls /proc/self/fd")
def joins(machine):
    seen = steps(machine, f"""
bundle(); oci("create"); oci("start"); until("running")
say("exec", oci("exec", *{json.dumps(LIST)}, hold=6))""")
    must("exec 0" in seen, " ".join(seen), "exec reads what record() has written, and joins")
    return must("open 0 1 2" in seen, " ".join(seen), "close() is exec's, too: what stays open there is the "
                "machine's") and "so"


JOINED = """
refused, first = oci("exec", "sleep", "30", detach=True, **{"pid-file": f"{BOX}/joined"}), record()["pid"]
say("exec", refused)
refused and (os.kill(first, signal.SIGKILL), sys.exit())
joined = int(open(f"{BOX}/joined").read())"""
EACH = """
for kind in ("user", "mnt", "uts", "ipc", "net", "cgroup", "pid"):
    say(kind, *(os.readlink(f"/proc/{pid}/ns/{kind}") for pid in (first, joined)))
for name in ("root", "cwd"):
    say(name, *(f"{s.st_dev}:{s.st_ino}" for s in (os.stat(f"/proc/{pid}/{name}") for pid in (first, joined))))
os.kill(joined, signal.SIGKILL)"""
OUTSIDE = {
    "user": "it is in another user namespace", "pid": "a process never changes its PID namespace: who sets it chooses for "
    "its children only, so it is joined before the clone, in join_pid()",
    "mnt": "it sees the machine's mounts: its root and its directory are outside",
    "root": "its root is outside", "cwd": "its directory is outside: `cd ..` from there leads out"}


@fact(2, "who joins is in each of its namespaces", "crabcan-oci exec box sh -c 'ls -l /proc/self/ns'")
def inside(machine):
    seen = steps(machine, 'bundle(); oci("create"); oci("start"); until("running")' + JOINED + EACH)
    must("exec 0" in seen, " ".join(seen), "each namespace of the container's, by the descriptor that hold() has opened")
    for name, *both in (line.split() for line in seen[seen.index("exec 0") + 1:]):
        must(len(set(both)) == 1, f"{name}: {' and '.join(both)}", OUTSIDE.get(
            name, f"its {name} namespace is another: child() joins all that prepare() has opened"))
    return "so"


WALLS = ("Uid", "Gid", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp")
WHY = {"Seccomp": "the filter is among extras()", "CapBnd": "what is in the bounding set a set-user-ID program can get",
       "Uid": "whom the bundle names, the first process is", "Gid": "whom the bundle names, the first process is"}


@fact(2, "and has every wall that the first one has", "grep -E '^(Cap|NoNew|Seccomp)' /proc/PID/status")
def walls(machine):
    seen = steps(machine, """
some = ["CAP_CHOWN", "CAP_KILL"]
CONFIG["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mount"], "action": "SCMP_ACT_ERRNO"}]}
bundle(noNewPrivileges=True, user={"uid": 7, "gid": 8}, rlimits=[{"type": "RLIMIT_NOFILE", "soft": 77, "hard": 77}],
       capabilities={"bounding": some, "permitted": some, "effective": some})
oci("create"); oci("start"); until("running")""" + JOINED + f"""
for name in {WALLS}:
    say(name, *(open(f"/proc/{{pid}}/status").read().partition(name + ":")[2].split("\\n")[0].split()[0] for pid in (first, joined)))
say("files", *(open(f"/proc/{{pid}}/limits").read().partition("Max open files")[2].split()[0] for pid in (first, joined)))""")
    must("exec 0" in seen, " ".join(seen), "joining() is what a process that joins is made of; "
         "and without no_new_privs, which Caps sets, no filter can be loaded")
    for name, *both in (line.split() for line in seen[seen.index("exec 0") + 1:]):
        must(len(set(both)) == 1, f"{name}: {' in the first, in the other '.join(both)}",
             f"{WHY.get(name, 'a wall less')}: who joins without it is the hole in all of them")
    return "so"


@fact(2, "an ordinary user joins, as root of its user namespace",
      "setpriv --reuid 7 --regid 7 --clear-groups crabcan-oci exec box true", spare=True)
def ordinary(machine):
    if not machine.many_ids:
        raise Absent("needs a range of ids in /etc/subuid and /etc/subgid")
    for kinds, mounts, why in (
            ("pid", "", "to set the PID namespace, too, takes root of the container's user namespace: join_pid() "
             "enters that first, if the kernel refuses"),
            ("", "CONFIG['mounts'] = [one for one in CONFIG['mounts'] if one['type'] != 'proc']",
             "the user namespace comes first: only its root may enter the others")):
        seen = steps(machine, f"""
CONFIG["linux"] = {{"namespaces": [{{"type": kind}} for kind in "user mount uts ipc {kinds}".split()],
    **{{f"{{kind}}Mappings": [{{"containerID": 0, "hostID": US, "size": 1}}] for kind in ("uid", "gid")}}}}
{mounts}
bundle(); say("create", oci("create")); oci("start"); until("running")""" + JOINED + EACH,
                     before=machine.user(number(2000, 60000)))
        must("create 0" in seen, " ".join(seen), "as an ordinary user it is not even created")
        must("exec 0" in seen, " ".join(seen), why)
        for name, *both in (line.split() for line in seen[seen.index("exec 0") + 1:]):
            must(len(set(both)) == 1, f"{name}: {' and '.join(both)}", OUTSIDE.get(name, f"its {name} namespace is another"))
    return "so"
