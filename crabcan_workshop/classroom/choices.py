"""What is chosen for a class: what was said, what was said before, and what suits the machine."""
import json
import os
import shutil
from pathlib import Path

from . import people, secret, tls
from .system import ClassError, call

LIMITS = {"cpu": 100, "tasks": 512, "disk": 1024}  # percent of one processor, a number, MB
LEAST, MOST = 384, 2048  # MB of memory: a lab with one kernel, and what is plenty
LEFT = 0.8  # of the machine's memory and disk, for all learners
ALONE = "127.0.0.1"


def chosen(options, before=None):
    """A dictionary as class.json has it, and "shown": passwords that were made up. Raises ClassError."""
    old = before or {"learners": [], "address": ALONE, "teacher": "teacher", "idle": 120, "internet": False,
                     "sysctls": False, "cert": None, "key": None, "port": None, "names": None, "limits": {}}
    learners = (people.listed(options.file, old["learners"]) if options.file else
                people.numbered(options.learners, old["learners"]))
    new = old | {"learners": learners, "address": options.address or old["address"],
                 "idle": options.idle or old["idle"], "internet": options.internet or old["internet"],
                 "sysctls": options.sysctls or old["sysctls"], "update": options.update}
    if new["teacher"] in [learner["name"] for learner in learners]:
        raise ClassError(f"a learner is called {new['teacher']}, which is the teacher's name: add a letter")
    new["limits"] = limits(options, old["limits"], len(learners))
    return certificate(options, new) | passwords(options, before)


def limits(options, old, count):
    """What each learner may have. Memory: so much that all have it at once, as far as that is enough."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
    fair = min(MOST, max(LEAST, int(memory * LEFT / count)))
    new = {key: getattr(options, key) or old.get(key) or value for key, value in LIMITS.items()}
    return new | {"memory": options.memory or old.get("memory") or fair}


def warnings(chosen):
    """Lines about what all learners together would not have."""
    count, limits = len(chosen["learners"]), chosen["limits"]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
    if limits["memory"] * count > memory:
        yield (f"{count} learners with {limits['memory']} MB each are more than the machine has, {memory} MB: "
               "well as long as not all need it at once")
    free = shutil.disk_usage("/var/lib").free >> 20
    if limits["disk"] * count > free * LEFT:
        yield f"{count} disks of {limits['disk']} MB are more than is free, {free} MB: --disk {int(free * LEFT / count)}"


def certificate(options, new):
    """Beyond this machine nothing goes unencrypted."""
    if bool(options.cert) != bool(options.key):
        raise ClassError("--cert and --key go together: a certificate, and the key to it")
    for path in filter(None, (options.cert, options.key)):
        if not os.access(path, os.R_OK):
            raise ClassError(f"{path}: cannot be read")
        if any(Path(path).absolute().is_relative_to(place) for place in ("/tmp", "/var/tmp")):
            raise ClassError(f"{path}: what is there goes one day, and the door has a /tmp of its own: put it into /etc")
    alone = new["address"] in (ALONE, "::1")
    if options.cert:
        files = {"cert": str(Path(options.cert).absolute()), "key": str(Path(options.key).absolute())}
    elif not alone and (not new["cert"] or new["cert"] == str(tls.CERT)):
        files = {"cert": str(tls.CERT), "key": str(tls.KEY)}
    else:
        files = {}
    new = new | files
    everywhere = new["address"] in ("0.0.0.0", "::")
    usual = [os.uname().nodename, *addresses()] if everywhere else [new["address"]]
    return new | {"own_authority": new["cert"] == str(tls.CERT), "root": str(tls.SHOWN),
                  "names": options.name or new["names"] or (["localhost"] if alone else usual),
                  "port": options.port or new["port"] or (8443 if new["cert"] else 8000)}


def addresses():
    """The machine's own, for a certificate: what the room may type into a browser."""
    told = call("ip", "-j", "-4", "addr", "show", "scope", "global", "up")
    return [one["local"] for link in json.loads(told) for one in link.get("addr_info", ())  # empty ones of other scopes
            if one and link["ifname"] != "lo" and not link["ifname"].startswith("cl-")]


def passwords(options, before):
    """Hashes; and in "shown" what has to be told, for it is kept nowhere."""
    made, shown = {}, {}
    for key, said, who in (("password", options.password, "the class's password"),
                           ("teacher_password", options.teacher_password, "the teacher, as \"teacher\"")):
        if before and not said:
            continue
        word = said or secret.made_up()
        made[key] = secret.hashed(word)
        if not said:
            shown[who] = word
    return made | {"shown": shown}
