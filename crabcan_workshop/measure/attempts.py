"""Runs inside, after probe.py and in its process: what peers differ in and no chapter is about.

Every answer is what an attempt gave: True if it succeeded, None if it could not be tried. On the
host these are tried too, to see that they can succeed: none may do more than try.
"""
import ctypes
import fcntl
import mmap
import os
import resource
import struct
import termios

from .probe import KEYCTL, KEYCTL_GET_KEYRING_ID, SESSION_KEYRING, in_child, libc

X86 = os.uname().machine == "x86_64"
EPERM, ENOSYS, SIGCHLD = 1, 38, 17
NAMESPACES = (0x10000000, 0x20000, 0x40000000, 0x4000000)  # CLONE_NEWUSER, NEWNS, NEWNET, NEWUTS
NEW_CALLS = {"clone3": 435, "io_uring_setup": 425}  # the same number everywhere
CALLS = NEW_CALLS | (
    {"clone": 56, "bpf": 321, "userfaultfd": 323, "perf_event_open": 298, "personality": 135,
     "ptrace": 101} if X86 else
    {"clone": 220, "bpf": 280, "userfaultfd": 282, "perf_event_open": 241, "personality": 92,
     "ptrace": 117})
TIOCLINUX, TIOCSTI = 0x541C, 0x5412
PTRACE_SEIZE, ADDR_NO_RANDOMIZE = 0x4206, 0x40000
SECRETS = ("/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/sched_debug",
           "/proc/scsi/scsi", "/sys/firmware/acpi/tables/DSDT")
KNOBS = ("/proc/sys/kernel/core_pattern", "/proc/sys/vm/drop_caches", "/proc/sysrq-trigger",
         "/proc/irq/default_smp_affinity")
SYS_KNOBS = ("/sys/kernel/uevent_helper", "/sys/kernel/mm/ksm/run", "/sys/power/state",
             "/sys/devices/system/cpu/cpu1/online", "/sys/kernel/profiling")


def call(name, *words):
    """A system call; its result, or minus its errno."""
    result = libc.syscall(CALLS[name], *[ctypes.c_long(word) for word in words])
    return -ctypes.get_errno() if result == -1 else result


def reached(name, *words):
    """Tells whether a call, of whose arguments nothing good can come, gets as far as the kernel."""
    return in_child(lambda: call(name, *words) not in (-EPERM, -ENOSYS))


def opens(path, flags):
    """Opens only: nothing is written."""
    try:
        os.close(os.open(path, flags))
        return True
    except OSError:
        return False


def sees(path):
    try:
        with open(path, "rb") as file:
            return bool(file.read(1))
    except OSError:
        return False


def terminal():
    """What a program at a terminal may do with it: type, or paste if it were a console."""
    try:
        outer, inner = os.openpty()
    except OSError:
        return {"types into terminal": None, "TIOCLINUX": None}

    def types():
        os.setsid()
        fcntl.ioctl(inner, termios.TIOCSCTTY, 0)
        fcntl.ioctl(inner, TIOCSTI, b"x")
        return True

    def pastes():
        try:
            fcntl.ioctl(inner, TIOCLINUX, b"\0")
        except OSError as error:
            return error.errno not in (EPERM, ENOSYS)  # ENOTTY: asked the terminal, no console
        return True
    answers = {"types into terminal": in_child(types), "TIOCLINUX": in_child(pastes)}
    os.close(outer)
    os.close(inner)
    return answers


def makes(act):
    """Tries something with a new file's name, in the first directory that can be written."""
    for folder in ("/tmp", "/dev/shm", "/var/tmp", "/run"):
        path = f"{folder}/crabcan-attempt-{os.getpid()}"
        if os.access(folder, os.W_OK):
            done = in_child(lambda: act(path))
            if os.path.lexists(path):
                os.unlink(path)
            return done
    return None


def set_user_id(path):
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    os.chmod(path, 0o4755)
    return os.stat(path).st_mode & 0o4000


def device(path):
    os.mknod(path, 0o020600, os.makedev(1, 3))
    return opens(path, os.O_RDONLY)


def socket_of(family, kind, protocol=0):
    return in_child(lambda: libc.socket(family, kind, protocol) != -1)


def new_namespace(flag):
    """By each of the three calls that can make one."""
    def forks(result):
        if result == 0:
            os._exit(0)
        return result > 0

    def clone3():
        arguments = struct.pack("8Q", flag, 0, 0, 0, SIGCHLD, 0, 0, 0)
        block = ctypes.create_string_buffer(arguments, 64)
        return forks(call("clone3", ctypes.addressof(block), 64))
    return (in_child(lambda: libc.unshare(flag) == 0)
            or in_child(lambda: forks(call("clone", flag | SIGCHLD, 0, 0, 0, 0)))
            or in_child(clone3))


def getpid_of_i386():
    """getpid by int 0x80, the other door to the same calls."""
    code = bytes.fromhex("53 b814000000 cd80 5b c3")  # push rbx; mov eax,20; int 0x80; pop rbx; ret
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(code)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    return ctypes.CFUNCTYPE(ctypes.c_int)(address)() == os.getpid()


def inherited(device_and_inode):
    """Tells whether a descriptor of the caller's has come along."""
    for fd in range(3, 256):
        try:
            status = os.fstat(fd)
        except OSError:
            continue
        if [status.st_dev, status.st_ino] == device_and_inode:
            return True
    return False


def attempts(canary):
    umask = os.umask(0o077)
    os.umask(umask)
    attributes = ctypes.create_string_buffer(128)  # for bpf: a map of type 0 is refused
    return terminal() | {
        "keyctl": libc.syscall(KEYCTL, KEYCTL_GET_KEYRING_ID, SESSION_KEYRING, 0) != -1,
        "new namespaces": any(new_namespace(flag) for flag in NAMESPACES),
        "user namespace": new_namespace(NAMESPACES[0]),
        "i386": in_child(getpid_of_i386) if X86 else None,
        "bpf": reached("bpf", 0, ctypes.addressof(attributes), 128),
        "io_uring": reached("io_uring_setup", 1, 0),
        "userfaultfd": reached("userfaultfd", 1),  # 1: UFFD_USER_MODE_ONLY
        "perf": reached("perf_event_open", 0, 0, -1, -1, 0),
        "personality": in_child(lambda: call("personality", ADDR_NO_RANDOMIZE) >= 0),
        "traces the host": in_child(lambda: call("ptrace", PTRACE_SEIZE, canary["pid"], 0, 0) == 0),
        "secrets read": any(map(sees, SECRETS)),
        "/proc writable": any(opens(path, os.O_WRONLY) for path in KNOBS),
        "/sys writable": any(opens(path, os.O_WRONLY) for path in SYS_KNOBS),
        "set-user-ID file": makes(set_user_id),
        "device": makes(device),
        "AF_ALG": socket_of(38, 5), "AF_VSOCK": socket_of(40, 1), "AF_NETLINK": socket_of(16, 3),
        "raw packets": socket_of(17, 3),
        "umask": umask,
        "descriptor": inherited(canary["descriptor"]),
        "dumps core": resource.getrlimit(resource.RLIMIT_CORE)[1] != 0,
        "kernel log": libc.klogctl(10, None, 0) >= 0,
    }
