"""NOTIFY_SOCKET of sd_notify(3): a container says READY=1 to whoever has started us, through us.

The container cannot reach that socket: it is the machine's. So it gets one of ours, bound into it, and
`start` waits and passes on what comes. Only READY is passed on, with the pid that is true outside.
"""
import os
import select

import _socket

from .. import linux
from ..layer import named

NAME, FOLDER, INSIDE = "notify.sock", "notify", "/run/notify"
PATIENCE = 100  # ms between two looks whether the container has ended
MOST = 4096     # bytes of a message


def offer(spec, state):
    """For create: a directory for the socket, seen in the container, and the variable that names it."""
    os.mkdir(FOLDER, 0o755, dir_fd=state.folder)
    spec.config["mounts"] = [*(spec.config.get("mounts") or ()), {
        "destination": INSIDE, "source": f"{state.path}/{FOLDER}", "options": ["bind", "nosuid", "noexec", "nodev", "ro"]}]
    env = [word for word in spec.process.get("env") or () if not word.startswith("NOTIFY_SOCKET=")]
    spec.process["env"] = [*env, f"NOTIFY_SOCKET={INSIDE}/{NAME}"]
    spec.state["notify"] = os.environ["NOTIFY_SOCKET"]


def listen(state):
    """For start, before the program runs: our socket."""
    socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM)
    path = f"/proc/self/fd/{state.folder}/{FOLDER}/{NAME}"
    if os.path.lexists(path):  # of a `start` that was killed
        os.unlink(path)
    named(FOLDER, socket.bind, path)
    linux.chmod(path, 0o777)  # its user may be anybody
    return socket


def wait(socket, state):
    """Until the container says that it is ready, or has ended."""
    poll = select.poll()
    poll.register(socket.fileno(), select.POLLIN)
    process = state.process()
    if process is not None:
        poll.register(process, select.POLLIN)
    while True:
        able = dict(linux.poll(poll, PATIENCE))
        if socket.fileno() in able:
            if b"READY=1" in socket.recv(MOST).splitlines():
                return tell(state.record["notify"], f"READY=1\nMAINPID={state.record['pid']}")
        elif process is None or process in able:
            return None  # it never will


def tell(path, text):
    """Says it to whoever has started us; @ begins an abstract name."""
    from .calling import socket as patient
    socket = patient(_socket.SOCK_DGRAM)
    try:
        socket.sendto(text.encode(), "\0" + path[1:] if path.startswith("@") else path)
    except OSError:
        pass  # nobody listens: as sd_notify(3) has it, no matter
    finally:
        socket.close()
