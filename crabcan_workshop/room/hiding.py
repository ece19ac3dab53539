"""Where the flags of the escape rooms are: what the machine has and does, one function a room.

Each runs in the outer room, with the flag, before the container starts; what it returns is filled
into the options.
"""
import ctypes
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import time

from crabcan_steps import linux

from . import neighbour

ADD_KEY, KEYCTL = {"x86_64": (248, 250)}.get(platform.machine(), (217, 219))
KEYCTL_SETPERM, SESSION_KEYRING, ALL_MAY_READ = 5, -3, 0x3f3f3f02
CROWD, PORT = 100, 7007


def beside(deed, *args):
    """Does something for ever in a process of its own, which ends with the room."""
    sys.stdout.flush()
    if os.fork() == 0:
        try:
            deed(*args)
        finally:
            os._exit(0)


def shout(flag):
    end = "\r\n" if os.isatty(0) else "\n"  # then crabcan has made the terminal raw
    os.write(1, f"{end}the watchman: {flag}{end}".encode())


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(text + "\n")


# ---------------------------------------------------------------- one a chapter

def caller(flag):
    os.environ["BACKUP_KEY"] = flag


def service(flag):
    """Without capabilities, or whoever has none could not look at it (ptrace(2))."""
    subprocess.Popen(["setpriv", "--bounding-set=-all", "--inh-caps=-all", "sleep", "infinity"],
                     env={"PATH": os.environ["PATH"], "TOKEN": flag})


def name(flag):
    linux.sethostname(flag)


def letter(flag):
    write("/home/you/letter", flag)


def listener(flag):
    server = socket.create_server(("127.0.0.1", PORT))

    def serve():
        while True:
            with server.accept()[0] as caller:
                caller.sendall(flag.encode() + b"\n")
    beside(serve)


def inside():
    """Who in here is the container's root, as far as there are ids."""
    with open("/etc/subuid") as file:
        return int(file.read().split(":")[1])


def vault(flag):
    """The file is the container root's; its mode shuts out all."""
    owner = inside()
    for thing, text in {"gold": flag, "silver": "not this one", "copper": "nor this"}.items():
        write(f"/vault/{thing}", text)
        os.chown(f"/vault/{thing}", owner, owner)
        os.chmod(f"/vault/{thing}", 0)


def safe(flag):
    call = ctypes.CDLL(None, use_errno=True).syscall
    key = call(ADD_KEY, b"user", b"secret", flag.encode(), len(flag), SESSION_KEYRING)
    if key < 0 or call(KEYCTL, KEYCTL_SETPERM, key, ALL_MAY_READ) < 0:
        raise OSError(ctypes.get_errno(), "the kernel keeps no key for us")
    return {"key": key}


def crowd(flag):
    def count():
        while sum(entry.isdigit() for entry in os.listdir("/proc")) <= CROWD:
            time.sleep(0.1)
        shout(flag)
    beside(count)


def watchman(flag):
    def sleep():
        signal.signal(signal.SIGCONT, lambda *_: shout(flag))
        while True:
            signal.pause()
    beside(sleep)


# ---------------------------------------------------------------- a lesson forgotten (weak.py)

def desk(flag):
    """Whoever starts the container has the machine's / open."""
    write("/home/keeper/desk", flag)
    os.set_inheritable(os.open("/", os.O_RDONLY | os.O_DIRECTORY), True)


def exchange(flag):
    """The neighbour reads aloud, into /srv/shared/log, what is in its /news."""
    write("/home/keeper/desk", flag)
    write("/srv/shared/news/today", "no news")
    command = ["/usr/bin/sh", "-c", "cat /news/*"]
    beside(neighbour.live, *neighbour.arrive("/srv/shared", command, sys.executable))


def lender(flag):
    """The neighbour's crabcan runs with a Python of the container root's."""
    owner, python = inside(), "/home/keeper/python/bin/python3"
    if owner == 0:
        sys.exit("workshop: this room needs more ids than your own: is there a line of yours in "
                 "/etc/subuid, and newuidmap?")
    os.makedirs(os.path.dirname(python))
    os.symlink(f"{sys.base_prefix}/lib", "/home/keeper/python/lib")
    shutil.copy(sys.executable, python)
    os.chown(python, owner, owner)
    write("/srv/shared/bin/hello", '#!/usr/bin/sh\ncat "$1"')
    write("/srv/shared/greeting", "hello")
    os.chmod("/srv/shared/bin/hello", 0o755)
    look = lambda: (os.stat(python).st_mode, os.stat(python).st_size, os.stat(python).st_mtime_ns)
    before = look()

    def watch():
        while look() == before:
            time.sleep(0.1)
        shout(flag)
    beside(watch)
    command = ["/bin/hello", "/greeting"]
    beside(neighbour.live, *neighbour.arrive("/srv/shared", command, python))
