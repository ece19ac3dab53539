#!/usr/bin/env python3
"""Builds a box for Vagrant from Debian's packages, and gives it to Vagrant: workshop box."""
import argparse
import hashlib
import json
import os
import platform
import pwd
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import boxfiles  # noqa: E402  the files that go into the box

CHECKOUT = Path(__file__).resolve().parent.parent.parent
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
linux /vmlinuz root=LABEL=root ro console=tty0 console=ttyS0 net.ifnames=0 quiet
initrd /initrd.img
boot
"""


def options():
    parser = argparse.ArgumentParser(prog="workshop box", description=__doc__)
    parser.add_argument("--suite", choices=SUITES,
                        default=os.environ.get("CRABCAN_SUITE") or "trixie")
    parser.add_argument("--virtualbox", action="store_true",
                        help="one for VirtualBox as well (nobody has tried it yet)")
    parser.add_argument("--as-here", action="store_true", help="the guest reaches packages as this"
                        " machine does: apt's proxy, pip's settings, local certificates")
    parser.add_argument("--no-add", action="store_true", help="do not give it to Vagrant")
    return parser.parse_args()


def fail(text):
    sys.exit(f"workshop box: {text}")


def say(text):
    print(f"workshop: [{time.monotonic() - BEGAN:.0f} s] {text}", file=sys.stderr, flush=True)


def ready(folder):
    """Everything that is known to fail, before the first minute is spent."""
    if os.geteuid() != 0:
        fail("debootstrap needs root: sudo ./workshop box")
    if platform.machine() != "x86_64":
        fail("boxes are built for amd64 only so far, and on it. On arm64 use one of the ways"
             " without Vagrant in chapters/00-start.md")
    missing = sorted({package for tool, package in TOOLS.items() if not shutil.which(tool)})
    if missing:
        fail(f"something is missing here: apt-get install {' '.join(missing)}")
    free = shutil.disk_usage(folder).free
    if free < SPACE:
        fail(f"{folder} has {free >> 20} MiB left, and {SPACE >> 20} MiB are needed")


def run(*command, log, own_log=None, **more):
    if subprocess.run([str(c) for c in command], stdout=log, stderr=log, **more).returncode:
        if own_log and own_log.exists():
            log.write(own_log.read_bytes())
            log.flush()
        with open(log.name, errors="replace") as text:
            print(*text.readlines()[-12:], sep="    ", file=sys.stderr)
        fail(f"{command[0]} failed (all of it: {log.name})")


def mirror(suite):
    """Where this machine gets Debian from, if it does; else debootstrap's own choice."""
    if not shutil.which("apt-get"):
        return []
    lines = subprocess.run(["apt-get", "indextargets", "--format", "$(REPO_URI)", "Origin: Debian",
                            "Identifier: Packages"], capture_output=True, text=True).stdout.split()
    return [uri for uri in sorted(set(lines)) if uri.rstrip("/").endswith("/debian")][:1]


def tree(root, chosen, log):
    """The guest's files."""
    say(f"unpacking {len(PACKAGES)} packages of {chosen.suite} and what they need: some minutes")
    run("debootstrap", "--variant=minbase", "--include=" + ",".join(PACKAGES), chosen.suite, root,
        *mirror(chosen.suite), log=log, own_log=root / "debootstrap/debootstrap.log")
    boxfiles.configure(root, chosen, lambda *words: run("chroot", root, *words, log=log))


