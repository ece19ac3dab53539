"""The files of a bare Debian, from Debian's packages alone: for box.py and guest.py."""
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import arch as processors  # what is peculiar to each
import boxfiles  # the files that make it a guest

SUITES = {"trixie": 13, "bookworm": 12}
TOOLS = {"debootstrap": "debootstrap", "mke2fs": "e2fsprogs", "qemu-img": "qemu-utils",
         "ssh-keygen": "openssh-client"}
SPACE = 5 << 30  # a tree, a raw disk and the box at the same time
# debootstrap follows no virtual packages: so dbus has to be named. busybox-static is for containers;
# installed later it would have the initial RAM disk made once more, which takes minutes in a guest.
PACKAGES = """systemd-sysv systemd-resolved dbus libpam-systemd udev kmod initramfs-tools sudo
    openssh-server ca-certificates iproute2 procps less nano rsync python3 man-db
    busybox-static""".split()
BEGAN = time.monotonic()


class Failure(Exception):
    """One sentence that says what is wrong, and what helps."""


def say(text):
    print(f"workshop: [{time.monotonic() - BEGAN:.0f} s] {text}", file=sys.stderr, flush=True)


def ready(folder, arch):
    """Everything that is known to fail, before the first minute is spent."""
    if os.geteuid() != 0:
        raise Failure("debootstrap needs root: the same command again, with sudo")
    free = shutil.disk_usage(folder).free
    if free < SPACE:
        raise Failure(f"{folder} has {free >> 20} MiB left, and {SPACE >> 20} MiB are needed")
    missing = processors.missing(arch)
    missing |= {package for tool, package in TOOLS.items() if not shutil.which(tool)}
    if missing:
        raise Failure(f"something is missing here: apt-get install {' '.join(sorted(missing))}")
    if not processors.runs(arch):
        raise Failure(f"no program for {arch} runs here: nothing has told the kernel how, and"
                      " before Linux 6.7 only the whole machine can be told:"
                      " systemctl restart systemd-binfmt")


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


def tree(root, suite, arch, key, as_here, log):
    """The guest's files. In namespaces of its own, so that a killed debootstrap leaves nothing."""
    packages = PACKAGES + processors.ARCHES[arch].packages.split()
    say(f"unpacking {len(packages)} packages of {suite} for {arch} and what they need: some minutes"
        + ", or a quarter of an hour, for they run emulated" * (arch != processors.HERE))
    if processors.apart(arch) != processors.ALONE:
        processors.make_devices(root / "dev")
    run(*processors.apart(arch), "debootstrap", f"--arch={arch}", "--variant=minbase",
        "--include=" + ",".join(packages), suite, root, *mirror(), log=log,
        own_log=root / "debootstrap/debootstrap.log", name="debootstrap")
    boxfiles.configure(root, suite, key, as_here,
                       lambda *words: inside(root, arch, *words, log=log))


def inside(root, arch, *words, log):
    """A command of the tree's own. (Our folder for temporary files need not be in there.)"""
    run(*processors.apart(arch), "env", "-u", "TMPDIR", "chroot", root, *words, log=log,
        name=words[0])


def recipe(*more):
    """A name for what comes of all that goes in."""
    sources = [Path(__file__).with_name(f"{name}.py") for name in
               ("arch", "bootable", "boxfiles", "image")]
    words = [*more, *(source.read_text() for source in sources)]
    return hashlib.sha256("\0".join(words).encode()).hexdigest()[:12]
