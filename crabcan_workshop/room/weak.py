"""crabcan with a lesson forgotten: for escape rooms 10 to 12, where only the outer room can suffer.

`python -m crabcan_workshop.room.weak NAME run ...` is `crabcan run ...`, weakened by that function.
"""
import os
import sys
import time

from crabcan_steps import ch02_clone, ch04_mounts, cli
from crabcan_steps.mounts import given
from crabcan_steps.mounts.parts import Bind, Entry

GAP = 1  # second between two looks: slow motion, for whoever types


def descriptors():
    """What the caller has left open is still open at execve, and after it (CVE-2024-21626)."""
    ch02_clone.Start.close = lambda self: None


def names():
    """The root's entries are looked at by name, and opened by name later (CVE-2021-30465)."""
    look = given.given_root

    def given_root(spec):
        found = look(spec)
        time.sleep(GAP)
        return found

    def mirrored(spec, folder, name, attributes):
        path = f"{spec.mount}/{name}"
        if os.path.islink(path):
            return [Entry("/" + name, link=os.readlink(path))]
        return [Bind(path, "/" + name, attributes, f"--mount {spec.mount}")]  # opens it, following

    ch04_mounts.given_root, given.mirrored = given_root, mirrored


def interpreter():
    """Our own interpreter stands behind /proc/self/exe, whoever owns it (CVE-2019-5736)."""
    cli.shelter = lambda layers: None


if __name__ == "__main__":
    globals()[sys.argv.pop(1)]()
    sys.exit(cli.main())
