"""A disk that boots into a bare Debian, from Debian's packages alone: for box.py and guest.py."""
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

import boxfiles  # the files that make it a guest

SUITES = {"trixie": 13, "bookworm": 12}
TOOLS = {"debootstrap": "debootstrap", "mke2fs": "e2fsprogs", "qemu-img": "qemu-utils",
         "ssh-keygen": "openssh-client"}
SPACE = 5 << 30  # a tree, a raw disk and the box at the same time
DISK = 20 << 30  # what the guest sees; the files hold only what is used
GAP = 1 << 20    # before the first partition: room for the boot loader
# debootstrap follows no virtual packages: so dbus has to be named.
PACKAGES = """systemd-sysv systemd-resolved dbus libpam-systemd udev kmod initramfs-tools
    linux-image-amd64 grub-pc-bin grub-common sudo openssh-server ca-certificates iproute2 procps
    less nano rsync python3 man-db""".split()
LOADER = """set root=(hd0,msdos1)
linux /vmlinuz root=LABEL=root ro console=tty0 console=ttyS0 net.ifnames=0 panic=5 quiet
initrd /initrd.img
boot
"""
BEGAN = time.monotonic()


class Failure(Exception):
    """One sentence that says what is wrong, and what helps."""


def say(text):
    print(f"workshop: [{time.monotonic() - BEGAN:.0f} s] {text}", file=sys.stderr, flush=True)


def ready(folder):
    """Everything that is known to fail, before the first minute is spent."""
    if os.geteuid() != 0:
        raise Failure("debootstrap needs root: the same command again, with sudo")
    if platform.machine() != "x86_64":
        raise Failure("disks are built for amd64 only so far, and on it. On arm64 use one of the"
                      " ways without Vagrant in chapters/00-start.md")
    free = shutil.disk_usage(folder).free
    if free < SPACE:
        raise Failure(f"{folder} has {free >> 20} MiB left, and {SPACE >> 20} MiB are needed")
    missing = sorted({package for tool, package in TOOLS.items() if not shutil.which(tool)})
    if missing:
        raise Failure(f"something is missing here: apt-get install {' '.join(missing)}")


def run(*command, log, own_log=None, name=None, **more):
    if subprocess.run([str(c) for c in command], stdout=log, stderr=log, **more).returncode:
        if own_log and own_log.exists():
            log.write(own_log.read_bytes())
            log.flush()
        with open(log.name, errors="replace") as text:
            print(*text.readlines()[-12:], sep="    ", file=sys.stderr)
        raise Failure(f"{name or command[0]} failed (all of it: {log.name}). Is the network there?")


def mirror():
    """Where this machine gets Debian from, if it does; else debootstrap's own choice."""
    if not shutil.which("apt-get"):
        return []
    lines = subprocess.run(["apt-get", "indextargets", "--format", "$(REPO_URI)", "Origin: Debian",
                            "Identifier: Packages"], capture_output=True, text=True).stdout.split()
    return [uri for uri in sorted(set(lines)) if uri.rstrip("/").endswith("/debian")][:1]


def tree(root, suite, key, as_here, log):
    """The guest's files. In namespaces of its own, so that a killed debootstrap leaves nothing."""
    say(f"unpacking {len(PACKAGES)} packages of {suite} and what they need: some minutes")
    run("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
        "debootstrap", "--variant=minbase", "--include=" + ",".join(PACKAGES), suite, root,
        *mirror(), log=log, own_log=root / "debootstrap/debootstrap.log", name="debootstrap")
    boxfiles.configure(root, suite, key, as_here,
                       lambda *words: run("chroot", root, *words, log=log))


def disk(root, raw, log):
    """A disk with a boot loader for a BIOS in front of one partition, made without mounting it."""
    say("making the disk")
    (root / "tmp/loader.cfg").write_text(LOADER)
    run("chroot", root, "grub-mkimage", "-O", "i386-pc", "-p", "/boot/grub",
        "-c", "/tmp/loader.cfg", "-o", "/tmp/core.img",
        "biosdisk", "part_msdos", "ext2", "linux", "all_video", log=log)
    first = (root / "usr/lib/grub/i386-pc/boot.img").read_bytes()[:440]
    core = (root / "tmp/core.img").read_bytes()
    if len(core) > GAP - 512:
        raise Failure("the boot loader is larger than the gap before the partition")
    for name in "loader.cfg", "core.img":
        (root / "tmp" / name).unlink()
    run("mke2fs", "-q", "-t", "ext4", "-L", "root", "-O", "^metadata_csum_seed,^orphan_file",
        "-E", f"offset={GAP},lazy_itable_init=1", "-d", root, raw, f"{(DISK - GAP) >> 10}k",
        log=log)
    with raw.open("r+b") as file:
        file.write(first + partitions(GAP // 512, (DISK - GAP) // 512))
        file.write(core)  # from sector 1 on, where boot.img looks for it
        file.truncate(DISK)


def partitions(start, sectors):
    """The rest of a master boot record: a disk's number, and one active Linux partition."""
    entry = (b"\x80\xfe\xff\xff\x83\xfe\xff\xff" + start.to_bytes(4, "little")
             + sectors.to_bytes(4, "little"))
    return b"crab\0\0" + entry + bytes(48) + b"\x55\xaa"


def recipe(*more):
    """A name for what comes of all that goes in."""
    words = [*more, Path(__file__).read_text(), boxfiles.source()]
    return hashlib.sha256("\0".join(words).encode()).hexdigest()[:12]
