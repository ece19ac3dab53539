"""A disk of one's own for each learner: `homes up` and `homes down`, at each start of the machine.

A file with a file system in it. So nobody fills the machine's disk, whoever the files belong to (those of
a container belong to subordinate ids, which a user's quota does not count), and no kernel has to
know of quotas. The file is sparse: it takes what is written.
"""
import sys

from . import settings
from .system import ClassError, call, works

IMAGES = settings.STATE / "homes"


def image(name):
    return IMAGES / f"{name}.img"


def make(learner, chosen):
    """The file system, with an empty home; what is there already stays."""
    path = image(learner["name"])
    if path.exists():
        return
    IMAGES.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    call("truncate", "-s", f"{chosen['limits']['disk']}M", new)
    call("mke2fs", "-q", "-t", "ext4", "-m", "0", "-L", settings.account(learner["name"])[:16], new)
    new.rename(path)


def up(learner):
    """Mounts it; programs of root's on it would be nobody's."""
    place = settings.home(learner["name"])
    settings.HOMES.mkdir(mode=0o711, parents=True, exist_ok=True)
    place.mkdir(mode=0o700, exist_ok=True)
    if not works("mountpoint", "-q", place):
        call("mount", "-o", "loop,nosuid,nodev", image(learner["name"]), place,
             cure="is it broken? e2fsck -f repairs it")


def down(learner):
    place = settings.home(learner["name"])
    if works("mountpoint", "-q", place):
        call("umount", place, cure="somebody still uses it: workshop class --stop")


def each(do, learners):
    """One that is broken is told, and keeps nobody else away. Whether it went well for any."""
    good = not learners
    for learner in learners:
        try:
            do(learner)
            good = True
        except ClassError as error:
            print(f"{learner['name']}: {error}", file=sys.stderr)
    return good


if __name__ == "__main__":
    sys.exit(not each({"up": up, "down": down}[sys.argv[1]], settings.load()["learners"]))
