"""The tables of chapter 6: what each capability opens in a container, by trying it with and without.

Without the filter, which refuses some of these calls itself; with all other layers.
"""
import os
import re
from pathlib import Path

import pytest

CHAPTER = Path(__file__).resolve().parents[2] / "chapters" / "06-caps.md"
HEAD = """
import ctypes, errno, fcntl, os, resource, signal, socket, struct, sys, time
libc = ctypes.CDLL(None, use_errno=True)
M = os.uname().machine
def call(name, *args):
    if getattr(libc, name)(*args) < 0:
        raise OSError(ctypes.get_errno(), name)
def number(n, *args):
    call("syscall", n, *args)
"""
# name -> what it needs that capability for: runs to its end, or raises OSError
TRIES = {
    "SYS_ADMIN": "call('sethostname', b'x', 1)",
    "NET_ADMIN": "fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sH22x', b'lo', 0))",
    "NET_RAW": "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)",
    "SYS_PTRACE": "pid = os.fork()\nif not pid:\n    libc.prctl(4, 0, 0, 0, 0); time.sleep(1); os._exit(0)\n"
                  "time.sleep(0.3); os.readlink(f'/proc/{pid}/exe')",
    "DAC_OVERRIDE": "open('/tmp/f', 'w'); os.chmod('/tmp/f', 0); open('/tmp/f', 'a')",
    "DAC_READ_SEARCH": "open('/tmp/f', 'w'); os.chmod('/tmp/f', 0); open('/tmp/f')",
    "CHOWN": "open('/tmp/f', 'w'); os.chown('/tmp/f', 33, 33)",
    "FOWNER": "os.chmod('/x/theirs', 0o600)",
    "SETUID": "os.setuid(33)", "SETGID": "os.setgid(33)",
    "SETPCAP": "call('prctl', 24, 0, 0, 0, 0)",
    "SETFCAP": "open('/tmp/f', 'w'); os.setxattr('/tmp/f', 'security.capability', struct.pack('<5I', 0x2000001, 1, 0, 0, 0))",
    "SYS_CHROOT": "os.chroot('/tmp')",
    "SYS_BOOT": "number({'x86_64': 169}.get(M, 142), 0xfee1dead, 672274793, 0x1234567, 0)",
    "NET_BROADCAST": "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).setsockopt(270, 8, 1)",
    "CHECKPOINT_RESTORE": "tid = (ctypes.c_int * 1)(77)\n"
                          "number(435, struct.pack('11Q', 0, 0, 0, 0, 17, 0, 0, 0, ctypes.addressof(tid), 1, 0), 88)",
    # of the first user namespace
    "SYS_MODULE": "number({'x86_64': 175}.get(M, 105), b'x' * 100, 100, b'')",
    "SYS_RAWIO": "open('/proc/self/pagemap', 'rb').read(8); open('/dev/mem', 'rb') if M != 'x86_64' else call('iopl', 3)",
    "MKNOD": "os.mknod('/tmp/d', 0o20666, os.makedev(1, 3))",
    "SYS_TIME": "time.clock_settime(time.CLOCK_REALTIME, time.time())",
    "SYS_TTY_CONFIG": "call('vhangup')",
    "WAKE_ALARM": "call('timerfd_create', 9, 0)",
    "SYS_PACCT": "call('acct', None)",
    "SYSLOG": "call('klogctl', 5, None, 0)",
    "AUDIT_CONTROL": "s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 9); s.settimeout(1)\n"
                     "s.send(struct.pack('IHHII', 16, 1000, 5, 1, 0)); e = struct.unpack_from('i', s.recv(999), 16)[0]\n"
                     "if e < 0: raise OSError(-e, 'audit')",
    "BPF": "number({'x86_64': 321}.get(M, 280), 5, struct.pack('IIQQIIQII', 1, 2, 0, 0, 0, 0, 0, 0, 0), 48)",
    "PERFMON": "number({'x86_64': 298}.get(M, 241), struct.pack('IIQQQQQQQQQQQQ', 1, 112, *[0] * 12), -1, 0, -1, 0)",
    "IPC_LOCK": "import mmap; m = mmap.mmap(-1, 16 << 20); call('mlock', ctypes.byref(ctypes.c_char.from_buffer(m)), "
                "ctypes.c_size_t(16 << 20))",
    "SYS_RESOURCE": "resource.setrlimit(resource.RLIMIT_NOFILE, (1000, 1000))",
    "LINUX_IMMUTABLE": "f = open('/tmp/f', 'w'); fcntl.ioctl(f, 0x40086602, struct.pack('q', 0x10))",
    "LEASE": "f = open('/bin/sh'); fcntl.fcntl(f, fcntl.F_SETLEASE, fcntl.F_RDLCK)",
    "SYS_NICE": "os.setpriority(os.PRIO_PROCESS, 0, -5)",
    "NET_BIND_SERVICE": "socket.socket().bind(('127.0.0.1', 80))",
}


def outcome(root, name, folder, *options):
    """What came of a try: "done", or the errno; a status, if it ended otherwise."""
    script = f"{HEAD}\ntry:\n" + "".join(f"    {line}\n" for line in TRIES[name].splitlines()) + \
        "except OSError as error: print(errno.errorcode[error.errno])\nexcept ValueError as error: print(error)\n" \
        "else: print('done')"
    add = ["-a", f"{folder}:/x"] if name == "FOWNER" else []  # where owners are shifted, SETFCAP is withheld
    result = root.crabcan("run", "--layers", "all,-seccomp", *add, *options, "--", "/usr/bin/python3", "-c", script)
    return result.stdout.split()[0] if result.stdout else result.returncode


def table(heading):
    """The capabilities in the first column of the table below a heading of the chapter."""
    text = CHAPTER.read_text().split(heading)[1]
    rows = re.search(r"\n\|.*?\n\|[-|]+\n(.*?)\n\n", text, re.S)[1]
    return {name for row in rows.splitlines() for name in re.findall(r"[A-Z_]{3,}", row.split("|")[1])}


@pytest.fixture
def theirs(root, folder):
    """A directory with a file of somebody else's in the container."""
    (folder / "theirs").touch()
    os.chown(folder / "theirs", 33, 33)
    return folder


@pytest.mark.parametrize("name", TRIES)
def test_a_capability_opens_what_the_chapter_says(root, theirs, name):
    without, given = outcome(root, name, theirs), outcome(root, name, theirs, "--cap-add", name)
    matters = without != given
    assert matters == (name in table("Would still do harm inside")), (without, given)
    assert matters != (name in table("*first* user namespace")), (without, given)


def test_reboot_ends_the_container_only(root, theirs):
    assert outcome(root, "SYS_BOOT", theirs, "--cap-add", "SYS_BOOT") == 129


def test_each_capability_of_this_kernel_is_in_a_table():
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    from crabcan_steps.ch06_caps import KNOWN
    told = table("Would still do harm inside") | table("*first* user namespace")
    assert {name for name, value in KNOWN.items() if value <= last} == told
