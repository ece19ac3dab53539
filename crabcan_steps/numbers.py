"""The kernel's numbers, by the names that its headers have for them. linux.py takes them all."""
import os

CLONE_NEWTIME, CLONE_PIDFD = 0x00000080, 0x00001000  # <linux/sched.h>
CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS = 0x00020000, 0x02000000, 0x04000000
CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID = 0x08000000, 0x10000000, 0x20000000
CLONE_NEWNET, CLONE_INTO_CGROUP = 0x40000000, 0x200000000
AT_FDCWD, AT_EMPTY_PATH, AT_RECURSIVE = -100, 0x1000, 0x8000  # <linux/fcntl.h>
OPEN_TREE_CLONE, OPEN_TREE_CLOEXEC, FSMOUNT_CLOEXEC = 1, os.O_CLOEXEC, 1  # <linux/mount.h>
MOVE_MOUNT_EMPTY_PATHS = 0x04 | 0x40
MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NODEV, MOUNT_ATTR_NOEXEC = 1, 2, 4, 8
MOUNT_ATTR_IDMAP = 0x00100000
MS_PRIVATE, MNT_DETACH, UMOUNT_NOFOLLOW = 1 << 18, 2, 8
FSCONFIG_SET_FLAG, FSCONFIG_SET_STRING, FSCONFIG_CMD_CREATE = 0, 1, 6
RESOLVE_NO_XDEV, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS = 0x01, 0x02, 0x04  # <linux/openat2.h>
RESOLVE_BENEATH, RESOLVE_IN_ROOT = 0x08, 0x10
CLOSE_RANGE_CLOEXEC, LAST_FD = 4, 0xFFFFFFFF
PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_CAPBSET_DROP = 1, 22, 24  # <linux/prctl.h>
PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 38, 47, 4
PR_SET_DUMPABLE, PR_SET_KEEPCAPS, PR_SET_NAME, PR_CAP_AMBIENT_RAISE = 4, 8, 15, 2
SECCOMP_MODE_FILTER = 2
KEYCTL_JOIN_SESSION_KEYRING = 1  # <linux/keyctl.h>
LINUX_CAPABILITY_VERSION_3 = 0x20080522

# What we are made for. Below setarch(8), or with linux.personality, uname(2) tells of the 32 bits of old.
MACHINE = {"i686": "x86_64", "armv8l": "aarch64"}.get(os.uname().machine, os.uname().machine)

# Calls that glibc has no function for, and calls that libseccomp may be too old to know. All but
# the first are young enough to have the same number on every architecture.
NUMBERS = {
    "keyctl": {"x86_64": 250}.get(MACHINE, 219), "ioprio_set": {"x86_64": 251}.get(MACHINE, 30),
    "seccomp": {"x86_64": 317}.get(MACHINE, 277), "set_mempolicy": {"x86_64": 238}.get(MACHINE, 237),
    "sched_setattr": {"x86_64": 314}.get(MACHINE, 274), "bpf": {"x86_64": 321}.get(MACHINE, 280),
    "clone3": 435, "openat2": 437,
    "cachestat": 451, "fchmodat2": 452, "map_shadow_stack": 453,
    "futex_wake": 454, "futex_wait": 455, "futex_requeue": 456,
    "lsm_get_self_attr": 459, "lsm_set_self_attr": 460, "lsm_list_modules": 461,
    "mseal": 462, "setxattrat": 463, "getxattrat": 464, "listxattrat": 465, "removexattrat": 466}

AF_UNIX, AF_INET, SOCK_DGRAM, SOCK_SEQPACKET = 1, 2, 2, 5  # <bits/socket.h>
SOCK_CLOEXEC, SOCK_NONBLOCK, SOL_SOCKET, SCM_RIGHTS = os.O_CLOEXEC, os.O_NONBLOCK, 1, 1
