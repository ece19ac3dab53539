"""The processors that a guest may have: what is peculiar to each, and how its programs run here.

On another processor they run in QEMU's user emulation, to which the kernel hands them by a table,
binfmt_misc. If this machine's table knows them (Debian's package enters them where systemd runs),
all is well. Else, from Linux 6.7 on, a user namespace has a table of its own: it goes with the last
process in it, and nobody else on the machine ever sees it."""
import os
import platform
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple


class Arch(NamedTuple):
    machine: str    # as the kernel and QEMU call what Debian calls by another name
    packages: str   # the kernel's, and those that make a boot loader
    console: str    # the kernel's name of the serial line
    emulated: str   # the processor that QEMU makes, if it is not this machine's own
    words: tuple    # for QEMU
    needs: dict     # what a disk and a guest of it want here, and which package has it


ARCHES = {
    "amd64": Arch("x86_64", "linux-image-amd64 grub-pc-bin grub-common", "ttyS0", "max", (),
                  {"/usr/bin/qemu-system-x86_64": "qemu-system-x86"}),
    # Max would do, too, but has much that is slow to emulate: signed pointers, long vectors.
    "arm64": Arch("aarch64", "linux-image-arm64 grub-efi-arm64-bin grub-common", "ttyAMA0",
                  "cortex-a72", ("-machine", "virt,gic-version=max",
                                 "-bios", "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd"),
                  {"/usr/bin/qemu-system-aarch64": "qemu-system-arm",
                   "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd": "qemu-efi-aarch64",
                   "/usr/bin/mcopy": "mtools"}),
}
HERE = {it.machine: arch for arch, it in ARCHES.items()}.get(platform.machine())
TABLE = Path("/proc/sys/fs/binfmt_misc")
APART = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
ALONE = [*APART, "--mount-proc"]
DEVICES = (("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9),
           ("tty", 5, 0), ("console", 5, 1), ("ptmx", 5, 2))
# The ids come from outside: only so may they be more than one. With them the shell's next program
# gains capabilities, for which the kernel forgets that it should end with its parent.
ENTER = """until [ -n "$(cat /proc/self/gid_map)" ]; do sleep 0.05; done
mount -t proc proc /proc
mount -t binfmt_misc none /proc/sys/fs/binfmt_misc
cat "$0" >/proc/sys/fs/binfmt_misc/register
export container=lxc  # where debootstrap takes the devices that are there
exec setpriv --pdeathsig KILL "$@"
"""


def entry(arch):
    """What the package of the user emulation says to the kernel's table."""
    return Path(f"/usr/lib/binfmt.d/qemu-{ARCHES[arch].machine}.conf")


def known(arch):
    """Whether this machine's table has it, so that it holds in a chroot, too (flag F)."""
    try:
        lines = (TABLE / f"qemu-{ARCHES[arch].machine}").read_text().splitlines()
    except OSError:
        return False
    return "enabled" in lines and any(line.startswith("flags:") and "F" in line for line in lines)


def missing(arch):
    """The packages without which neither a disk nor a guest can be."""
    needs = dict(ARCHES[arch].needs)
    if arch != HERE:
        needs[entry(arch)] = "qemu-user-static"
    return {package for path, package in needs.items() if not os.path.exists(path)}


def apart(arch):
    """The words before a command that runs programs for a processor and leaves nothing behind."""
    if arch == HERE or known(arch):
        return ALONE
    return [sys.executable, "-I", __file__, arch]


def runs(arch):
    """Whether programs for it can be run at all."""
    return arch == HERE or known(arch) or not subprocess.run(
        [*apart(arch), "true"], stdin=subprocess.DEVNULL, capture_output=True).returncode


def make_devices(folder):
    """Which root in a user namespace may not. They are for maintainers' scripts."""
    folder.mkdir(parents=True)
    for name, major, minor in DEVICES:
        os.mknod(folder / name, 0o600 | stat.S_IFCHR, os.makedev(major, minor))
        (folder / name).chmod(0o666)


def give_ids(pid):
    """Once a process is in a user namespace of its own: all ids that we have, each as itself."""
    ours = os.readlink("/proc/self/ns/user")
    while os.readlink(f"/proc/{pid}/ns/user") == ours:
        time.sleep(0.01)
    for ids in "uid_map", "gid_map":
        lines = Path("/proc/self", ids).read_text().splitlines()
        Path(f"/proc/{pid}/{ids}").write_text("".join(
            f"{first} {first} {count}\n" for first, _, count in map(str.split, lines)))


if __name__ == "__main__":
    pid = os.getpid()
    if os.fork() == 0:
        try:
            give_ids(pid)
        except OSError as error:
            print(error, file=sys.stderr, flush=True)
            os.kill(pid, signal.SIGKILL)  # which would wait for ever
        finally:
            os._exit(0)
    words = [*APART, "--user", "sh", "-ec", ENTER, str(entry(sys.argv[1])), *sys.argv[2:]]
    os.execvp(words[0], words)
