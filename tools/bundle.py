#!/usr/bin/env python3
"""Puts all that a room without network needs into one file: the course, the Python packages, Debian's, the book.

bundle.py [FILE] [TIER ...] is called by ./workshop bundle; tools/offline.sh sets up from what it makes.
"""
import argparse
import gzip
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(CHECKOUT), str(CHECKOUT / "tools")]

import packages  # noqa: E402
from crabcan_steps import __version__  # noqa: E402
from crabcan_workshop import words  # noqa: E402

NAME = "crabcan-bundle"
NOT_COURSE = {".git", ".venv", ".venv.new", "build", "site", ".vagrant", "__pycache__", ".pytest_cache",
              ".hypothesis", ".ipynb_checkpoints"}
README = """Crabcan, step by step, for a room without network: {machine}.

    tar xf {name}.tar
    cd {name}/crabcan
    ./workshop setup --from ..

The last line asks for root's rights (sudo) where Debian packages are missing. The book is there without
any of it: {name}/book/index.html, for a browser. SHA256SUMS: sha256sum -c tells a bad copy.
"""
APT = ("apt-get", "-q", "-y", "--no-install-recommends", "-o", "Debug::NoLocking=1",
       "-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache=")


class BundleError(Exception):
    """What stands in the way, in one line."""


def options(argv):
    parser = words.Parser(prog=f"{words.NAME} bundle", description=__doc__.split("\n")[0],
                          epilog=f"In the room: tar xf {NAME}.tar; cd {NAME}/crabcan; ./workshop setup --from ..")
    parser.add_argument("file", nargs="?", type=Path, default=Path(f"{NAME}.tar"), metavar="FILE",
                        help=f"where ({NAME}.tar): it is for machines with this one's Debian and processor")
    parser.add_argument("--no-browser", action="store_true",
                        help="without the browser that tests the book: 160 MB less")
    parser.add_argument("--words", action="store_true", help=argparse.SUPPRESS)  # only looks at them
    parser.add_argument("--tiers", nargs="+", help=argparse.SUPPRESS)
    parser.add_argument("--debian", nargs="*", help=argparse.SUPPRESS)  # which packages: ./workshop says
    return parser.parse_args(argv)


def machine():
    """For which machines it is: "debian 12 amd64 python3.11"."""
    release = platform.freedesktop_os_release()
    arch = subprocess.run(["dpkg", "--print-architecture"], text=True, capture_output=True).stdout.strip()
    return f"{release['ID']} {release.get('VERSION_ID', '?')} {arch} python{sys.version_info[0]}.{sys.version_info[1]}"


def said(command, what, **more):
    """Runs a command quietly. Raises BundleError with its last line."""
    result = subprocess.run(list(map(str, command)), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more)
    if result.returncode:
        last = [line for line in result.stdout.splitlines() if line.strip()] or [f"status {result.returncode}"]
        raise BundleError(f"{what}: {last[-1].strip()}")


def course(folder):
    """The course as it stands here: what git does not ignore, or, without git, all but what was made."""
    found = subprocess.run(["git", "-c", f"safe.directory={CHECKOUT}", "ls-files", "-z", "--cached",
                            "--others", "--exclude-standard"], cwd=CHECKOUT,
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) if (CHECKOUT / ".git").exists() else None
    if found and found.returncode == 0:
        names = [os.fsdecode(name) for name in found.stdout.split(b"\0") if name]
    else:
        names = []
        for top, below, files in os.walk(CHECKOUT):
            below[:] = [name for name in below if name not in NOT_COURSE]
            names += [os.path.relpath(os.path.join(top, name), CHECKOUT) for name in files]
    for name in names:
        if os.path.lexists(CHECKOUT / name):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / name, folder / name, follow_symlinks=False)


def wheels(folder, tiers):
    """What pip would fetch, by the hashes of requirements/."""
    folder.mkdir()
    for tier in tiers:
        said([*packages.pip(), "download", *(word for word in packages.INSTALL[1:] if word != "--no-compile"),
              "-d", folder, "-r", CHECKOUT / "requirements" / f"{tier}.txt"], f"Python packages of {tier}.txt",
             env=packages.environment())


def debian(folder, wanted):
    """The packages, with all that they need on a machine where nothing is installed; and their index."""
    (folder / "partial").mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="crabcan-apt-") as state:
        Path(state, "lists", "partial").mkdir(parents=True)
        Path(state, "status").touch()
        apt = [*APT, "-o", f"Dir::State::lists={state}/lists", "-o", f"Dir::State::status={state}/status",
               "-o", f"Dir::Cache::archives={folder}", "-o", "APT::Sandbox::User=root"]
        said([*apt, "update"], "apt-get update")
        said([*apt, "install", "--download-only", *wanted], "Debian packages")
    shutil.rmtree(folder / "partial")
    (folder / "lock").unlink(missing_ok=True)
    with gzip.open(folder / "Packages.gz", "wt") as index:
        for path in sorted(folder.glob("*.deb")):
            about = subprocess.run(["dpkg-deb", "-f", path], text=True, check=True, stdout=subprocess.PIPE).stdout
            index.write(f"{about.rstrip()}\nFilename: ./{path.name}\nSize: {path.stat().st_size}\nSHA256: {digest(path)}\n\n")


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def size(folder):
    return sum(path.lstat().st_size for path in folder.rglob("*"))


def parts(chosen):
    """(directory, what it is, who fills it), in order."""
    yield "crabcan", "the course", course
    yield "wheels", "Python packages", lambda folder: wheels(folder, chosen.tiers)
    if chosen.debian:
        yield "debs", "Debian packages", lambda folder: debian(folder, chosen.debian)
    if "book" in chosen.tiers:
        yield "book", "the book", lambda folder: said([
            sys.executable, "-I", CHECKOUT / "tools/book/serve.py", "--build", "--site", folder], "the book")


def main(argv):
    chosen, began = options(argv), time.monotonic()
    target = chosen.file.absolute()
    if not target.parent.is_dir() or target.is_dir():
        raise BundleError(f"{chosen.file}: not a name for a file in a directory that is there")
    if chosen.words:
        return
    with tempfile.TemporaryDirectory(prefix=".crabcan-bundle-", dir=target.parent) as room:
        whole = Path(room, NAME)
        whole.mkdir()
        for name, what, fill in parts(chosen):
            print(f"workshop: [{time.monotonic() - began:.0f} s] {what} ...", file=sys.stderr, flush=True)
            fill(whole / name)
            print(f"workshop: [{time.monotonic() - began:.0f} s] {what}: {size(whole / name) / 1e6:.1f} MB", file=sys.stderr)
        (whole / "FOR").write_text(f"{machine()}\n{' '.join(chosen.tiers)}\n{__version__}\n")
        (whole / "README.txt").write_text(README.format(name=NAME, machine=machine()))
        files = sorted(path for path in whole.rglob("*") if path.is_file() and not path.is_symlink())
        (whole / "SHA256SUMS").write_text("".join(f"{digest(path)}  {path.relative_to(whole)}\n" for path in files))
        said(["tar", "-cf", Path(room, "tar"), "--owner=root:0", "--group=root:0", "-C", room, NAME], "tar")
        os.replace(Path(room, "tar"), target)
    print(f"{target}: {target.stat().st_size / 1e6:.0f} MB, for {machine()}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
    except (BundleError, OSError) as error:
        sys.exit(f"workshop: bundle: {error}")
