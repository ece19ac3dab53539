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
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[2])]
import disks  # noqa: E402  the user's cache of them
from arch import ARCHES, HERE  # noqa: E402  the processors
from image import SUITES, Failure, say  # noqa: E402
from machine import Machine  # noqa: E402  the guest
from crabcan_workshop import words  # noqa: E402


class TimeIsUp(Exception):
    """The alarm: whatever it was that hung."""


def options():
    parser = words.Parser(prog=f"{words.NAME} guest", description=__doc__,
                          formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", choices=SUITES, default="trixie", help="(trixie)")
    parser.add_argument("--arch", choices=ARCHES, default=HERE or "amd64",
                        help="the processor: another than this machine's is emulated, and wants a"
                        " long --timeout")
    parser.add_argument("--cpus", type=int, default=os.cpu_count(), help="(all of this machine)")
    parser.add_argument("--memory", default="2G", help="as QEMU has it: 512M, 4G (2G)")
    parser.add_argument("--timeout", type=int, default=2400, metavar="SECONDS",
                        help="for all of it (2400)")
    parser.add_argument("--setup", metavar="LINE", help="what runs first, with a network")
    parser.add_argument("--keep", action="store_true",
                        help="keep the disk after --setup, and begin with it if it is there")
    parser.add_argument("--only-disk", action="store_true", help="only make the disk, if need be")
    parser.add_argument("--words", action="store_true", help=argparse.SUPPRESS)  # only looks at them
    parser.add_argument("command", nargs=argparse.REMAINDER, help="and its words")
    chosen = parser.parse_args()
    if chosen.command[:1] == ["--"]:  # which argparse leaves in place
        del chosen.command[0]
    if chosen.keep and not chosen.setup:
        parser.error("--keep is for the disk after a set-up: say --setup LINE, too")
    return chosen


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
            disks.keep(machine.overlay, after)
        machine.boot(offline=True)
    return machine.run(" ".join(chosen.command))


def main():
    chosen = options()
    if chosen.words:
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGALRM, time_is_up)
    typed = not chosen.command and not chosen.setup and not chosen.only_disk
    signal.alarm(0 if typed else chosen.timeout)
    folder = disks.bare(chosen.suite, chosen.arch)
    if chosen.only_disk:
        return print(folder)
    with tempfile.TemporaryDirectory(prefix="guest-") as work:
        after = disks.kept(folder, chosen.setup or "")
        disk = folder / "disk.raw"
        if chosen.keep and disks.sound(after):
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
