"""A cgroup from the user's systemd, for chapter 8."""
import errno
import os
import time

from .. import linux


def own_path(controller, pid="self"):
    """The path of a process's cgroup in the tree of a controller, "" for version 2's tree."""
    for line in linux.read(f"/proc/{pid}/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            return path
    return ""  # no such controller: whoever writes there is told


def ask_systemd(root, name, pid):
    """Asks the user's systemd for a directory: only it may move a process between its parts.

    It takes the directory away when the last process has gone (systemd.scope(5), Delegate=)."""
    call = ["/usr/bin/busctl", "--user", "--quiet", "call", "org.freedesktop.systemd1",
            "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager",
            "StartTransientUnit", "ssa(sv)a(sa(sv))", name, "fail",
            "2", "PIDs", "au", "1", str(pid), "Delegate", "b", "true", "0"]
    try:
        quiet = [(os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_WRONLY, 0)]
        child = linux.posix_spawn(call[0], call, os.environ, setsigmask=(), file_actions=quiet)
        if linux.waitpid(child, 0)[1] != 0:
            raise OSError(errno.EACCES, "no systemd of the user's to ask", root)
    except FileNotFoundError:
        raise OSError(errno.EACCES, "no systemd to ask", root) from None
    for _ in range(500):  # it answers before it acts
        path = own_path("", pid)
        if path.endswith(name):
            return root + path
        time.sleep(0.01)
    raise OSError(errno.EBUSY, "systemd did not move the container", root)
