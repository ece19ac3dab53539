"""Keeps the tests apart from the machine, and tells what they leave behind.

What may be broken is run: with CLONE_NEWUTS taken out, a container's hostname is the machine's. So
root's tests first leave the machine's UTS, mount, IPC and network namespaces and its /tmp for ones
of their own. And everything of ours stays below us, so what others do meanwhile is not judged.
"""
import ctypes
import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

from crabcan_workshop import doctor
from crabcan_workshop.measure import observe

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWNET = 0x20000, 0x4000000, 0x8000000, 0x40000000
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
LIBC = ctypes.CDLL(None, use_errno=True)
APART = []  # what is our own: "namespaces", "tmp"
COPIED, SEEN = set(), set()  # mounts of the machine's when we began, which may go there; all that we have had


def refused():
    """Why no container can be made on this machine, and the cure; or nothing."""
    for check in (doctor.check_clone, doctor.check_users):
        passed, text, cure = check()
        if passed is False:
            return f"no container can be made here ({text}): {cure}. More: ./workshop doctor"
    return ""


def enter(words, network=False):
    """Goes on in a child: in namespaces of its own, if we are root. The parent adopts and buries
    what the tests leave, stays in the machine's, and ends as the child does.

    Where `words`, pytest's own, or the code name /tmp, that stays the machine's."""
    LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    child = os.fork()
    if child:
        os._exit(bury(child))
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.geteuid() != 0:
        return
    flags = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | (0 if network else CLONE_NEWNET)
    if LIBC.unshare(flags):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), "unshare")
    for name in ("uts", "mnt", "ipc"):  # before anything is mounted or unmounted
        if os.readlink(f"/proc/self/ns/{name}") == os.readlink(f"/proc/{os.getppid()}/ns/{name}"):
            raise OSError(f"the tests are in the machine's own {name} namespace")
    APART.append("namespaces")
    COPIED.update(table("self"))
    # A slave sees what systemd mounts for the tests' user; shared: a mount that spreads is seen.
    for command in (["mount", "--make-rslave", "/"], ["mount", "--make-rshared", "/"],
                    *([] if network else [["ip", "link", "set", "lo", "up"]])):
        subprocess.run(command, check=True)
    for old in Path("/tmp").glob("crabcan-tests-*"):  # of runs that have ended
        if not Path("/proc", old.name.rpartition("-")[2]).exists():
            clear(old)
    if not any("/tmp" in str(word) for word in (*words, __file__)):
        own().mkdir()
        own().chmod(0o1777)
        subprocess.run(["mount", "--bind", own(), "/tmp"], check=True)
        APART.append("tmp")


def bury(child):
    """Waits for all that lose their parent, until the tests end; returns their status."""
    for number in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)  # the terminal tells the child, too
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: os.kill(child, number))
    pid = None
    while pid != child:
        pid, ended = os.wait()
    end_children()
    status = os.waitstatus_to_exitcode(ended)
    if status != 1:  # else somebody may want to see what the failed ones made
        clear(own(child))
    return status if status >= 0 else 128 - status


def end_children():
    """Ends what the tests have left. Whom to kill is the kernel's word, not our reckoning: only a
    child of ours, of which nobody else can be the parent, and whose number nobody else can get."""
    children = f"/proc/self/task/{os.getpid()}/children"
    while pids := Path(children).read_text().split():
        for pid in map(int, pids):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)  # its own children are ours now


def clear(folder):
    """Removes a directory, as deep as a test may have made it: Python's rmtree calls itself at each step."""
    subprocess.run(["rm", "-rf", "--", folder], stderr=subprocess.DEVNULL)


def own(pid=None):
    """What is /tmp for the tests, as the machine sees it."""
    return Path("/tmp", f"crabcan-tests-{pid or os.getpid()}")


def on_the_machines_network():
    """A command's first words, with which it has the machine's network, and mounts as private as
    they can be: for what the book shows of them."""
    if not APART:
        return []
    return ["nsenter", f"--target={os.getppid()}", "--net", "unshare", "--mount", "--"]


# ---------------------------------------------------------------- what is ours

