"""What the suites share: Debian's sources, the runtimes, and a root file system of busybox."""
import os
import shutil
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

from crabcan_workshop.engine import image
from crabcan_workshop.measure.peers import HIDE_UNIFIED

HERE = Path(__file__).resolve().parents[2]
HYBRID = Path("/sys/fs/cgroup/unified")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
PATH = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"


class Missing(Exception):
    """A suite cannot be had or built here: one line, with what to do about it."""


def runtimes(names):
    """{name: its program}. Ends the program for one that is not there."""
    ours = HERE / ".venv/bin/crabcan-oci"
    known = {"ours": str(ours) if ours.exists() else None, "runc": shutil.which("runc", path=PATH),
             "crun": shutil.which("crun", path=PATH)}
    for name in names:
        if name not in known:
            sys.exit(f"tools/suites.py: --runtimes: no {name}; they are ours, runc, crun")
        if known[name] is None:
            sys.exit(f"tools/suites.py: no {name}: " + ("./workshop setup" if name == "ours" else
                                                        f"apt-get install {name}"))
    return {name: known[name] for name in names}


def apart(name, words):
    """crun refuses a host that has both versions of cgroups in use: it does not see the second."""
    return [*HIDE_UNIFIED, *words] if name == "crun" and HYBRID.is_dir() else list(words)


def need(packages):
    """Raises Missing for Debian packages that are not installed."""
    said = subprocess.run(["dpkg-query", "--show", "--showformat", "${db:Status-Abbrev}${Package}\\n", *packages],
                          capture_output=True, text=True).stdout
    there = {line[3:].strip() for line in said.splitlines() if line.startswith("ii")}
    if lost := sorted(set(packages) - there):
        raise Missing(f"apt-get install {' '.join(lost)}")


def source(package, work):
    """The unpacked source of a Debian package, by lists of our own: the machine's are left alone."""
    folder = work / package
    if not (found := [path for path in folder.glob("*/") if path.is_dir()]):
        need(["dpkg-dev"])
        for name in "lists/partial", "cache/archives/partial", package:
            (work / name).mkdir(parents=True, exist_ok=True)
        told = output("apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)",
                      "Identifier: Packages", "Origin: Debian")
        key = f"[signed-by={KEYRING}] " if KEYRING.exists() else ""
        lines = {f"deb-src {key}{line}" for line in told.splitlines()}
        lines = sorted(lines, key=lambda line: ("-security" in line, line))  # of two with the same the first counts
        (work / "sources.list").write_text("\n".join(lines) + "\n")
        settings = [f"-oDir::Etc::SourceList={work}/sources.list", "-oDir::Etc::SourceParts=/dev/null",
                    f"-oDir::State::Lists={work}/lists", f"-oDir::Cache={work}/cache", "-oAPT::Sandbox::User=root"]
        output("apt-get", *settings, "update")
        output("apt-get", *settings, "source", package, cwd=folder)
        found = [path for path in folder.glob("*/") if path.is_dir()]
    return found[0]


def output(*words, **more):
    """What a command prints. Raises Missing with the last line of its complaint."""
    result = subprocess.run([str(word) for word in words], capture_output=True, text=True, **more)
    if result.returncode:
        said = (result.stderr or result.stdout).strip().splitlines()
        raise Missing(f"{words[0]} {words[-1]}: {said[-1] if said else result.returncode}")
    return result.stdout


def printed(words, seconds, **more):
    """(what it printed, whether it ended in time) of a command. All that it has started ends with it."""
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          text=True, errors="replace", start_new_session=True, **more) as process:
        try:
            return process.communicate(timeout=seconds)[0], True
        except subprocess.TimeoutExpired:
            for path in Path("/sys/fs/cgroup/freezer").glob("runc-cgroups-integration-test/*/freezer.state"):
                path.write_text("THAWED")  # who is frozen does not end
            end(process.pid)
            return process.communicate()[0], False


def end(pid):
    """Kills a process and its descendants, the parents first."""
    try:
        below = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        os.kill(pid, signal.SIGKILL)
    except (FileNotFoundError, ProcessLookupError):
        return
    for child in map(int, below):
        end(child)


def busybox(path, files=()):
    """Packs a root file system as the image of busybox has it, with more files: {name: source}."""
    with tarfile.open(path, "w:xz") as archive:
        for name in "bin", "dev", "etc", "home", "root", "tmp", "usr", "usr/bin", "usr/sbin", "var", "sbin", "lib":
            image.add(archive, f"./{name}", type=tarfile.DIRTYPE, mode=0o1777 if name == "tmp" else 0o755)
        where, program = image.busybox()
        image.add(archive, "./bin/busybox", program, mode=0o755)
        for name in output(where, "--list").split():
            if name != "busybox" and name not in dict(files):
                image.add(archive, f"./bin/{name}", type=tarfile.LNKTYPE, linkname="./bin/busybox", mode=0o755)
        image.add(archive, "./usr/bin/env", type=tarfile.SYMTYPE, linkname="../../bin/env")
        for name, text in image.FILES.items():
            image.add(archive, f"./{name}", text.encode(), mode=0o644)
        for name, given in dict(files).items():
            image.add(archive, f"./sbin/{name}", Path(given).read_bytes(), mode=0o755)
