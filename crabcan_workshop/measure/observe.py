"""Starts a checkpoint with the probe in it, and looks at it from outside while it waits.

A log line is no evidence: what counts is what the probe could do, and what /proc says of it.
"""
import ctypes
import json
import os
import select
import socket
import subprocess
import sys
import tempfile
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

PROBE = Path(__file__).with_name("probe.py")
LIMITS = ["--memory", "64M", "--pids", "20", "--cpus", "0.2"]  # tight, so that they bite at once
NAMESPACES = ("pid", "uts", "mnt", "user", "ipc", "net", "cgroup", "time")
SETS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
AGAIN = 20  # times
LIMIT_FILES = {"memory": ("memory.max", "memory.limit_in_bytes"), "pids": ("pids.max", "pids.max"),
               "cpu": ("cpu.max", "cpu.cfs_quota_us")}  # of version 2 and 1
NO_LIMIT = 1 << 64
libc = ctypes.CDLL(None, use_errno=True)
IPC_CREAT, IPC_RMID = 0o1000, 0
KEYCTL, ADD_KEY = {"x86_64": (250, 248), "aarch64": (219, 217)}[os.uname().machine]
KEYCTL_JOIN_SESSION_KEYRING, SESSION_KEYRING = 1, -3


class ObserveError(Exception):
    """The checkpoint did not get as far as the probe: what it said instead."""


class Canaries:
    """Things of the host's that a container should not be able to reach; gone at the end."""

    def __enter__(self):
        with ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix=f"crabcan-canary-{os.getpid()}-"))
            file = Path(folder, "secret")
            file.write_text("the host's\n")
            file.chmod(0o644)
            Path(folder).chmod(0o755)
            server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=64))
            number = int.from_bytes(os.urandom(3), "big") + 1
            queue = libc.msgget(number, IPC_CREAT | 0o666)
            stack.callback(libc.msgctl, queue, IPC_RMID, None)
            libc.syscall(KEYCTL, KEYCTL_JOIN_SESSION_KEYRING, None)  # ours, and gone with us
            libc.syscall(ADD_KEY, b"user", b"crabcan-canary", b"secret", 6, SESSION_KEYRING)
            self.facts = {"file": str(file), "port": server.getsockname()[1], "queue": number,
                          "key": "crabcan-canary", "pid": os.getpid()}
            self.stack = stack.pop_all()
        return self.facts

    def __exit__(self, *_):
        self.stack.close()


@contextmanager
def networked(canaries):
    """The canaries for a container with a network: it may reach the host by more than 127.0.0.1."""
    from crabcan_steps.net import links
    from crabcan_steps.net.netlink import Netlink
    six = socket.has_dualstack_ipv6()
    with closing(Netlink()) as netlink, socket.create_server(
            ("", 0), family=socket.AF_INET6 if six else socket.AF_INET, dualstack_ipv6=six, backlog=64) as server:
        yield {**canaries, "host": {
            "port": server.getsockname()[1], "bridge": os.geteuid() == 0,
            "addresses": [address for address, _ in links.addresses(netlink)
                          if not address.startswith(("127.", "fe80:")) and address != "::1"]}}


def observe(step, canaries, options=()):
    """Runs the probe in a checkpoint (0: on the host itself); returns (inside, outside, stderr).

    Raises ObserveError if it does not come up."""
    canaries = {**canaries, "burn": 0.2 if options else 0}
    python = ["/usr/bin/python3", "-I", "-c", PROBE.read_text(), json.dumps(canaries)]
    crabcan = [sys.executable, "-P", "-m", "crabcan_steps", "step", str(step), *options, "--"]
    with probing(crabcan + python if step else python,
                 lambda pid: pid if step < 2 else child_of(pid)) as (process, pid, inside, errors):
        outside = look(pid)
        for _ in range(AGAIN if canaries["burn"] else 0):
            if outside["throttled"]:
                break
            process.stdin.write("more\n")  # on a busy machine we may not have had enough to be held back
            process.stdin.flush()
            process.stdout.readline()
            outside = look(pid)
        errors.seek(0)
        return inside, outside, errors.read()