def ours(pid):
    """Whether a process comes of the tests: what loses its parent is adopted by ours."""
    try:
        while int(pid) > 1:
            if int(pid) == os.getppid():
                return True
            pid = observe.stat_of(pid)[1]
    except OSError:
        pass
    return False


def living(name):
    """The living processes that are named in crabcan-...-PID-..."""
    return [pid for pid in re.findall(r"-(\d+)(?![0-9a-z])", name) if os.path.exists(f"/proc/{pid}")]


def processes():
    """Ours, with what was typed; not those that have ended."""
    found = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = Path("/proc", pid, "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if words and int(pid) not in (os.getpid(), os.getppid()) and ours(pid):
            found.add((pid, words))
    return found


def mounts():
    """Where our mount table is another than the machine's, whose mounts come and go in both; but only
    in one, if they do not spread there."""
    if not APART:  # an ordinary user changes none; what others do on the machine meanwhile is theirs
        return set()
    before, here, after = (table(pid).keys() for pid in (os.getppid(), "self", os.getppid()))
    SEEN.update(here)
    return here - before - after - COPIED | {("gone", *key) for key in SEEN & before & after - here}


def table(pid):
    """{(root, mount point, type, source): its number} of a process's mounts (proc(5), mountinfo)."""
    lines = [line.split() for line in Path(f"/proc/{pid}/mountinfo").read_text().splitlines()]
    return {(words[3], words[4], *words[words.index("-") + 1:][:2]): words[0] for words in lines
            if not words[4].startswith("/run/credentials/")}  # systemd's, at each start of a service


def cgroups():
    """Of our containers; and of dead ones, for whoever runs next sweeps those."""
    found = set()
    for top, names, _ in os.walk("/sys/fs/cgroup"):  # not glob: it fails if one goes
        for name in names:
            if name.startswith("crabcan") and all(map(ours, living(f"{top}/{name}"))):
                if all(map(ours, held(f"{top}/{name}"))):
                    found.add(f"{top}/{name}")
    return found


def held(path):
    """The processes in a cgroup."""
    try:
        return Path(path, "cgroup.procs").read_text().split()
    except OSError:
        return []


def files():
    """In /tmp: all, if it is our own; else what is of a dead process, or of ours."""
    if "tmp" in APART:
        return {str(path) for path in Path("/tmp").iterdir() if not path.name.startswith("pytest-of-")}
    return {str(path) for path in Path("/tmp").glob("crabcan*") if all(map(ours, living(path.name)))}


def state():
    """All that a runtime could leave behind, as sets to compare."""
    return {"mounts": mounts(), "cgroups": cgroups(), "processes": processes(),
            "links": {name for _, name in socket.if_nameindex()}, "temporary files": files(),
            "open files": {os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")
                           if os.path.exists(f"/proc/self/fd/{fd}")},
            "hostname": {os.uname().nodename}}


# ---------------------------------------------------------------- after each test

class Kept:
    """The name and the mounts around one test: what has changed is told, and put back."""

    def __init__(self):
        self.name, self.mounts = os.uname().nodename, mounts()

    def broken(self):
        """Says what was changed, a line each."""
        if (name := os.uname().nodename) != self.name:
            socket.sethostname(self.name)
            yield f"the hostname was changed, from {self.name} to {name}"
        changed = mounts() - self.mounts
        if changed:
            time.sleep(0.1)  # the machine's table and ours are not read at one moment
            changed &= mounts()
        for mount in changed:
            if mount[0] != "gone":
                point = mount[1].encode().decode("unicode_escape")
                subprocess.run(["umount", "--lazy", point], capture_output=True)
            yield f"the mounts were changed: {' '.join(mount)}"


def compare(before, sweep):
    """What is left behind, a line each: what is still there after a while, and another sweep."""
    left = None
    for _ in range(5):
        sweep()
        now = differences(before)
        left = now if left is None else left & now  # others have theirs at one time or the other
        if not left:
            break
        time.sleep(0.5)
    return [f"left behind: {kind}: {what}" for kind, what in sorted(left, key=str)]


def differences(before):
    after = state()
    return {(kind, what) for kind in before for what in after[kind] - before[kind]}
