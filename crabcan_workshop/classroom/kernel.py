"""Settings of the kernel that a class needs: told, changed only when that was said, and put back."""
import json
from pathlib import Path

from . import settings
from .system import ClassError

SYSCTLS = Path("/etc/sysctl.d/90-crabcan-class.conf")
BEFORE = settings.STATE / "sysctls.json"  # what they were
USERNS = {"kernel.unprivileged_userns_clone": "1", "kernel.apparmor_restrict_unprivileged_userns": "0"}
INTERNET = {"net.ipv4.ip_forward": "1"}


def path(name):
    return Path("/proc/sys") / name.replace(".", "/")


def wrong(chosen):
    """{name: what it must be} of those that are otherwise."""
    wanted = USERNS | (INTERNET if chosen.get("internet") else {})
    return {name: value for name, value in wanted.items()
            if path(name).exists() and path(name).read_text().strip() != value}


def settle(chosen):
    """Changes them, if that was said. Raises ClassError where it was not."""
    changes = wrong(chosen)
    if not changes:
        return
    if not chosen.get("sysctls"):
        told = " ".join(f"{name}={value}" for name, value in changes.items())
        raise ClassError(f"a class needs {told}: say --sysctls to have it set, and put back by --remove")
    known = json.loads(BEFORE.read_text()) if BEFORE.exists() else {}
    before = {name: path(name).read_text().strip() for name in changes} | known
    settings.write(BEFORE, json.dumps(before) + "\n")
    settings.write(SYSCTLS, "# From the crabcan class\n" + "".join(
        f"{name} = {(USERNS | INTERNET)[name]}\n" for name in before), 0o644)
    for name, value in changes.items():
        path(name).write_text(value)


def put_back():
    for name, value in (json.loads(BEFORE.read_text()) if BEFORE.exists() else {}).items():
        path(name).write_text(value)
    SYSCTLS.unlink(missing_ok=True)
    BEFORE.unlink(missing_ok=True)
