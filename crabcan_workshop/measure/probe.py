"""Runs inside the container: tries to do what the layers are there to stop, and reports.

It is handed over as text (`python3 -I -c`), so that nothing need be in the container but Python.
Every answer is what an attempt gave: True if it succeeded. The last line waits, so that somebody
outside can look at this process as well (observe.py does).
"""
import ctypes
import json
import os
import signal
import socket
import sys
import time

libc = ctypes.CDLL(None, use_errno=True)
KEYCTL = {"x86_64": 250, "aarch64": 219}[os.uname().machine]
KEYCTL_GET_KEYRING_ID, KEYCTL_SEARCH, SESSION_KEYRING = 0, 10, -3
CLONE_NEWUSER = 0x10000000


def in_child(attempt):
    """Runs an attempt in a child of its own; tells whether it ended well."""
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if attempt() else 1)
        except BaseException:
            os._exit(2)
    return os.waitpid(child, 0)[1] == 0


def read_file(path):
    try:
        with open(path):
            return True
    except OSError:
        return False


def read_text(path):
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""


def connect(port, address="127.0.0.1"):
    try:
        with socket.create_connection((address, port), 2):
            return True
    except OSError:
        return False


def gateways():
    """Where packets for everywhere go first (proc(5), /proc/net/route): with a bridge, to the host."""
    for words in map(str.split, read_text("/proc/net/route").splitlines()[1:]):
        if words[1] == "00000000":
            yield socket.inet_ntop(socket.AF_INET, bytes.fromhex(words[2])[::-1])
    for words in map(str.split, read_text("/proc/net/ipv6_route").splitlines()):
        if words[1] == "00" and words[9] != "lo":
            yield socket.inet_ntop(socket.AF_INET6, bytes.fromhex(words[4]))


def reached(host):
    """Whether a server of the host's that listens on all addresses is reached by one of them."""
    where = [*host["addresses"], *(gateways() if host["bridge"] else ())]
    return any([connect(host["port"], address) for address in where])


def kill(pid):
    """Signal 0 only asks whether we could."""
    try:
        os.kill(pid, 0)
        return True
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # it is there: we see a process that we should not


def allocate(megabytes):
    block = bytearray(megabytes << 20)
    block[::4096] = b"x" * len(block[::4096])  # only touched pages count
    return True


def fork_many(count):
    children = []
    try:
        for _ in range(count):
            child = os.fork()
            if child == 0:
                signal.pause()
            children.append(child)
        return True
    except OSError:
        return False
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def open_many(count):
    try:
        for fd in [os.open("/dev/null", os.O_RDONLY) for _ in range(count)]:
            os.close(fd)
        return True
    except OSError:
        return False


def burn(seconds):
    """Takes so much processor time; observe.py looks whether the kernel held us back.

    A part on each processor: of one that others use, too, we might not get so much at once."""
    parts = []
    for _ in range(min(os.cpu_count(), 4) if seconds else 0):
        child = os.fork()
        if child == 0:
            end = time.process_time() + seconds / min(os.cpu_count(), 4)
            while time.process_time() < end:
                pass
            os._exit(0)
        parts.append(child)
    for child in parts:
        os.waitpid(child, 0)


def main(canary, *more):
    report = {
        "variable of the host seen": "CRABCAN_CANARY" in os.environ,
        "pid": os.getpid(),
        "host process seen": kill(canary["pid"]),
        "hostname": os.uname().nodename,
        "host file read": read_file(canary["file"]),
        "host's interrupts read": len(read_text("/proc/interrupts")) > 0,
        "host's key found": libc.syscall(KEYCTL, KEYCTL_SEARCH, SESSION_KEYRING, b"user",
                                         canary["key"].encode(), 0) != -1,
        "host port reached": connect(canary["port"]) or "host" in canary and reached(canary["host"]),
        "way out": any(gateways()),
        "host message queue found": libc.msgget(canary["queue"], 0) != -1,
        "cgroup is the root": all(line.rstrip().endswith(":/") for line in open("/proc/self/cgroup")),
        "chroot": in_child(lambda: os.chroot("/") is None),
        "keyctl": libc.syscall(KEYCTL, KEYCTL_GET_KEYRING_ID, SESSION_KEYRING, 0) != -1,
        "new user namespace": in_child(lambda: libc.unshare(CLONE_NEWUSER) == 0),
        "128 MB": in_child(lambda: allocate(128)),
        "40 processes": in_child(lambda: fork_many(40)),
        "100 open files": in_child(lambda: open_many(100)),
        "own session": os.getsid(0) == os.getpid(),
    }
    for text in more:  # attempts.py, for `workshop compare`; it imports from the probe, which we are
        sys.modules["measure"] = sys.modules["measure.probe"] = sys.modules["__main__"]
        exec(text, names := {"__name__": "measure.attempts", "__package__": "measure"})
        report |= names["attempts"](canary)
    burn(canary["burn"])
    print(json.dumps(report), flush=True)
    for _ in sys.stdin:  # each line asks for more of that
        burn(canary["burn"])
        print(flush=True)
    time.sleep(canary.get("linger", 0))  # so that it is not for the end of its input that it ends


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), *sys.argv[2:])
