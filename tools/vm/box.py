#!/usr/bin/env python3
"""Builds a box for Vagrant from Debian's packages, and gives it to Vagrant: workshop box."""
import argparse
import hashlib
import json
import os
import pwd
import shutil
import sys
import tarfile
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[2])]
import bootable  # noqa: E402  the disk
import boxfiles  # noqa: E402  the files that go into the box
import image  # noqa: E402  what is on the disk
from arch import ARCHES, HERE  # noqa: E402  the processors
from image import SUITES, Failure, run, say  # noqa: E402
from crabcan_workshop import words  # noqa: E402

CHECKOUT = Path(__file__).resolve().parent.parent.parent


def options():
    parser = words.Parser(prog=f"{words.NAME} box", description=__doc__)
    parser.add_argument("--suite", choices=SUITES,
                        default=os.environ.get("CRABCAN_SUITE") or "trixie")
    parser.add_argument("--arch", choices=ARCHES, default=HERE or "amd64", help="the processor."
                        " (Nobody has tried a box for arm64 with Vagrant yet; its disk boots.)")
    parser.add_argument("--virtualbox", action="store_true",
                        help="one for VirtualBox as well (nobody has tried it yet)")
    parser.add_argument("--as-here", action="store_true", help="the guest reaches packages as this"
                        " machine does: apt's proxy, pip's settings, local certificates")
    parser.add_argument("--no-add", action="store_true", help="do not give it to Vagrant")
    parser.add_argument("--words", action="store_true", help=argparse.SUPPRESS)  # only looks at them
    chosen = parser.parse_args()
    if chosen.virtualbox and chosen.arch != "amd64":
        parser.error(f"--virtualbox is for amd64 only: for {chosen.arch}, leave it out")
    return chosen


def pack(raw, provider, arch, base, work, log):
    """The .box: a tar of a disk and of what the provider must know."""
    say(f"packing the box for {provider}")
    kind = {"libvirt": ["-c", "-O", "qcow2"],
            "virtualbox": ["-O", "vmdk", "-o", "subformat=streamOptimized"]}[provider]
    disk = work / {"libvirt": "box.img", "virtualbox": "disk.vmdk"}[provider]
    run("qemu-img", "convert", *kind, raw, disk, log=log)
    files = boxfiles.for_provider(provider, disk, bootable.DISK, arch)
    box = base.with_name(f"{base.name}.{provider}.box")
    with tarfile.open(f"{box}.new", "w") as tar:
        for name, text in files.items():
            (work / name).write_text(text)
        for name in [*files, disk.name]:
            tar.add(work / name, name, filter=anonymous)
    os.replace(f"{box}.new", box)
    disk.unlink()
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


def build(chosen):
    folder = CHECKOUT / "build" / "box"
    folder.mkdir(parents=True, exist_ok=True)
    image.ready(folder, chosen.arch)
    key = boxfiles.key("vagrant.pub")
    if not key:
        raise Failure("Vagrant's first key (keys/vagrant.pub) is not here: install vagrant")
    with (tempfile.TemporaryDirectory(dir=folder, prefix="making-") as work,
          (folder / "log").open("wb") as log):
        root, raw = Path(work, "root"), Path(work, "disk.raw")
        image.tree(root, chosen.suite, chosen.arch, key, chosen.as_here, log)
        # What went in names what came out.
        name = f"{chosen.suite}-{chosen.arch}-{image.recipe(boxfiles.packages(root))}"
        bootable.disk(root, raw, chosen.arch, log)
        boxes = {provider: pack(raw, provider, chosen.arch, folder / name, Path(work), log)
                 for provider in ("libvirt", *["virtualbox"] * chosen.virtualbox)}
        path = folder / f"{chosen.suite}-{chosen.arch}.json"
        describe(chosen.suite, boxes, path)
        hand_over(folder)
        if chosen.arch != HERE:
            say(f"it is for another machine: there, vagrant box add {path}, or keep build/box/")
        elif not chosen.no_add:
            give(path, boxes, log)
    for box in boxes.values():
        print(f"{box.stat().st_size >> 20} MiB  {box}")


def hand_over(folder):
    """What root made in somebody's checkout is theirs."""
    owner = CHECKOUT.stat()
    for path in [folder.parent, folder, *folder.iterdir()]:
        os.chown(path, owner.st_uid, owner.st_gid)


if __name__ == "__main__":
    os.umask(0o022)
    try:
        chosen = options()
        if not chosen.words:
            build(chosen)
    except (Failure, OSError) as failure:
        sys.exit(f"workshop box: {failure}")
    except KeyboardInterrupt:
        sys.exit(130)
