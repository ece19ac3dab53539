"""What a class needs on the machine: Debian's packages, and a copy of the course that is root's."""
import json
import os
import shutil
from pathlib import Path

from . import settings
from .system import ClassError, call, works

HERE = Path(__file__).resolve().parents[2]
PROGRAMS = {"nginx": "nginx", "nft": "nftables", "newuidmap": "uidmap", "ip": "iproute2", "mke2fs": "e2fsprogs",
            "setpriv": "util-linux", "busctl": "systemd"}
BUS = Path("/usr/lib/systemd/user/dbus.socket")
NOTE = settings.STATE / "packages.json"  # those that came with the class, to go with it
LEFT_OUT = (".git", "build", ".pytest_cache", ".hypothesis")
MASK = Path("/etc/systemd/system/nginx.service")


def missing():
    """Debian's names of what is not there."""
    found = [package for program, package in PROGRAMS.items() if not shutil.which(program, path="/usr/sbin:/usr/bin")]
    return found + ["dbus-user-session"] * (not BUS.exists())


def installed():
    return set(call("dpkg-query", "-W", "-f", "${db:Status-Abbrev}${Package}\n").splitlines())


def packages():
    """Installs them. Debian's nginx starts when it is installed, on port 80: not here."""
    wanted, before = missing(), installed()
    if not wanted:
        return
    mask = "nginx" in wanted and not os.path.lexists(MASK)
    if mask:
        MASK.symlink_to("/dev/null")
    try:
        install = ("apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=600", "--no-install-recommends", "install")
        if not works(*install, *wanted):
            call("apt-get", "-q", "update", cure="is there a network?")
            call(*install, *wanted, env={"DEBIAN_FRONTEND": "noninteractive"})
    finally:
        if mask:
            MASK.unlink()
            works("systemctl", "daemon-reload")
            works("systemctl", "disable", "nginx")
    came = sorted(line[3:].strip() for line in installed() - before if line.startswith("ii"))
    known = json.loads(NOTE.read_text()) if NOTE.exists() else []
    settings.STATE.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings.write(NOTE, json.dumps(sorted({*known, *came})) + "\n")


def purge():
    """Takes the packages away that came with the class, unless more than those would go with one, or
    what Debian calls essential; returns those that stay."""
    came = set(json.loads(NOTE.read_text())) if NOTE.exists() else set()
    go = [package for package in sorted(came & installed_names()) if goes(package) <= came]
    if go and not works("apt-get", "-q", "-y", "purge", *go):
        return sorted(came)
    return sorted(came - set(go))


def installed_names():
    return {line[3:].strip() for line in installed() if line.startswith("ii")}


def goes(package):
    """What apt-get would take away with a package; "all" where it refuses."""
    try:
        said = call("apt-get", "-s", "-q", "-y", "purge", package)
    except ClassError:
        return {"all"}
    return {line.split()[1] for line in said.splitlines() if line.startswith(("Purg ", "Remv "))}


def course():
    """The course as it is here, in /opt: root's, for all to read. Nobody's changes reach the Hub."""
    if HERE == settings.COURSE:
        return
    new = settings.COURSE.with_name(settings.COURSE.name + ".new")
    shutil.rmtree(new, ignore_errors=True)
    (new / "build").mkdir(parents=True)
    parts = [path for path in HERE.iterdir() if path.name not in LEFT_OUT]
    call("cp", "-R", "--preserve=mode,timestamps,links", *parts, new)
    if (HERE / "build/site").is_dir():
        call("cp", "-R", "--preserve=mode,timestamps,links", HERE / "build/site", new / "build")
    (new / ".venv/services").unlink(missing_ok=True)
    call("chown", "-Rh", "root:root", new)
    call("chmod", "-R", "u+w,go-w,a+rX", new)
    shutil.rmtree(settings.COURSE, ignore_errors=True)
    new.rename(settings.COURSE)


LOADED = ("jupyterhub.app", "jupyterhub.singleuser", "jupyterhub_idle_culler", "systemdspawner", "jupyterlab.labapp",
          "jupyter_server_terminals.app", "jupyter_lsp", "notebook.app", "nbconvert.exporters", "ipykernel.kernelapp",
          "ipykernel.zmqshell", "ipywidgets", "crabcan_workshop.lab", "crabcan_workshop.cli")


def python():
    """The Python packages, those that the copy does not have yet; and those that a server loads are
    compiled, for its learner may not write there and would do it at each start."""
    called = {"CRABCAN_CALLED": str(settings.COURSE / "workshop")}
    call("/bin/sh", settings.COURSE / "workshop", "set-up-python", "base", "book", "lab", "class", env=called,
         cure="is there a network?")
    load = "import importlib, sys\nfor name in sys.argv[1:]:\n try: importlib.import_module(name)\n " \
        "except ImportError: pass"
    call(settings.COURSE / ".venv/bin/python", "-I", "-c", load, *LOADED)


def book():
    """The book, as pages."""
    if not (settings.COURSE / "build/site/index.html").exists():
        call(settings.COURSE / ".venv/bin/python", "-I", settings.COURSE / "tools/book/serve.py", "--build")


def refuse():
    """Raises ClassError where a class cannot be."""
    if os.geteuid():
        raise ClassError("a class has accounts, which only root makes: sudo ./workshop class ...")
    if not os.path.isdir("/run/systemd/system"):
        raise ClassError("systemd does not run this machine, and it is systemd that keeps learners apart: take a "
                         "Debian 12 or 13 that was booted (./workshop guest is one)")
    if not os.path.exists("/sys/fs/cgroup/cgroup.controllers"):
        raise ClassError("this machine has version 1 of cgroups: boot it with systemd.unified_cgroup_hierarchy=1")
    if not shutil.which("apt-get"):
        raise ClassError("a class wants Debian 12 or 13: there is no apt-get here")
