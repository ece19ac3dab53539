"""The learners' accounts: one that nobody logs in to but through the Hub, with a home and a workspace."""
import os
import pwd
from pathlib import Path

from . import homes, settings
from .system import ClassError, call, works

START = "from crabcan_workshop.desk import notebooks; notebooks.main()"


def make(learner, chosen):
    """The account, its subordinate ids (useradd's), its home and what a learner begins with."""
    name, uid = settings.account(learner["name"]), settings.uid(learner)
    place = settings.home(learner["name"])
    try:
        if pwd.getpwnam(name).pw_uid != uid:
            raise ClassError(f"the account {name} is there, with another number than {uid}: is it of another "
                             f"class? userdel {name}")
    except KeyError:
        call("useradd", "--uid", uid, "--user-group", "--home-dir", place, "--no-create-home", "--shell",
             "/bin/bash", "--comment", learner["title"].replace(":", " ").replace(",", " "), name,
             cure=f"is the number {uid} taken?")
    if not subordinate(name):
        raise ClassError(f"{name} has no subordinate ids, without which nobody has containers: is "
                         "SUB_UID_COUNT 0 in /etc/login.defs?")
    homes.make(learner, chosen)
    homes.up(learner)
    os.chown(place, uid, uid)
    os.chmod(place, 0o700)
    furnish(place, uid)


def subordinate(name):
    """Whether /etc/subuid has a range for it."""
    path = Path("/etc/subuid")
    return path.exists() and any(line.startswith(f"{name}:") for line in path.read_text().splitlines())


def furnish(place, uid):
    """The workspace and the notebooks, made as the learner: in a home of theirs root follows no name."""
    call("setpriv", "--reuid", uid, "--regid", uid, "--clear-groups", "--inh-caps=-all", "--no-new-privs",
         settings.COURSE / ".venv/bin/python", "-I", "-c",
         f"import shutil, os\nfor name in os.listdir('/etc/skel'):\n"
         f"    if not os.path.lexists(name): shutil.copy2('/etc/skel/' + name, name) if os.path.isfile("
         f"'/etc/skel/' + name) else None\n{START}",
         cwd=place, env={"HOME": str(place), "USER": settings.account(place.name)})


def end(learners):
    """Ends all that runs of these learners', at once: one after the other would take seconds each."""
    servers = [f"crabcan-class-{learner['name']}.service" for learner in learners]
    units = [unit.format(settings.uid(learner)) for learner in learners for unit in (
        "user@{}.service", "user-runtime-dir@{}.service", "user-{}.slice")]
    works("systemctl", "stop", *servers, *units)
    works("systemctl", "reset-failed", *servers)


def remove(learner):
    """Takes the account and its home away; nothing of it runs any more."""
    name = settings.account(learner["name"])
    homes.down(learner)
    place = settings.home(learner["name"])
    if place.exists():
        place.rmdir()
    homes.image(learner["name"]).unlink(missing_ok=True)
    if works("getent", "passwd", name):
        call("userdel", name, cure="does one of its processes still run? ps -u " + name)
