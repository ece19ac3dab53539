"""The command as something to execute: made ready beforehand, and explained if it won't start."""
import errno
import os
import stat

from .. import linux

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SHELLS = ("/bin/bash", "/bin/sh")
HEAD = 2048  # bytes of a program that would not start: enough to see why
HINTS = {
    errno.E2BIG: ": one argument or variable of the environment may have 128 KiB, all of them 2 MiB",
}
LOOK_FURTHER = (errno.ENOENT, errno.ENOTDIR, errno.EACCES)  # in the other directories of PATH
MACHINES = {3: "i386", 40: "arm", 62: "x86_64", 183: "aarch64", 243: "riscv64"}  # <elf.h>, EM_*


class Program:
    """All that execve needs, looked up and encoded: what runs after the change of root only calls."""

    def __init__(self, command, environment):
        if not command:
            paths = SHELLS
        elif "/" in command[0]:
            paths = command[:1]
        else:
            paths = [f"{folder}/{command[0]}" for folder in environment.get("PATH", PATH).split(":")]
        self.name = command[0] if command else SHELLS[-1]
        self.paths = [os.fsencode(path) for path in paths]
        self.argv = [os.fsencode(word) for word in command]
        self.env = {os.fsencode(k): os.fsencode(v) for k, v in environment.items()}

    def clear(self):
        """Lets nothing of ours reach the program: mask and signals. (Descriptors: see chapter 2.)"""
        linux.umask(0o022)
        for number in linux.valid_signals() - {linux.SIGKILL, linux.SIGSTOP}:
            linux.sigaction(number, linux.SIG_DFL)  # what Python ignores would stay ignored
        linux.pthread_sigmask(linux.SIG_SETMASK, ())

    def execute(self):
        """Becomes the program. Raises OSError; its `head` is the start of a file that is there."""
        failure = None
        for path in self.paths:
            try:
                linux.execve(path, self.argv or [path], self.env)
            except OSError as error:
                error.head = obstacle(path) if error.errno == errno.EACCES else head(path)
                error.filename = path
                if failure is None or error.head and not failure.head:
                    failure = error
                if error.errno not in LOOK_FURTHER:
                    break
        if not failure.head:
            failure.filename = self.name
        raise failure


def head(path):
    """The first bytes of a file; b"?" if it cannot be read, b"" if there is none."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        return b"" if error.errno in (errno.ENOENT, errno.ENOTDIR) else b"?"
    try:
        return os.read(fd, HEAD) or b"?"
    except OSError:
        return b"?"  # a directory, say
    finally:
        os.close(fd)


def obstacle(path):
    """Why a file may not be executed, behind b"?"; b"" if there is none."""
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            return b"?it is a directory"
        if os.statvfs(path).f_flag & os.ST_NOEXEC:
            return b"?its file system is mounted noexec"
        if not mode & 0o111:
            return b"?it has no execute permission (chmod +x)"
    except FileNotFoundError:
        return b""
    except OSError:
        pass
    return b"?it, what it is started by, or a directory on the way is closed to this user"


def explain(number, about, start):
    """Exit status and one line about a program that would not start (127: not found, 126: else)."""
    if not start:
        return 127, f"{about}: command not found in the container"
    loader = wants(start)
    if loader and loader.endswith("\r"):
        return 127, (f"{about}: its first line ends with a carriage return (CR), as files made on Windows "
                     f"do, and nobody is called {loader!r}: sed -i 's/\\r$//' takes them out")
    if number == errno.ENOENT and loader:
        there = os.path.dirname(loader).rstrip("/") or loader
        return 127, (f"{about}: is there, but its loader {loader} is not: "
                     f"add it, for example --add {there}:{there}")
    if number == errno.ENOEXEC:
        return 126, f"{about}: {alien(start)}"
    hint = HINTS.get(number, "")
    if number == errno.EACCES:
        hint = f": {start[1:].decode()}"
    return 126, f"{about}: cannot be executed: {os.strerror(number)}{hint}"


def wants(start):
    """The interpreter that a program asks for: after #!, or as ELF's PT_INTERP (elf(5))."""
    if start[:2] == b"#!":
        return start[2:].split(b"\n")[0].strip(b" \t").split(b" ")[0].decode(errors="replace")
    if start[:5] == b"\x7fELF\x02":
        table, size = int.from_bytes(start[32:40], "little"), 56
        for at in range(table, table + size * int.from_bytes(start[56:58], "little"), size):
            if start[at:at + 4] == b"\x03\0\0\0":  # PT_INTERP
                offset = int.from_bytes(start[at + 8:at + 16], "little")
                return start[offset:].split(b"\0")[0].decode(errors="replace")
    return None


def alien(start):
    """What a file is that the kernel cannot run."""
    if start == b"?":
        return "is empty"
    if start[:4] == b"\x7fELF":
        number = int.from_bytes(start[18:20], "little")
        return f"is for {MACHINES.get(number, 'another machine')}, and this is {os.uname().machine}"
    return "is neither a program for this machine nor a script that begins with #!"
