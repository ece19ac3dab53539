"""Chapter 7: a filter that sees every system call before the kernel does (seccomp(2)).

Two profiles, both in the form of the OCI runtime specification, each for what it is good at: the
allow-list knows the names of what a program needs, the deny-list looks at arguments. The kernel
asks both, and the stricter answer counts.
"""
import ctypes
import errno
import os

from . import linux
from .ch06_caps import SETS
from .layer import Layer, LayerError, Stage, warn
from .seccomp.cache import PROFILES, cached

NAMED = {"default": ("allow-list", "deny-list"), "allow-list": ("allow-list",),
         "deny-list": ("deny-list",), "unconfined": ()}
REFUSED_ANYWAY = {"BPF", "PERFMON", "SYS_ADMIN", "SYS_BOOT", "SYS_CHROOT", "SYS_MODULE", "SYS_PTRACE",
                  "SYS_RAWIO", "SYS_TIME", "SYS_TTY_CONFIG", "SYSLOG"}  # what these allow


class Program(ctypes.Structure):
    """struct sock_fprog of <linux/filter.h>: a filter, compiled."""
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_char_p)]


class Filter(Layer):
    """System calls that the container's program may make."""
    chapter, name, stage = 7, "seccomp", Stage.SECCOMP
    options = {"seccomp": "--seccomp"}
    cures = {("prctl", errno.EACCES): "needs no_new_privs: do not leave out caps (chapter 6)"}

    def prepare(self, spec, undo):
        self.programs = []
        useless = REFUSED_ANYWAY.intersection(spec.cap_add).difference(SETS[spec.caps])
        if useless and spec.seccomp == "default":
            warn(f"--cap-add {','.join(sorted(useless))}: the filter refuses most of what that allows: "
                 "see --seccomp")
        for path, own in files(spec.seccomp):
            try:
                code = cached(path, own, spec.kept)
            except (ValueError, KeyError, TypeError) as error:  # not JSON, or not a profile
                raise LayerError(self.name, f"--seccomp {path}", 0, f"{error}") from error
            self.programs.append(Program(len(code) // 8, code))

    def child(self):
        for program in self.programs:
            linux.prctl(linux.PR_SET_SECCOMP, linux.SECCOMP_MODE_FILTER, ctypes.addressof(program))


def files(profile):
    """(path, whether it is ours) of each list that a profile consists of."""
    if profile in NAMED:
        return [(os.path.join(PROFILES, name + ".json"), True) for name in NAMED[profile]]
    return [(profile, False)]
