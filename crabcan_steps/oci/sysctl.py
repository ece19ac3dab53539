"""Kernel parameters (sysctl(8)): only those of a namespace that the container has may be set."""
from .checks import is_host, refuse

IPC = {"kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall",
       "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced", "kernel.msg_next_id",
       "kernel.sem_next_id", "kernel.shm_next_id"}
UTS = {"kernel.hostname": "hostname", "kernel.domainname": "domainname"}  # and the fields for them


def path_of(name):
    """A parameter's path below /proc/sys; None if it is no name of one.

    The first of . and / is what separates, and the other is a . in a name, as in sysctl(8)."""
    dot, slash = (name.find(c) % (len(name) + 1) for c in "./")
    if dot < slash:
        name = name.translate({ord("."): "/", ord("/"): "."})
    parts = name.split("/")
    return None if len(parts) < 2 or {"", ".", ".."}.intersection(parts) else name


def sysctls(words, spaces, config):
    """Only what belongs to a namespace that is not the host's: the rest is everybody's."""
    for name, value in words.items():
        at, path = f"linux.sysctl.{name}", path_of(name)
        if path is None:
            refuse(at, "is no name such as net.ipv4.ip_forward")
        dotted = path.replace("/", ".")
        kind = ("ipc" if dotted in IPC or path.startswith("fs/mqueue/") else
                "network" if path.startswith("net/") else "uts" if dotted in UTS else
                "user" if path.startswith("user/") else None)
        if kind is None:
            refuse(at, "belongs to no namespace, so it would change the host")
        if kind not in spaces:
            refuse(at, f"needs a {kind} namespace in linux.namespaces, or it would change the host")
        if is_host(kind, spaces[kind]):
            refuse(at, f"would change the host, whose {kind} namespace is joined")
        if dotted == "kernel.hostname":
            refuse(at, "is what hostname is for")
        if kind == "uts" and config.get(UTS[dotted]) not in (None, "", value):
            refuse(at, f"says something else than {UTS[dotted]}")
