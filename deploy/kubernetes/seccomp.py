#!/usr/bin/env python3
"""Writes seccomp.json, the filter of a pod in which containers are made: chapter 7's allow-list, and what nesting takes.

seccomp.py prints it; seccomp.py --write puts it beside this file. Each group says why it is there.
"""
import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
INNER = HERE.parents[1] / "crabcan_steps" / "seccomp" / "profiles" / "allow-list.json"
NESTING = (
    ("Chapter 2: processes with new namespaces (clone is allowed there already). What is behind clone3's pointer, no filter reads.",
     "clone3 unshare setns"),
    ("Chapter 3.", "sethostname setdomainname"),
    ("Chapter 4: mounts, by the calls of today and by those of mount(8). The user namespace holds what they give.",
     "mount umount2 pivot_root chroot open_tree move_mount mount_setattr fsopen fsconfig fsmount fspick"),
    ("Chapter 5: a session keyring of its own. Keys belong to users, and the pod has its own.", "keyctl add_key request_key"),
    ("Chapter 10: memory of one NUMA node.", "set_mempolicy get_mempolicy mbind"),
)
LEFT_OUT = """bpf, perf_event_open, open_by_handle_at, userfaultfd, io_uring_*, *_module, kexec_*, reboot, syslog, quotactl,
acct, swapon, swapoff, clock_settime, settimeofday, iopl, ioperm, process_madvise, kcmp, lookup_dcookie, fanotify_init"""


def profile():
    """The whole filter, as runc, crun and the kubelet's Localhost profiles read it."""
    inner = json.loads(INNER.read_text())
    groups = [{"names": words.split(), "action": "SCMP_ACT_ALLOW", "comment": why} for why, words in NESTING]
    return {"comment": "Made by seccomp.py. Left out, among others: " + " ".join(LEFT_OUT.split()),
            "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1,
            # i386 and x32 as well: that a filter must look at the architecture is a lesson of chapter 7.
            "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32", "SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
            "syscalls": inner["syscalls"] + groups}


if __name__ == "__main__":
    text = json.dumps(profile(), indent=1) + "\n"
    if sys.argv[1:] == ["--write"]:
        (HERE / "seccomp.json").write_text(text)
    else:
        print(text, end="")
