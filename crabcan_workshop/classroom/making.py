"""The class is made, step by step; each may be done again. And it is taken away."""
import http.client
import os
import shutil
import time
from pathlib import Path

from . import accounts, homes, install, kernel, proxy, settings, tls, units
from .system import ClassError, call, works


def steps(chosen):
    """(what it does, the function that does it), in order: all that --dry-run prints."""
    learners, limits = chosen["learners"], chosen["limits"]
    yield "look whether a class can be here", install.refuse
    yield f"write {settings.CHOSEN} and the proxy's {settings.ETC}/nginx.conf", lambda: write(chosen)  # first: so
    if wanted := install.missing():  # whatever ends us later, --remove knows what there is
        yield f"install Debian's packages {' '.join(wanted)}", install.packages
    if changes := kernel.wrong(chosen):
        yield "set " + " ".join(f"{name}={value}" for name, value in changes.items()), lambda: kernel.settle(chosen)
    if chosen.get("update") or not settings.COURSE.exists():
        yield f"copy the course to {settings.COURSE}, root's and for all to read", install.course
    yield "see that its Python packages are there", install.python
    yield "see that the book's pages are made", install.book
    if chosen["own_authority"] and not tls.fits(chosen["names"]):
        yield (f"make a certificate for {', '.join(chosen['names'])}: {tls.CERT}",
               lambda: tls.authority(chosen["names"]))
    for path, text in units.files(chosen).items():
        if not same(path, text):
            yield f"write {path}", lambda path=path, text=text: put(path, text)
    for learner in learners:
        yield (f"account {settings.account(learner['name'])} ({settings.uid(learner)}), a disk of "
               f"{limits['disk']} MB, its workspace, for {learner['title']}",
               lambda learner=learner: accounts.make(learner, chosen))
    yield f"start it, now and with the machine: {' '.join(units.NAMES)}", lambda: start(chosen)


def write(chosen):
    settings.ETC.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings.STATE.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings.save({key: value for key, value in chosen.items() if key != "update"})
    settings.write(settings.ETC / "nginx.conf", proxy.text(chosen))


def same(path, text):
    return os.path.exists(path) and Path(path).read_text() == text


def put(path, text):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    settings.write(path, text, 0o644)


def start(chosen):
    works("modprobe", "-a", "overlay", "loop", "veth")
    call("systemctl", "daemon-reload")
    call("systemctl", "enable", "-q", *units.NAMES)
    call("systemctl", "reload-or-restart", "crabcan-class-disks", cure="see: journalctl -u crabcan-class-disks")
    call("systemctl", "reload-or-restart", "crabcan-class-net", cure="see: journalctl -u crabcan-class-net")
    call("systemctl", "restart", "crabcan-class", cure="see: journalctl -u crabcan-class")
    call("systemctl", "reload-or-restart", "crabcan-class-proxy", cure="see: journalctl -u crabcan-class-proxy")
    answers()


def answers(patience=300):
    """Waits until the Hub does. Raises ClassError."""
    until = time.monotonic() + patience
    while time.monotonic() < until:
        try:
            hub = http.client.HTTPConnection("127.0.0.1", settings.HUB, timeout=10)
            hub.request("GET", "/hub/login")
            if hub.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.5)
    raise ClassError(f"the Hub does not answer after {patience} s: see journalctl -u crabcan-class")


def stop(chosen):
    """Ends the Hub, the door and all servers, now and at the next start; work stays."""
    for unit in units.NAMES:  # half of a class may be all there is
        works("systemctl", "disable", "-q", unit)
    for unit in ("crabcan-class-proxy", "crabcan-class"):
        works("systemctl", "stop", unit)
    for learner in chosen["learners"]:
        accounts.end(learner)
    for unit in ("crabcan-class-net", "crabcan-class-disks"):
        works("systemctl", "stop", unit)


def remove(chosen):
    """All of it, work too: who asks has asked. Returns Debian's packages that came with it and stay."""
    stop(chosen)
    for learner in chosen["learners"]:
        accounts.remove(learner)
    for path in units.files(chosen):
        Path(path).unlink(missing_ok=True)
        if path.count("/") > 4 and Path(path).parent.is_dir():  # a unit's own directory
            Path(path).parent.rmdir() if not os.listdir(Path(path).parent) else None
    works("systemctl", "daemon-reload")
    kernel.put_back()
    stay = install.purge()
    for folder in (settings.HOMES, settings.ETC, settings.STATE, settings.COURSE):
        shutil.rmtree(folder, ignore_errors=True)
    return stay


def backup(chosen, path):
    """All homes in one file, as tar(1) reads it; the disks must be there."""
    for learner in chosen["learners"]:
        homes.up(learner)
    old = os.umask(0o077)  # it has everybody's work in it
    try:
        call("tar", "--create", "--auto-compress", "--file", f"{path}.new", "--exclude=lost+found",
             "--numeric-owner", "--warning=no-file-changed", "--directory", settings.HOMES, ".")
        os.replace(f"{path}.new", path)
    finally:
        os.umask(old)
