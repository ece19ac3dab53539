"""Where the machine of a class keeps what, and what was chosen for it: class.json.

Nothing here needs more than Python: the Hub, its services and the command all read it.
"""
import json
import os
from pathlib import Path

COURSE = Path("/opt/crabcan-class")  # root's copy of the course, which all may read
ETC = Path("/etc/crabcan-class")
STATE = Path("/var/lib/crabcan-class")  # the Hub's; only for root
HOMES = Path("/srv/crabcan-class")
CHOSEN = ETC / "class.json"
PREFIX = "class-"  # of accounts, network namespaces and units: whose name has it is ours

HUB, INSIDE, SERVER = 8085, 8081, 8888  # ports: the Hub's, the proxy's for servers, a server's
GATE = "10.77.0.1"  # the machine, as the learners' namespaces see it
FIRST = 40000  # a learner's uid is this and the learner's number


def account(name):
    """The Unix account of a learner."""
    return PREFIX + name


def home(name):
    return HOMES / name


def uid(learner):
    return FIRST + learner["number"]


def address(learner):
    """Where a learner's server listens: in a network namespace of its own."""
    return f"10.77.1.{learner['number']}"


def load():
    """What was chosen. Raises FileNotFoundError where there is no class."""
    return json.loads(CHOSEN.read_text())


def save(chosen):
    """Writes it, for root only, at once or not at all."""
    write(CHOSEN, json.dumps(chosen, indent=1, ensure_ascii=False) + "\n")


def write(path, text, mode=0o600):
    """Puts a text in the place of a file's, at once or not at all."""
    new = Path(f"{path}.new")
    new.unlink(missing_ok=True)
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with open(fd, "w") as file:
        os.fchmod(fd, mode)  # whatever the umask says
        file.write(text)
        file.flush()
        os.fsync(fd)
    new.rename(path)
