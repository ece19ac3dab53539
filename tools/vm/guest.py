#!/usr/bin/env python3
"""Boots a throw-away Debian, made of Debian's packages, and runs commands in it as a newcomer.

    workshop guest                                 a shell in it
    workshop guest --suite bookworm uname -a       one command in a Debian 12
    workshop guest --setup './workshop setup --services' tools/vm/check

The checkout is copied to /vagrant, without what git ignores. --setup runs with a network, as this
machine has it; then the guest is booted again, and COMMAND runs without one. The bare disk is kept
in the user's cache for a month; with --keep, so is the disk after --setup, as a head start for the
next time: --setup runs then, too, and if it fails, the kept disk goes. With KVM where that works, else
emulated."""
import argparse
import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import boxfiles  # noqa: E402  the files that make it a guest
import image  # noqa: E402  the disk
from image import Failure, say  # noqa: E402
from machine import CHECKOUT, Machine  # noqa: E402  the guest

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "crabcan-guests"
WEEK = 7 * 24 * 3600
SET_UP = "workshop", "pyproject.toml", "requirements", "tools"  # what a set-up is made of


class TimeIsUp(Exception):
    """The alarm: whatever it was that hung."""


def options():
    parser = argparse.ArgumentParser(prog="workshop guest", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", choices=image.SUITES, default="trixie", help="(trixie)")
    parser.add_argument("--cpus", type=int, default=os.cpu_count(), help="(all of this machine)")
    parser.add_argument("--memory", default="2G", help="as QEMU has it: 512M, 4G (2G)")
    parser.add_argument("--timeout", type=int, default=2400, metavar="SECONDS",
                        help="for all of it (2400)")
    parser.add_argument("--setup", metavar="LINE", help="what runs first, with a network")
    parser.add_argument("--keep", action="store_true",
                        help="keep the disk after --setup, and begin with it if it is there")
    parser.add_argument("--only-disk", action="store_true", help="only make the disk, if need be")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="and its words")
    chosen = parser.parse_args()
    if chosen.command[:1] == ["--"]:  # which argparse leaves in place
        del chosen.command[0]
    if chosen.keep and not chosen.setup:
        parser.error("--keep is for the disk after a set-up: say --setup LINE, too")
    return chosen


# ---------------------------------------------------------------- the bare disk

def bare(suite):
    """The folder of a bare disk and the key to it: from the cache, or built."""
    name = image.recipe(suite, json.dumps(boxfiles.here()), time.strftime("%Y-%m"))
    folder = CACHE / f"{suite}-{name}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            image.ready(CACHE)
            build(suite, folder)
    os.utime(folder)  # it is in use
    return folder


def build(suite, folder):
    for old in CACHE.glob(f"{suite}-*"):
        if old.is_dir() and time.time() - old.stat().st_mtime > WEEK:
            shutil.rmtree(old)
    with (tempfile.TemporaryDirectory(dir=CACHE, prefix="making-") as work,
          (CACHE / f"{suite}.log").open("wb") as log):
        root, new = Path(work, "root"), Path(work, "new")
        new.mkdir()
        image.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "guest", "-f", new / "key",
                  log=log)
        image.tree(root, suite, (new / "key.pub").read_text(), True, log)
        image.disk(root, new / "disk.raw", log)
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


def set_up(machine, chosen):
    machine.boot()
    machine.send()
    status = machine.run(chosen.setup) if chosen.setup else 0
    if status:
        say(f"the set-up in the guest failed (exit status {status})")
    return status


def distrust(disk, after):
    if disk == after:
        say("it began with the disk of an earlier set-up. In case that is to blame, it is removed:"
            " the next time begins with the bare one")
        after.unlink(missing_ok=True)


def classroom(machine, chosen, after):
    try:
        status = set_up(machine, chosen)
    except (Failure, TimeIsUp):
        distrust(machine.disk, after)
        raise
    if status:
        distrust(machine.disk, after)
        return status
    if chosen.setup:
        if not chosen.command:
            return 0
        machine.power_off()
        if chosen.keep and machine.disk != after:
            keep(machine.overlay, after)
        machine.boot(offline=True)
    return machine.run(" ".join(chosen.command))


def main():
    chosen = options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGALRM, time_is_up)
    typed = not chosen.command and not chosen.setup and not chosen.only_disk
    signal.alarm(0 if typed else chosen.timeout)
    folder = bare(chosen.suite)
    if chosen.only_disk:
        return print(folder)
    with tempfile.TemporaryDirectory(prefix="guest-") as work:
        after = kept(folder, chosen.setup or "")
        disk = folder / "disk.raw"
        if chosen.keep and sound(after):
            say("beginning with the disk of an earlier set-up that was made of the same")
            os.utime(after)
            disk = after
        machine = Machine(disk, folder / "key", chosen, Path(work))
        try:
            return classroom(machine, chosen, after)
        except TimeIsUp:
            raise Failure(f"time is up, after {chosen.timeout} s. Longer: --timeout SECONDS.\n"
                          + machine.last_words())
        finally:
            machine.end()


def time_is_up(*_):
    raise TimeIsUp


if __name__ == "__main__":
    os.umask(0o022)
    try:
        sys.exit(main())
    except (Failure, OSError, subprocess.SubprocessError) as failure:
        sys.exit(f"workshop guest: {failure}")
    except TimeIsUp:
        sys.exit("workshop guest: time is up before the disk was made. Longer: --timeout SECONDS")
    except KeyboardInterrupt:
        sys.exit(130)
