"""`spec`: a config.json to begin with, which starts a shell in ./rootfs."""
import os

from .fields import VERSIONS

KEPT = ("CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE")
MASKED = ("/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys",
          "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi", "/proc/timer_list",
          "/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware")
READONLY = "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"
MOUNTS = (  # destination, type, source, options
    ("/proc", "proc", "proc", ()),
    ("/dev", "tmpfs", "tmpfs", ("nosuid", "strictatime", "mode=755", "size=65536k")),
    ("/dev/pts", "devpts", "devpts",
     ("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5")),
    ("/dev/shm", "tmpfs", "shm", ("nosuid", "noexec", "nodev", "mode=1777", "size=65536k")),
    ("/dev/mqueue", "mqueue", "mqueue", ("nosuid", "noexec", "nodev")),
    ("/sys", "sysfs", "sysfs", ("nosuid", "noexec", "nodev", "ro")),
    ("/sys/fs/cgroup", "cgroup", "cgroup", ("nosuid", "noexec", "nodev", "relatime", "ro")))


def template(rootless=False):
    """The configuration; rootless: one that an ordinary user can start, whom it maps to root."""
    kinds = ["pid", "network", "ipc", "uts", "mount"]
    if os.path.exists("/sys/fs/cgroup/cgroup.controllers"):  # version 2: it sees nothing above itself
        kinds.append("cgroup")
    if rootless:  # nobody would connect its network, so it keeps the user's
        kinds = [kind for kind in kinds if kind != "network"] + ["user"]
    linux = {"resources": {"devices": [{"allow": False, "access": "rwm"}]}}
    if rootless:
        linux = {f"{kind}Mappings": [{"containerID": 0, "hostID": number, "size": 1}]
                 for kind, number in (("uid", os.geteuid()), ("gid", os.getegid()))}
    return {
        "ociVersion": VERSIONS[1],
        "process": {
            "terminal": True, "user": {"uid": 0, "gid": 0}, "args": ["sh"],
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
            "cwd": "/",
            "capabilities": {which: list(KEPT) for which in ("bounding", "effective", "permitted")},
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
            "noNewPrivileges": True},
        "root": {"path": "rootfs", "readonly": True},
        "hostname": "crabcan",
        "mounts": [mount(rootless, *row) for row in MOUNTS],
        "linux": {**linux, "namespaces": [{"type": kind} for kind in kinds],
                  "maskedPaths": list(MASKED), "readonlyPaths": list(READONLY)}}


def mount(rootless, destination, kind, source, options):
    """An entry of `mounts`. Without a network of one's own there is no sysfs of one's own either."""
    if rootless and destination == "/sys":
        kind, source, options = "none", "/sys", ("rbind", *options)
    if rootless:  # gid 5 is in no map
        options = [word for word in options if not word.startswith(("gid=", "uid="))]
    words = {"destination": destination, "type": kind, "source": source}
    return {**words, "options": list(options)} if options else words
