"""A root that the user gives, for chapter 4: itself, or a mirror of it where it lacks a place."""
import os
import stat

from .. import linux
from ..layer import warn
from .furniture import ROOT_SIZE
from .parts import LOCKED, READ_ONLY, Bind, Entry, FileSystem
from .root import BENEATH, present, the_same


def given_root(spec):
    """The user's directory, opened once. If it lacks a place for a mount: a mirror of it.

    That is a tmpfs with its entries bound in. To make the place in the directory itself would leave
    something behind; what the container made in the tmpfs would be lost, so it is read-only.
    """
    folder = linux.open(spec.mount, os.O_PATH | os.O_DIRECTORY)
    the_same(spec, folder)  # as --user was looked up in
    attributes = READ_ONLY if spec.read_only else LOCKED
    targets = [target for _, target, _ in spec.add] + [target for target, _, _ in spec.tmpfs]
    tops = dict.fromkeys(["proc", "sys", "dev", *(target.split("/")[1] for target in targets)])
    missing = [f"/{top}" for top in tops if not present(folder, top)]
    if not missing:
        return Bind(spec.mount, "/", attributes, f"--mount {spec.mount}", folder), []
    warn(f"--mount {spec.mount}: has no {', '.join(missing)}, so its / is shown by a mirror, "
         "in which nothing new can be made")
    plan = []
    listing = linux.open(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=folder)
    for name in linux.listdir(listing):
        if name not in ("proc", "sys", "dev"):  # ours
            plan += mirrored(spec, folder, name, attributes)
    linux.close(listing)
    linux.close(folder)
    return FileSystem("tmpfs", "/", LOCKED, mode="0755", **ROOT_SIZE), plan


def mirrored(spec, folder, name, attributes):
    """One entry of a directory as parts: opened, not followed, and only then looked at."""
    try:
        held = linux.openat2(folder, name, os.O_PATH | os.O_NOFOLLOW, BENEATH)
    except FileNotFoundError:  # taken away since it was listed
        return []
    if not stat.S_ISLNK(linux.fstat(held).st_mode):
        option = f"--mount {spec.mount}"
        return [Bind(f"{spec.mount}/{name}", "/" + name, attributes, option, held)]
    text = linux.readlink("", dir_fd=held)
    linux.close(held)
    return [Entry("/" + name, link=text)]
