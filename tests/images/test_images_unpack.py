"""Unpacking, compared with umoci's: content, mode, owner, times, attributes, over images made to be odd."""
import json
import os
import shutil
import stat
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest

from making import Layout, folder as directory, member, tar
from registries import need
from scan import scan

SCAN = Path(__file__).with_name("scan.py")
BASE = tar(directory("etc", mode=0o750, uid=1, gid=2), member("etc/one", "1"), member("etc/two", "2", mode=0o4755),
           directory("usr"), directory("usr/lib", uid=7), member("usr/lib/x", "x" * 5000, uid=33, gid=34),
           member("lib", kind="symlink", linkname="usr/lib"), directory("var"), directory("var/log"), member("var/log/a", "a"))
OURS = {}
HOLES = [(0, 4096), (1 << 20, 4096)]


def pax(name, text="x", **records):
    info, data = member(name, text)
    info.pax_headers = {key.replace("__", "."): value for key, value in records.items()}
    return info, data


CASES = {
    "plain": [BASE],
    "file replaced": [BASE, tar(member("etc/one", "new", mode=0o600, uid=5))],
    "only the mode changed": [BASE, tar(member("etc/one", "1", mode=0o600))],
    "directory replaced by a file": [BASE, tar(member("var", "a file"))],
    "file replaced by a directory": [BASE, tar(directory("etc/one"), member("etc/one/in", "in"))],
    "link replaced by a directory": [BASE, tar(directory("lib"), member("lib/y", "y"))],
    "directory replaced by a link": [BASE, tar(member("var", kind="symlink", linkname="etc"))],
    "whiteout of a file": [BASE, tar(directory("etc", mode=0o750), member("etc/.wh.one"))],
    "whiteout of a directory": [BASE, tar(member(".wh.var"))],
    "whiteout of a link": [BASE, tar(member(".wh.lib"))],
    "whiteout of nothing": [BASE, tar(member("etc/.wh.none"), member("etc/three", "3"))],
    "whiteout, then anew two layers later": [BASE, tar(member("etc/.wh.one")), tar(member("etc/one", "again"))],
    "whiteout and file of one layer": [BASE, tar(member("etc/.wh.one"), member("etc/one", "new"))],
    "whiteout and directory of one layer": [BASE, tar(member(".wh.var"), directory("var"), member("var/new", "n"))],
    "opaque, in front": [BASE, tar(directory("var"), member("var/.wh..wh..opq"), member("var/new", "n"))],
    "opaque in the lowest layer": [tar(directory("d"), member("d/.wh..wh..opq"), member("d/x", "x"))],
    "opaque, then filled again": [BASE, tar(directory("var"), member("var/.wh..wh..opq")), tar(directory("var/log"), member("var/log/b", "b"))],
    "hard links": [tar(member("a", "same"), member("b", kind="link", linkname="a"), member("c", kind="link", linkname="./b"))],
    "a hard link to an absolute name": [tar(member("a", "same"), member("b", kind="link", linkname="/a"))],
    "a hard link into a directory that is a link": [BASE, tar(member("usr/lib/z", "z"), member("z", kind="link", linkname="lib/z"))],
    "a hard link to what the layer then hides": [BASE, tar(member("h", kind="link", linkname="var/log/a"), member(".wh.var"))],
    "a hard link to what the layer hides, and fills anew": [BASE, tar(member("h", kind="link", linkname="var/log/a"), member(".wh.var"),
                                                                      member("var/new", "n"))],
    "set-user-ID and sticky": [tar(member("s", "s", mode=0o6755), directory("t", mode=0o3777))],
    "times before 1970 and below a second": [tar(pax("old", mtime="-86400.5"), pax("sub", mtime="1600000000.123456789"))],
    "names of 200 letters and more": [tar(member("n" * 200, "n"), member("/".join(["d" * 100] * 8) + "/x", "x"))],
    "GNU's long names": [tar(member("n" * 200, "n"), member("l", kind="symlink", linkname="t" * 300), format=tarfile.GNU_FORMAT)],
    "names that are no UTF-8": [tar(member("caf\udce9", "x"), format=tarfile.GNU_FORMAT)],
    "names with a new line": [tar(member("a\nb", "x"))],
    "an absolute name": [tar(directory("/d"), member("/d/x", "x"), member("./d/./y", "y"))],
    "a name that leads up": [tar(directory("d"), member("d/../../e", "e"), member("../f", "f"))],
    "devices and a FIFO": [tar(member("null", kind="char", devmajor=1, devminor=3, mode=0o666), member("disk", kind="block", devmajor=7, devminor=1),
                               member("pipe", kind="fifo"))],
    "extended attributes": [tar(pax("x", SCHILY__xattr__user__one="1"), pax("cap", SCHILY__xattr__security__capability="\1\0\0\2\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0"))],
    "an entry twice": [tar(member("a", "first"), member("a", "second", mode=0o600), directory("d"), member("d/x", "x"), directory("d", mode=0o700))],
    "directories without an entry": [BASE, tar(member("etc/deep/er/x", "x"), member("new/dir/y", "y"))],
    "below a link of a lower layer": [BASE, tar(member("lib/added", "added"))],
    "an empty layer": [BASE, tar()],
    "large ids": [tar(member("a", "a", uid=65_533, gid=60_000), member("b", "b", uid=65_534, gid=65_534))],
    "no mode at all": [tar(member("a", "a", mode=0), directory("d", mode=0), member("d/x", "x"))],
}


