"""The disks that guests begin with, in the user's cache: bare ones, and those after a set-up."""
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import bootable  # makes a disk of files
import boxfiles  # the files that make it a guest
import image
from image import say
from machine import CHECKOUT

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "crabcan-guests"
WEEK = 7 * 24 * 3600
SET_UP = "workshop", "pyproject.toml", "requirements", "tools"  # what a set-up is made of


def bare(suite, arch):
    """The folder of a bare disk and the key to it: from the cache, or built."""
    name = image.recipe(suite, arch, json.dumps(boxfiles.here()), time.strftime("%Y-%m"))
    folder = CACHE / f"{suite}-{arch}-{name}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{suite}-{arch}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            image.ready(CACHE, arch)
            build(suite, arch, folder)
    os.utime(folder)  # it is in use
    return folder


def build(suite, arch, folder):
    for old in CACHE.glob(f"{suite}-*"):
        if old.is_dir() and time.time() - old.stat().st_mtime > WEEK:
            shutil.rmtree(old, ignore_errors=True)  # another may be doing the same
    with (tempfile.TemporaryDirectory(dir=CACHE, prefix="making-") as work,
          (CACHE / f"{suite}-{arch}.log").open("wb") as log):
        root, new = Path(work, "root"), Path(work, "new")
        new.mkdir()
        image.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "guest", "-f", new / "key",
                  log=log)
        image.tree(root, suite, arch, (new / "key.pub").read_text(), True, log)
        bootable.disk(root, new / "disk.raw", arch, log)
        new.rename(folder)


def kept(folder, line):
    """Where the disk after a set-up is kept: by what goes into it."""
    files = [file for name in SET_UP for file in (CHECKOUT / name, *(CHECKOUT / name).rglob("*"))
             if file.is_file() and file.suffix != ".pyc"]
    content = hashlib.sha256(line.encode())
    for file in sorted(files):
        content.update(f"{file.relative_to(CHECKOUT)}\0".encode() + file.read_bytes())
    return folder / f"after-{content.hexdigest()[:12]}.qcow2"


def keep(disk, path):
    """Keeps a disk, and no longer those that nobody used for a week."""
    for old in path.parent.glob("after-*"):
        if time.time() - old.stat().st_mtime > WEEK:
            old.unlink()
    new = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        shutil.copyfile(disk, new)
        new.rename(path)
    finally:
        new.unlink(missing_ok=True)


def sound(disk):
    """Whether a kept disk is there and is a disk; else it is removed."""
    if not disk.exists():
        return False
    if subprocess.run(["qemu-img", "check", "-q", disk], capture_output=True).returncode:
        say("the disk of an earlier set-up is damaged, and removed: beginning with the bare one")
        disk.unlink()
        return False
    return True
