"""A container on one page: python3 container.py [COMMAND ...], as root or any user."""
import ctypes
import os
import signal
import struct
import sys

CLONE_NEWNS, CLONE_NEWUTS = 0x00020000, 0x04000000  # numbers from the kernel's headers
CLONE_NEWUSER, CLONE_NEWPID = 0x10000000, 0x20000000
MS_BIND, MS_REC, MS_PRIVATE, MNT_DETACH = 0x1000, 0x4000, 0x40000, 2
AT_FDCWD, AT_RECURSIVE, PR_SET_PDEATHSIG = -100, 0x8000, 1
libc = ctypes.CDLL(None, use_errno=True)


def call(name, *args):
    """Makes a system call. Raises OSError."""
    words = [a.encode() if isinstance(a, str) else a for a in args]
    if getattr(libc, name)(*words) == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


def bind(source, target):
    """Shows a part of the host's files in the new root, read-only."""
    os.mkdir(target)
    call("mount", source, target, None, MS_BIND | MS_REC, None)
    read_only = struct.pack("4Q", 1, 0, 0, 0)  # struct mount_attr: set MOUNT_ATTR_RDONLY
    call("mount_setattr", AT_FDCWD, target, AT_RECURSIVE, read_only, len(read_only))


def new_root():
    """A root of its own: your /usr and this directory, read-only, /proc, and little else."""
    call("mount", None, "/", None, MS_REC | MS_PRIVATE, None)  # none of this shows outside
    call("mount", "tmpfs", "/tmp", "tmpfs", 0, None)
    bind("/usr", "/tmp/usr")
    bind(".", "/tmp/here")
    os.mkdir("/tmp/proc")
    call("mount", "proc", "/tmp/proc", "proc", 0, None)
    os.mkdir("/tmp/dev")
    write("/tmp/dev/null", "")
    call("mount", "/dev/null", "/tmp/dev/null", None, MS_BIND, None)
    for name in "bin", "lib", "lib64", "sbin":
        os.symlink(f"usr/{name}", f"/tmp/{name}")
    os.chdir("/tmp")
    call("pivot_root", ".", ".")      # this is the root now; the old one lies on it,
    call("umount2", ".", MNT_DETACH)  # and goes


def contain(command):
    """Runs a command in a container; returns its exit status."""
    uid, gid = os.getuid(), os.getgid()
    call("unshare", CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWPID)
    write("/proc/self/setgroups", "deny")
    write("/proc/self/uid_map", f"0 {uid} 1")  # you are root in there
    write("/proc/self/gid_map", f"0 {gid} 1")
    pid = os.fork()  # the child is process 1 of the new numbering
    if pid:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for those inside
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL)
    call("sethostname", "onepage", len("onepage"))
    new_root()
    os.execvp(command[0], command)


try:
    sys.exit(contain(sys.argv[1:] or ["sh", "+m"]))  # +m: a shell without job control
except OSError as error:
    sys.exit(f"container: {error}")
