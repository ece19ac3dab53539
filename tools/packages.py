"""Installs the Python packages of a requirements file with pip, and looks whether they are there.

packages.py [--again] LIST. Prints files that came with them, a line each: ./workshop looks whether
they still exist. What pip is told by PIP_* variables and by pip.conf counts as far as it says where
packages come from; where they go, and whether, is not theirs to say.
"""
import ast
import ctypes
import glob
import importlib.metadata
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

FROM = ("index-url", "extra-index-url", "find-links", "no-index", "trusted-host", "proxy", "cert",
        "client-cert", "timeout", "default-timeout", "retries", "keyring-provider", "use-feature",
        "use-deprecated", "cache-dir", "no-cache-dir")
INSTALL = ("install", "-q", "--disable-pip-version-check", "--no-input", "--no-deps", "--no-compile",
           "--only-binary", ":all:", "--require-hashes")


WHEELS = glob.glob("/usr/share/python-wheels/pip-*.whl")  # Debian's, which runs from where it is
sys.path += WHEELS

from pip._vendor.packaging.requirements import Requirement  # noqa: E402


def pip():
    """The command."""
    return [sys.executable, "-I", *([f"{WHEELS[0]}/pip"] if WHEELS else ["-m", "pip"])]


def wanted(text):
    """{name: version} of what a requirements file wants on this machine."""
    lines = re.findall(r"^([A-Za-z0-9].*?)\s*\\?$", text, re.M)
    pinned = [one for one in map(Requirement, lines) if not one.marker or one.marker.evaluate()]
    return {one.name: str(one.specifier).removeprefix("==") for one in pinned}


def environment():
    """Ours, with no other setting of pip's than those of FROM."""
    kept = {name: value for name, value in os.environ.items()
            if not name.startswith("PIP_") or name == "PIP_CONFIG_FILE"}
    said = subprocess.run([*pip(), "config", "list"], env=kept, text=True, stdout=subprocess.PIPE)
    if said.returncode:
        sys.exit(said.returncode)
    found = {}
    for line in sorted(said.stdout.splitlines()):  # global. before install.
        place, _, value = line.partition("=")
        section, _, name = place.rpartition(".")
        if section in ("global", "install"):
            found[name] = " ".join(ast.literal_eval(value).split())
    found |= {name.removeprefix("PIP_").lower().replace("_", "-"): value
              for name, value in os.environ.items() if name.startswith("PIP_")}
    kept |= {f"PIP_{name.upper().replace('-', '_')}": found[name] for name in FROM if name in found}
    return kept | {"PIP_CONFIG_FILE": os.devnull}


def missing(pinned):
    """Those of {name: version} that are not there, or not whole."""
    return [name for name, version in pinned.items() if not whole(name, version)]


def whole(name, version):
    """Whether a package of this version is there, with each of its files."""
    try:
        package = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return package.version == version and all(
        package.locate_file(file).exists() for file in package.files or () if file.suffix != ".pyc")


def witnesses(pinned):
    """Two files of each package; of .venv's from there on, so that a checkout can be moved."""
    for name in pinned:
        package = importlib.metadata.distribution(name)
        files = [file for file in package.files or () if file.suffix == ".py"]
        for file in [*files[:1], *(f for f in package.files or () if f.name == "METADATA")]:
            path = Path(package.locate_file(file)).resolve()
            venv = Path(sys.prefix).resolve()
            yield path.relative_to(venv) if path.is_relative_to(venv) else path


def system():
    """What Debian's packages brought for the runtime: their files, as they are loaded here."""
    import prctl
    ctypes.CDLL("libseccomp.so.2")
    with open("/proc/self/maps") as maps:
        seccomp = next(line.split()[-1] for line in maps if "/libseccomp.so" in line)
    return [importlib.util.find_spec("_prctl").origin, prctl.__file__,
            Path(seccomp).with_name("libseccomp.so.2")]  # the name that outlives an upgrade


def main(argv):
    source = Path(argv[-1])
    pinned = wanted(source.read_text())
    attempts = [[], ["--ignore-installed"]]
    if "--again" in argv:
        del attempts[0]
    elif not missing(pinned):
        attempts = []
    for more in attempts:
        words = [*pip(), *INSTALL, *more, "-r", source]
        status = subprocess.run(words, env=environment(), stdout=sys.stderr).returncode
        importlib.invalidate_caches()
        if status or not missing(pinned):
            break
    if attempts and status:
        return status
    if lost := missing(pinned):
        print(f"pip said that all was well, and yet there is no {', '.join(lost)}", file=sys.stderr)
        return 1
    print(*(system() if source.stem == "base" else ()), *witnesses(pinned), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