PULL = """
import hashlib, json, subprocess, sys
from crabcan_steps.images.found import Options
from crabcan_steps.images.pull import pull
from crabcan_steps.images.store import Store
folder, mount = sys.argv[1], sys.argv[2].split()
store, chains = Store(folder + "/store"), {}
Options.quiet = True
for case in range(int(sys.argv[3])):
    chains[case] = pull(store, f"oci:{folder}/{case}", Options, f"case{case}").chains()
sys.stdout.flush()
result = subprocess.run([*mount, "python3", folder + "/scan.py", folder, json.dumps(chains)])
sys.exit(result.returncode)
"""


def made(path, *compressions):
    """All cases as layouts, and the scanner, where everybody can read them."""
    for at, case in enumerate(CASES):
        Layout(path / str(at)).image(*CASES[case], compress=compressions[at % len(compressions)])
    (path / "scan.py").write_text(SCAN.read_text())


@pytest.fixture(scope="module")
def expected():
    """What umoci makes of each case."""
    need("umoci")
    if os.geteuid() != 0:
        pytest.skip("umoci gives files their owners as root only")
    found = {}
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        made(Path(folder), "gzip")  # it knows no zstd
        for at, case in enumerate(CASES):
            result = subprocess.run(["umoci", "unpack", "--image", f"{folder}/{at}:latest", f"{folder}/{at}.out"],
                                    capture_output=True, text=True)
            found[case] = scan(f"{folder}/{at}.out/rootfs") if result.returncode == 0 else result.stderr
    return found


@pytest.fixture(scope="module")
def ours():
    """{user: what the overlay of our layers shows of each case}, made once for each, also for other files."""
    return OURS


def shown(who, found):
    """All cases pulled by one process, and mounted as a container's root is."""
    if who.name not in found:
        with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
            made(Path(folder), *(["gzip", "zstd", "none"] if shutil.which("zstd") else ["gzip", "none"]))
            os.chmod(folder, 0o755)
            if os.geteuid() == 0:
                os.chown(folder, who.uid, who.uid)
            spaces = "unshare -m" if who.root else "unshare --map-auto --map-root-user -m"
            result = who.script(PULL, folder, spaces, len(CASES))
            assert result.returncode == 0, result.stderr
            found[who.name] = dict(zip(CASES, json.loads(result.stdout)))
            if os.geteuid() != 0:
                subprocess.run([*spaces.split(), "rm", "-rf", f"{folder}/store"], check=True)
    return found[who.name]


def told(tree, ordinary):
    """What is compared. Times that nobody gave are those of the run; an ordinary user has no devices."""
    kept = {}
    for path, one in tree.items():
        kept[path] = one = dict(one)
        if one["mtime"] > 1_700_000_000 * 10**9:
            one["mtime"] = None
        if ordinary:
            one["xattrs"] = {key: value for key, value in one["xattrs"].items() if key.startswith("user.")}
            if one["kind"] in (stat.S_IFCHR, stat.S_IFBLK):
                one["kind"], one["content"] = stat.S_IFREG, None
            if one.get("size") == 0:
                one["content"] = None
        one.pop("size", None)
    kept.pop(".")
    return kept


@pytest.mark.parametrize("case", CASES)
def test_it_is_as_umoci_has_it(who, ours, expected, case):
    found, wanted = told(shown(who, ours)[case], not who.root), told(expected[case], not who.root)
    if case == "directories without an entry":  # umoci gives the one above them the time of the unpacking
        assert wanted["etc"].pop("mtime") is None and found["etc"].pop("mtime")
    assert found == wanted
