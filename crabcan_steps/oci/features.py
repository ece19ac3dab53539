"""`features`: what this runtime understands, in the specification's own form (features.md)."""
from . import fields, fields_linux
from .config import TABLE
from .seccomp import supported


def features():
    """The features document: what we know; what this machine has is no matter, but for the flags."""
    here = {path: by != fields.NOBODY for path, _, _, by, _ in TABLE}
    return {
        "ociVersionMin": fields.VERSIONS[0], "ociVersionMax": fields.VERSIONS[1],
        "hooks": list(fields.HOOKS),
        "mountOptions": list(fields.MOUNT_OPTIONS),
        "linux": {
            "namespaces": list(fields_linux.NAMESPACES),
            "capabilities": list(fields.CAPABILITIES),
            "cgroup": {"v1": True, "v2": True, "systemd": True, "systemdUser": True, "rdma": True},
            "seccomp": {
                "enabled": True, "actions": list(fields_linux.ACTIONS),
                "operators": list(fields_linux.OPERATORS), "archs": list(fields_linux.ARCHES),
                "knownFlags": list(fields_linux.FILTER_FLAGS),
                "supportedFlags": [name for name in fields_linux.FILTER_FLAGS if supported(name)]},
            "apparmor": {"enabled": True}, "selinux": {"enabled": True},
            "intelRdt": {"enabled": here["linux.intelRdt"]},
            **({"memoryPolicy": {"modes": list(fields_linux.MEMORY_MODES),
                                 "flags": list(fields_linux.MEMORY_FLAGS)}}
               if here["linux.memoryPolicy"] else {}),
            "mountExtensions": {"idmap": {"enabled": True}},
            "netDevices": {"enabled": here["linux.netDevices"]}},
        "annotations": {},
        "potentiallyUnsafeConfigAnnotations": ["org.systemd.property."],
    }
