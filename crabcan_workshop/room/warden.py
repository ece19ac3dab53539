"""Runs inside the outer room, as its PID 1: hides a flag, then starts a container with a hole."""
import ctypes
import json
import os
import platform
import signal
import socket
import subprocess
import sys
import time

from crabcan_steps import linux

ADD_KEY, KEYCTL = {"x86_64": (248, 250)}.get(platform.machine(), (217, 219))
KEYCTL_SETPERM, SESSION_KEYRING, ALL_MAY_READ = 5, -3, 0x3f3f3f02
CROWD, PORT = 100, 7007
# A shell with job control would leave the group in which room 9 plays; this one stays.
SHELL = """printf 'in > ' >&2; while IFS= read -r line; do eval "$line"; printf 'in > ' >&2; done"""


def main():
    with open("/course/job.json") as file:
        job = json.load(file)
    os.unlink("/course/job.json")  # room 4 can look at it
    signal.signal(signal.SIGINT, lambda *_: None)  # Ctrl-C is for the container
    words = globals()[job["set_up"]](job["flag"]) or {}
    options = [word.format(flag=job["flag"], **words) for word in job["options"]]
    shell = job["command"] or (["/bin/sh", "-c", SHELL] if job["set_up"] == "watchman" else [])
    status = subprocess.call([sys.executable, "-P", "-m", "crabcan_steps", "run", *options, "--",
                              *shell], cwd="/")
    os._exit(status if status >= 0 else 128 - status)


def beside(deed, *args):
    """Does something for ever in a process of its own, which ends with the room."""
    sys.stdout.flush()
    if os.fork() == 0:
        try:
            deed(*args)
        finally:
            os._exit(0)


def shout(flag):
    os.write(1, f"\r\nthe watchman: {flag}\r\n".encode())


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
    os.makedirs("/home/you", exist_ok=True)
    with open("/home/you/letter", "w") as file:
        file.write(flag + "\n")


def listener(flag):
    server = socket.create_server(("127.0.0.1", PORT))

    def serve():
        while True:
            with server.accept()[0] as caller:
                caller.sendall(flag.encode() + b"\n")
    beside(serve)


def vault(flag):
    """The file is the container root's, as far as there are ids; its mode shuts out all."""
    with open("/etc/subuid") as file:
        owner = int(file.read().split(":")[1])
    os.mkdir("/vault")
    for thing, text in {"gold": flag, "silver": "not this one", "copper": "nor this"}.items():
        with open(f"/vault/{thing}", "w") as file:
            file.write(text + "\n")
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


if __name__ == "__main__":
    main()
