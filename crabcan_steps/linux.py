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

from .numbers import *  # noqa: F403: linux.CLONE_NEWPID, ...: they belong to the calls

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
            e.call, error = getattr(function, "call", function.__name__), e.errno
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
setgroups, setresuid, setresgid, setsid, umask, execve, kill = map(
    system_call, (os.setgroups, os.setresuid, os.setresgid, os.setsid, os.umask, os.execve, os.kill))
ioctl = system_call(fcntl.ioctl)
memfd_create, pidfd_open, pipe2, sendfile, dup2, set_inheritable = map(
    system_call, (os.memfd_create, os.pidfd_open, os.pipe2, os.sendfile, os.dup2, os.set_inheritable))
# A story of the isolation is better told without these.
chmod, fchown, fstat, getcwd, listdir, lstat, readlink, scandir, uname, urandom, waitid = map(
    quiet, (os.chmod, os.fchown, os.fstat, os.getcwd, os.listdir, os.lstat,
            os.readlink, os.scandir, os.uname, os.urandom, os.waitid))
flock, getrlimit, posix_spawn, waitpid = map(quiet, (fcntl.flock, resource.getrlimit, os.posix_spawn, os.waitpid))
sigaction, pthread_sigmask = quiet(_signal.signal), quiet(_signal.pthread_sigmask)
pidfd_send_signal = system_call(_signal.pidfd_send_signal)


@quiet
def read(path, text=True):
    """Reads a whole file: text, or bytes."""
    try:
        with io.open(path, "rb", 0) as file:
            data = file.read()
            return os.fsdecode(data) if text else data  # names in it may be anything
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
def fork(cgroup=None):
    """Starts a copy of us, born in a cgroup of version 2 if a descriptor of one is given (clone(2))."""
    if cgroup is None:
        return os.fork()
    return raw_call("clone3", struct.pack("11Q", CLONE_INTO_CGROUP, 0, 0, 0, SIGCHLD, 0, 0, 0, 0, 0, cgroup), 88)


@system_call
def socket(domain, kind, protocol=0):
    """Makes a socket; returns its descriptor. (Python's own socket module takes 3 ms to import.)"""
    return libc_call("socket", domain, kind | SOCK_CLOEXEC, protocol)


@system_call
def socketpair(domain, kind):
    """Two sockets that talk to each other, as unbuffered files: a read is one message."""
    pair = (ctypes.c_int * 2)()
    libc_call("socketpair", domain, kind | SOCK_CLOEXEC, 0, pair)
    return tuple(io.FileIO(fd, "r+") for fd in pair)


def through(call):
    """Has errors name the kernel's call, where ours is named after what is done with it."""
    def mark(function):
        function.call = call
        return function
    return mark


@system_call
@through("write")
def send(socket, word):
    """Says a word to whoever has the other end of a socket."""
    socket.write(word)


@system_call
@through("read")
def recv(socket, size):
    """Waits for the other end's next word; b"" if nobody has it any more."""
    return socket.read(size)


@system_call
def close(file):
    """Closes a descriptor, or a file that owns one."""
    file.close() if isinstance(file, io.FileIO) else os.close(file)


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
def mount_setattr(path, flags, attr_set=0, propagation=0, userns_fd=0, dir_fd=AT_FDCWD, attr_clr=0):
    """Changes a mount's attributes, propagation or id mapping."""
    arguments = struct.pack("4Q", attr_set, attr_clr, propagation, userns_fd)
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
    libc_call("fsconfig", fs, command, key and key.encode(), value and value.encode(), 0, about=key)


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
def seccomp(operation, flags, program):
    """Loads a filter, or asks about one; returns the descriptor of whoever decides, if flags say so."""
    return raw_call("seccomp", operation, flags, program)


@system_call
def set_mempolicy(mode, nodes):
    """Says from which memory nodes the caller's memory comes; nodes is a bit mask, as bytes."""
    most = 8 * len(nodes) + 1 if nodes else 0  # the kernel leaves out the last
    raw_call("set_mempolicy", mode, nodes or 0, most)


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


