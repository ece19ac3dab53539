"""The kernel's own calls, one thin function each, named as in the manual pages (section 2).

Nothing here decides anything. A call that fails raises OSError with its errno, its text and
the path that it was about, and `error.call` names the call: enough to explain it to a reader.
"""
import ctypes
import fcntl
import io
import os
import resource
import struct
import time
import _signal  # what `signal` is made of. That makes enums of all constants first, for 4 ms
from _signal import (SIGALRM, SIGCHLD, SIGCONT, SIGHUP, SIGINT, SIGKILL, SIGPIPE, SIGQUIT, SIGSTOP,
                     SIGTERM, SIGTSTP, SIGTTOU, SIGUSR1, SIGUSR2, SIGWINCH)
from _signal import (SIG_BLOCK, SIG_DFL, SIG_IGN, SIG_SETMASK, SIG_UNBLOCK, alarm, getsignal,
                     valid_signals)

CLONE_NEWTIME, CLONE_PIDFD = 0x00000080, 0x00001000  # <linux/sched.h>
CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS = 0x00020000, 0x02000000, 0x04000000
CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID = 0x08000000, 0x10000000, 0x20000000
CLONE_NEWNET, CLONE_INTO_CGROUP = 0x40000000, 0x200000000
AT_FDCWD, AT_EMPTY_PATH, AT_RECURSIVE = -100, 0x1000, 0x8000  # <linux/fcntl.h>
OPEN_TREE_CLONE, OPEN_TREE_CLOEXEC, FSMOUNT_CLOEXEC = 1, os.O_CLOEXEC, 1  # <linux/mount.h>
MOVE_MOUNT_EMPTY_PATHS = 0x04 | 0x40
MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NODEV, MOUNT_ATTR_NOEXEC = 1, 2, 4, 8
MOUNT_ATTR_IDMAP = 0x00100000
MS_PRIVATE, MNT_DETACH = 1 << 18, 2
FSCONFIG_SET_FLAG, FSCONFIG_SET_STRING, FSCONFIG_CMD_CREATE = 0, 1, 6
RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS = 0x02, 0x04  # <linux/openat2.h>
RESOLVE_BENEATH, RESOLVE_IN_ROOT = 0x08, 0x10
CLOSE_RANGE_CLOEXEC, LAST_FD = 4, 0xFFFFFFFF
PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_CAPBSET_DROP = 1, 22, 24  # <linux/prctl.h>
PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 38, 47, 4
PR_SET_DUMPABLE, PR_SET_KEEPCAPS, PR_SET_NAME, PR_CAP_AMBIENT_RAISE = 4, 8, 15, 2
SECCOMP_MODE_FILTER = 2
KEYCTL_JOIN_SESSION_KEYRING = 1  # <linux/keyctl.h>
LINUX_CAPABILITY_VERSION_3 = 0x20080522

# Calls that glibc has no function for, and calls that libseccomp may be too old to know. All but
# one are young enough to have the same number on every architecture.
NUMBERS = {"keyctl": {"x86_64": 250}.get(os.uname().machine, 219), "clone3": 435, "openat2": 437, "cachestat": 451, "fchmodat2": 452,
           "map_shadow_stack": 453, "futex_wake": 454, "futex_wait": 455, "futex_requeue": 456,
           "lsm_get_self_attr": 459, "lsm_set_self_attr": 460, "lsm_list_modules": 461,
           "mseal": 462, "setxattrat": 463, "getxattrat": 464, "listxattrat": 465,
           "removexattrat": 466}

AF_UNIX, AF_INET, SOCK_DGRAM, SOCK_SEQPACKET = 1, 2, 2, 5  # <bits/socket.h>
SOCK_CLOEXEC, SOL_SOCKET, SCM_RIGHTS = os.O_CLOEXEC, 1, 1

libc = ctypes.PyDLL(None, use_errno=True)  # PyDLL: keeps Python's lock, which clone3 relies on
observer = None  # who records sees each call: observer(call, args, options, result, errno, µs)