def disk(root, work, log):
    """A disk with a boot loader for a BIOS in front of one partition, made without mounting it."""
    say("making the disk")
    (root / "tmp/loader.cfg").write_text(LOADER)
    run("chroot", root, "grub-mkimage", "-O", "i386-pc", "-p", "/boot/grub",
        "-c", "/tmp/loader.cfg", "-o", "/tmp/core.img",
        "biosdisk", "part_msdos", "ext2", "linux", "all_video", log=log)
    first = (root / "usr/lib/grub/i386-pc/boot.img").read_bytes()[:440]
    core = (root / "tmp/core.img").read_bytes()
    if len(core) > GAP - 512:
        fail("the boot loader is larger than the gap before the partition")
    for name in "loader.cfg", "core.img":
        (root / "tmp" / name).unlink()
    raw = work / "disk.raw"
    run("mke2fs", "-q", "-t", "ext4", "-L", "root", "-O", "^metadata_csum_seed,^orphan_file",
        "-E", f"offset={GAP},lazy_itable_init=1", "-d", root, raw, f"{(DISK - GAP) >> 10}k",
        log=log)
    with raw.open("r+b") as file:
        file.write(first + partitions(GAP // 512, (DISK - GAP) // 512))
        file.write(core)  # from sector 1 on, where boot.img looks for it
        file.truncate(DISK)
    return raw


def partitions(start, sectors):
    """The rest of a master boot record: a disk's number, and one active Linux partition."""
    entry = (b"\x80\xfe\xff\xff\x83\xfe\xff\xff" + start.to_bytes(4, "little")
             + sectors.to_bytes(4, "little"))
    return b"crab\0\0" + entry + bytes(48) + b"\x55\xaa"


def pack(raw, provider, base, work, log):
    """The .box: a tar of a disk and of what the provider must know."""
    say(f"packing the box for {provider}")
    kind = {"libvirt": ["-c", "-O", "qcow2"],
            "virtualbox": ["-O", "vmdk", "-o", "subformat=streamOptimized"]}[provider]
    image = work / {"libvirt": "box.img", "virtualbox": "disk.vmdk"}[provider]
    run("qemu-img", "convert", *kind, raw, image, log=log)
    files = boxfiles.for_provider(provider, image, DISK)
    box = base.with_name(f"{base.name}.{provider}.box")
    with tarfile.open(f"{box}.new", "w") as tar:
        for name, text in files.items():
            (work / name).write_text(text)
        for name in [*files, image.name]:
            tar.add(work / name, name, filter=anonymous)
    os.replace(f"{box}.new", box)
    image.unlink()
    return box


def anonymous(member):
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = "root"
    return member


def digest(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def describe(suite, boxes, path):
    """What Vagrant reads to find the boxes and to check them."""
    version = f"{SUITES[suite]}.{time.strftime('%Y%m%d.%-H%M%S')}"  # libvirt keeps disks by version
    providers = [{"name": provider, "url": box.as_uri(), "checksum_type": "sha256",
                  "checksum": digest(box)} for provider, box in boxes.items()]
    text = {"name": f"crabcan/{suite}", "versions": [{"version": version, "providers": providers}]}
    path.write_text(json.dumps(text, indent=1) + "\n")
    path.with_suffix(".sha256").write_text(
        "".join(f"{p['checksum']}  {box.name}\n" for p, box in zip(providers, boxes.values())))


def give(path, boxes, log):
    """Vagrant keeps boxes for each user: under sudo it is the one who called."""
    if not shutil.which("vagrant"):
        return say(f"no Vagrant here; elsewhere: vagrant box add {path}, or keep build/box/")
    user = os.environ.get("SUDO_USER", "root")
    as_user = ["runuser", "-u", user, "--"] if user != "root" else []
    environment = {**os.environ, "HOME": pwd.getpwnam(user).pw_dir}
    for provider in boxes:
        run(*as_user, "vagrant", "box", "add", "--force", "--provider", provider, path, log=log,
            env=environment)
    return say("Vagrant has it: vagrant up")


def main():
    chosen = options()
    folder = CHECKOUT / "build" / "box"
    folder.mkdir(parents=True, exist_ok=True)
    ready(folder)
    chosen.key = boxfiles.key("vagrant.pub") or fail(
        "Vagrant's first key (keys/vagrant.pub) is not here: install vagrant on this machine")
    with (tempfile.TemporaryDirectory(dir=folder, prefix="making-") as work,
          (folder / "log").open("wb") as log):
        work = Path(work)
        root = work / "root"
        tree(root, chosen, log)
        words = boxfiles.packages(root) + Path(__file__).read_text() + boxfiles.source()
        name = hashlib.sha256(words.encode()).hexdigest()[:12]  # what went in names what came out
        raw = disk(root, work, log)
        boxes = {provider: pack(raw, provider, folder / f"{chosen.suite}-amd64-{name}", work, log)
                 for provider in ("libvirt", *["virtualbox"] * chosen.virtualbox)}
        path = folder / f"{chosen.suite}-amd64.json"
        describe(chosen.suite, boxes, path)
        hand_over(folder)
        if not chosen.no_add:
            give(path, boxes, log)
    for box in boxes.values():
        print(f"{box.stat().st_size >> 20} MiB  {box}")


def hand_over(folder):
    """What root made in somebody's checkout is theirs."""
    owner = CHECKOUT.stat()
    for path in [folder.parent, folder, *folder.iterdir()]:
        os.chown(path, owner.st_uid, owner.st_gid)


if __name__ == "__main__":
    BEGAN = time.monotonic()
    os.umask(0o022)
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