@contextmanager
def probing(command, pid_of, seconds=30, **settings):
    """Starts a command that ends in the probe: (process, the probe's pid, its report, stderr).

    The probe waits until the block ends. Raises ObserveError if it does not come up."""
    environment = {**os.environ, **settings.pop("env", {}), "CRABCAN_CANARY": "sings"}
    with tempfile.TemporaryFile("w+") as errors, \
            subprocess.Popen(command, env=environment, text=True, stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, stderr=errors, **settings) as process:
        came = select.select([process.stdout], [], [], seconds)[0]
        line = process.stdout.readline() if came else ""
        try:
            inside, pid = json.loads(line), pid_of(process.pid)
        except (ValueError, ObserveError):
            process.kill()
            process.wait()
            errors.seek(0)
            raise ObserveError(errors.read().strip() or f"it printed {line!r}") from None
        try:
            yield process, pid, inside, errors
        finally:
            process.stdin.close()
            process.wait(30)


def child_of(pid):
    """The one child of a process that stands not beside (net-of-PID, chapter 11): the container's init."""
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                if stat_of(entry.name)[1] == pid and not Path(entry, "comm").read_text().startswith("net-of-"):
                    return int(entry.name)
            except OSError:
                continue  # ended while we looked
    raise ObserveError("the runtime has no child")


def stat_of(pid):
    """State and parent of a process (proc(5)); the name may contain anything, so cut behind it."""
    words = Path(f"/proc/{pid}/stat").read_text(errors="surrogateescape").rpartition(")")[2].split()
    return words[0], int(words[1])


def look(pid):
    """What /proc says of a process that is not ours to believe."""
    status = dict(line.split(":\t", 1) for line in
                  Path(f"/proc/{pid}/status").read_text(errors="surrogateescape").splitlines() if ":\t" in line)
    root = next(line.split() for line in Path(f"/proc/{pid}/mountinfo").read_text(errors="surrogateescape").splitlines()
                if line.split()[4] == "/")
    facts = {"uid": int(status["Uid"].split()[1]), "no_new_privs": status["NoNewPrivs"] == "1",
             "seccomp": status["Seccomp"], "capabilities": {s: int(status[s], 16) for s in SETS},
             "root": f"{root[2]} {root[3]}", "cgroups": cgroups(pid)}
    facts["throttled"] = throttled(facts["cgroups"])
    facts["namespaces"] = {}
    for name in NAMESPACES:
        try:
            facts["namespaces"][name] = os.readlink(f"/proc/{pid}/ns/{name}")
        except FileNotFoundError:
            pass  # time namespaces are younger than the others
        except PermissionError:
            facts["namespaces"][name] = "not ours to see"
    return facts


def cgroups(pid):
    """controllers -> path; version 2's one tree has no controllers in its line."""
    lines = Path(f"/proc/{pid}/cgroup").read_text(errors="surrogateescape").splitlines()
    return {line.split(":", 2)[1]: line.split(":", 2)[2] for line in lines}


def throttled(paths):
    """How often the kernel has made a cgroup wait for processor time."""
    for controllers, path in paths.items():
        place = "/sys/fs/cgroup" + ("/cpu" if "cpu" in controllers.split(",") else "")
        file = Path(place + path, "cpu.stat")
        if ("cpu" in controllers.split(",") or not controllers) and file.exists():
            words = dict(line.split() for line in file.read_text(errors="surrogateescape").splitlines())
            if "nr_throttled" in words:
                return int(words["nr_throttled"])
    return 0


def limits(pid):
    """The tightest limit of its cgroups and of those above, and its own on open files."""
    found = {"nofile": next(number(line.split()[4]) for line in
                            Path(f"/proc/{pid}/limits").read_text(errors="surrogateescape").splitlines()
                            if line.startswith("Max open files"))}
    for kind, files in LIMIT_FILES.items():
        found[kind] = NO_LIMIT
        for controllers, path in cgroups(pid).items():
            if kind in controllers.split(",") or not controllers:
                top = Path("/sys/fs/cgroup", kind if controllers else "")
                places = [top / path.lstrip("/"), *(top / path.lstrip("/")).parents]
                for place in places[:places.index(top) + 1]:
                    file = place / files[1 if controllers else 0]
                    if file.exists():
                        found[kind] = min(found[kind], number(file.read_text().split()[0]))
    return found


def number(word):
    """A limit as a number: "max", "unlimited" and -1 are none."""
    return int(word) if word.isdigit() else NO_LIMIT