def system_call(function, shown=True):
    """Makes a function name itself in its errors and, if it is shown, tell the observer."""
    def call(*args, **options):
        begin, result, error = time.perf_counter_ns(), None, 0
        try:
            result = function(*args, **options)
            return result
        except OSError as e:
            e.call, error = function.__name__, e.errno
            raise
        finally:
            if observer and shown:
                microseconds = (time.perf_counter_ns() - begin) // 1000
                observer(function.__name__, args, options, result, error, microseconds)
    call.__name__, call.__doc__ = function.__name__, function.__doc__
    return call


def quiet(function):
    """Makes a function name itself in its errors only: it looks, waits or tidies up."""
    return system_call(function, shown=False)


def libc_call(name, *args, about=None):
    """Calls libc; turns its -1 into an OSError about a path."""
    result = getattr(libc, name)(*args)
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), about)
    return result


def raw_call(name, *args, about=None):
    """Calls the kernel by number, past libc."""
    words = [a if isinstance(a, bytes) else ctypes.c_long(a) for a in args]
    return libc_call("syscall", ctypes.c_long(NUMBERS[name]), *words, about=about)


# What the standard library has already.
chdir, fchdir, mkdir, open, rmdir, stat, symlink = map(system_call, (
    os.chdir, os.fchdir, os.mkdir, os.open, os.rmdir, os.stat, os.symlink))
fork, setgroups, setresuid, setresgid, setsid, umask, execve, kill = map(
    system_call, (os.fork, os.setgroups, os.setresuid, os.setresgid, os.setsid, os.umask, os.execve,
                  os.kill))
ioctl = system_call(fcntl.ioctl)
memfd_create, sendfile = map(system_call, (os.memfd_create, os.sendfile))
# A story of the isolation is better told without these.
chmod, close, dup2, fchown, fstat, getcwd, listdir, lstat, readlink, scandir, uname, urandom, waitid = map(
    quiet, (os.chmod, os.close, os.dup2, os.fchown, os.fstat, os.getcwd, os.listdir, os.lstat,
            os.readlink, os.scandir, os.uname, os.urandom, os.waitid))
flock, getrlimit, posix_spawn, waitpid = map(quiet, (fcntl.flock, resource.getrlimit, os.posix_spawn, os.waitpid))
sigaction, pthread_sigmask = quiet(_signal.signal), quiet(_signal.pthread_sigmask)
pidfd_send_signal = system_call(_signal.pidfd_send_signal)


@quiet
def read(path, text=True):
    """Reads a whole file: text, or bytes."""
    try:
        with io.open(path, "r" if text else "rb") as file:
            return file.read()
    except OSError as e:
        raise OSError(e.errno, e.strerror, path) from None


@quiet
def poll(poller, timeout=None):
    """Waits until a descriptor of a select.poll() has something to say, or for so many ms."""
    return poller.poll(timeout)


@system_call
def setrlimit(kind, limits):
    """Limits a resource; limits are (soft, hard)."""
    libc_call("setrlimit", kind, struct.pack("2q", *limits))


@system_call
def write(path, text, flags=os.O_WRONLY, mode=0o644, dir_fd=None):
    """Writes text to a file in one go, as the kernel's own files want it."""
    fd = os.open(path, flags | os.O_CLOEXEC, mode, dir_fd=dir_fd)
    try:
        if os.write(fd, text.encode()) != len(text.encode()):
            raise OSError(5, "written only in part", path)  # EIO
    except OSError as e:
        raise OSError(e.errno, e.strerror, path) from None
    finally:
        os.close(fd)


@system_call
def clone3(flags, cgroup=0):
    """Starts a child in new namespaces; returns (0, None) in it, its pid and pidfd to us."""
    pidfd = ctypes.c_int(-1)
    fields = (flags | CLONE_PIDFD, ctypes.addressof(pidfd), 0, 0, SIGCHLD, 0, 0, 0, 0, 0, cgroup)
    pid = raw_call("clone3", struct.pack("11Q", *fields), 88)
    return (pid, pidfd.value) if pid else (0, None)


@system_call
def socket(domain, kind):
    """Makes a socket; returns its descriptor. (Python's own socket module takes 3 ms to import.)"""
    return libc_call("socket", domain, kind | SOCK_CLOEXEC, 0)