# What only chapter 10 needs: other processes' namespaces, devices, and who waits for whom.

@system_call
def setns(fd, kinds):
    """Joins the namespace behind a descriptor, or of a process (a pidfd) those of these kinds."""
    libc_call("setns", fd, kinds)


@system_call
def mknod(name, mode, device, dir_fd):
    """Makes a device or a FIFO."""
    os.mknod(name, mode, device, dir_fd=dir_fd)


@system_call
def personality(persona):
    """Sets the execution domain."""
    libc_call("personality", ctypes.c_ulong(persona))


@system_call
def setdomainname(name):
    """Sets the NIS domain name of the caller's UTS namespace."""
    libc_call("setdomainname", name.encode(), len(name.encode()))


chroot, sched_setaffinity, prlimit = map(
    system_call, (os.chroot, os.sched_setaffinity, resource.prlimit))


@system_call
def sched_setattr(attributes):
    """Sets the caller's scheduling policy, from a struct sched_attr."""
    raw_call("sched_setattr", 0, attributes, 0)


@system_call
def ioprio_set(priority):
    """Sets the caller's priority for input and output."""
    raw_call("ioprio_set", 1, 0, priority)  # IOPRIO_WHO_PROCESS


@quiet
def capget():
    """(effective, permitted, inheritable) of the caller, each an integer with a bit a capability."""
    data = ctypes.create_string_buffer(24)
    libc_call("capget", struct.pack("Ii", LINUX_CAPABILITY_VERSION_3, 0), data)
    words = struct.unpack("6I", data)
    return tuple(words[i] | words[i + 3] << 32 for i in range(3))


@system_call
def accept(listener):
    """Takes the next connection of a listening socket, as an unbuffered file."""
    return io.FileIO(libc_call("accept4", listener, None, None, SOCK_CLOEXEC), "r+")


DEFAULTS = tuple(valid_signals() - {SIGKILL, SIGSTOP})  # what posix_spawn is to set to the default


# Chapter 10's cgroups, and mounts that it must find again.
STATX_MNT_ID, STATX_MNT_ID_UNIQUE = 0x1000, 0x4000  # <linux/stat.h>
eventfd, chown = quiet(os.eventfd), quiet(os.chown)


@quiet
def bpf(command, attributes):
    """Does something with eBPF programs; attributes are the bytes of a union bpf_attr.

    Returns the result, and the attributes as the kernel has changed them."""
    union = ctypes.create_string_buffer(attributes, len(attributes))
    return raw_call("bpf", command, ctypes.addressof(union), len(attributes)), union.raw


@quiet
def mount_ids(fd):
    """The numbers of the mount that a descriptor is on (statx(2)): one that no other mount will have, where
    the kernel is 6.8 or younger, and that of mountinfo, which is given again when a mount has gone."""
    found, numbers = ctypes.create_string_buffer(256), []
    for mask in (STATX_MNT_ID_UNIQUE, STATX_MNT_ID):
        libc_call("statx", fd, b"", AT_EMPTY_PATH, mask, found)
        numbers += struct.unpack_from("Q", found, 144)  # stx_mnt_id
    return numbers


@quiet
def fstatfs(fd):
    """Of which kind the file system behind a descriptor is (f_type in statfs(2))."""
    found = ctypes.create_string_buffer(256)
    libc_call("fstatfs", fd, found)
    return struct.unpack_from("l", found)[0]


@quiet
def inotify_init1(flags):
    """A descriptor that tells of changes to files."""
    return libc_call("inotify_init1", flags)


@quiet
def inotify_add_watch(fd, path, mask):
    """Asks to be told of changes to a file; returns the watch's number."""
    return libc_call("inotify_add_watch", fd, os.fsencode(path), mask, about=path)


# Chapter 12's overlays: fsopen cannot take the long list of layers before Linux 6.8.

@system_call
def mount(source, target, fstype, flags, data):
    """Mounts a file system, with its settings as one text."""
    libc_call("mount", source.encode(), os.fsencode(target), fstype.encode(), ctypes.c_ulong(flags),
              data.encode(), about=target)