@system_call
def socketpair(domain, kind):
    """Two sockets that talk to each other, as unbuffered files: a read is one message."""
    pair = (ctypes.c_int * 2)()
    libc_call("socketpair", domain, kind | SOCK_CLOEXEC, 0, pair)
    return tuple(io.FileIO(fd, "r+") for fd in pair)


@system_call
def unshare(flags):
    """Moves the caller into new namespaces."""
    libc_call("unshare", flags)


@system_call
def sethostname(name):
    """Sets the host name of the caller's UTS namespace."""
    libc_call("sethostname", name.encode(), len(name.encode()))


@system_call
def open_tree(path, flags, dir_fd=AT_FDCWD):
    """Opens a mount or, with OPEN_TREE_CLONE, a new one of the same files, not yet attached."""
    return libc_call("open_tree", dir_fd, os.fsencode(path), flags | OPEN_TREE_CLOEXEC, about=path)


@system_call
def mount_setattr(path, flags, attr_set=0, propagation=0, userns_fd=0, dir_fd=AT_FDCWD):
    """Changes a mount's attributes, propagation or id mapping."""
    arguments = struct.pack("4Q", attr_set, 0, propagation, userns_fd)
    libc_call("mount_setattr", dir_fd, os.fsencode(path), flags, arguments, 32, about=path or None)


@system_call
def move_mount(from_fd, to_fd):
    """Attaches a mount to a place, both given as descriptors."""
    libc_call("move_mount", from_fd, b"", to_fd, b"", MOVE_MOUNT_EMPTY_PATHS)


@system_call
def fsopen(fstype):
    """Begins a new file system."""
    return libc_call("fsopen", fstype.encode(), 1, about=fstype)  # FSOPEN_CLOEXEC


@system_call
def fsconfig(fs, command, key=None, value=None):
    """Sets an option of a file system begun by fsopen, or creates it."""
    words = [word and word.encode() for word in (key, value)]
    libc_call("fsconfig", fs, command, *words, 0, about=key)


@system_call
def fsmount(fs, attributes):
    """Makes a file system created by fsconfig a mount, not yet attached."""
    return libc_call("fsmount", fs, FSMOUNT_CLOEXEC, attributes)


@system_call
def openat2(dir_fd, path, flags, resolve):
    """Opens a path with rules for what may happen on the way to it."""
    how = struct.pack("3Q", flags | os.O_CLOEXEC, 0, resolve)
    for attempt in range(1000):
        try:
            return raw_call("openat2", dir_fd, os.fsencode(path), how, 24, about=path)
        except BlockingIOError:  # EAGAIN: something was renamed just now, and ".." might lead out
            if attempt == 999:
                raise


@system_call
def pivot_root(new_root, put_old):
    """Makes new_root the root, and moves the old root to put_old."""
    libc_call("pivot_root", new_root.encode(), put_old.encode(), about=new_root)


@system_call
def umount2(path, flags):
    """Detaches a mount."""
    libc_call("umount2", path.encode(), flags, about=path)


@system_call
def close_range(first, last, flags=0):
    """Closes all descriptors from first to last, or marks them close-on-exec."""
    libc_call("close_range", ctypes.c_uint(first), ctypes.c_uint(last), flags)


@system_call
def prctl(option, *args):
    """Changes a property of the caller."""
    words = [ctypes.c_ulong(a) for a in (*args, 0, 0, 0, 0)[:4]]
    libc_call("prctl", option, *words)


@system_call
def keyctl(operation, *args):
    """Asks for something about keys and key rings."""
    return raw_call("keyctl", operation, *args)


@system_call
def capset(effective, permitted, inheritable):
    """Sets three of the five capability sets, each an integer with a bit a capability."""
    header = struct.pack("Ii", LINUX_CAPABILITY_VERSION_3, 0)
    sets = (effective, permitted, inheritable)
    data = struct.pack("6I", *(s & 0xFFFFFFFF for s in sets), *(s >> 32 for s in sets))
    libc_call("capset", header, data)


@system_call
def signalfd(signals):
    """Returns a descriptor to read these (blocked) signals from."""
    mask = sum(1 << (number - 1) for number in signals)
    return libc_call("signalfd", -1, struct.pack("16Q", mask, *[0] * 15), os.O_CLOEXEC)
