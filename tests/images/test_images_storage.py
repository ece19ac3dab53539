"""Unpacking, compared with a second program's: containers-storage's, which podman, buildah and CRI-O have.

It unpacks each layer without looking at those below, so it can't know of some things what umoci and we do.
"""
import json
import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from registries import need
from test_images_unpack import CASES, made, ours, shown, told  # noqa: F401

BELOW = "a directory without an entry is 0755 and root's, whatever it is below"
REFUSED = "refused"
DIFFERS = {
    "file replaced": BELOW, "only the mode changed": BELOW, "file replaced by a directory": BELOW, "whiteout of nothing": BELOW,
    "whiteout, then anew two layers later": BELOW, "whiteout and file of one layer": BELOW, "directories without an entry": BELOW,
    "below a link of a lower layer": BELOW, "opaque, then filled again": BELOW,
    "whiteout and directory of one layer": "what was in the directory shows through",
    "times before 1970 and below a second": "there is none before 1970",
    "a hard link into a directory that is a link": REFUSED, "an entry twice": REFUSED,
    "a hard link to what the layer then hides": REFUSED, "a hard link to what the layer hides, and fills anew": REFUSED}
SAME = [case for case in CASES if case not in DIFFERS]
MOUNT = """
import json, subprocess, sys
sys.path[:0] = [sys.argv[1]]
from scan import scan
names = sys.argv[3:]
podman = ["podman", "--root", sys.argv[2] + "/root", "--runroot", sys.argv[2] + "/run", "--storage-driver", "overlay", "image", "mount"]
print(json.dumps([scan(subprocess.run([*podman, name], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()) for name in names]))
"""


@pytest.fixture(scope="module")
def stored(request):
    """{case: what containers-storage shows}; some of them, or with --long all."""
    need("skopeo", "podman")
    if os.geteuid() != 0:
        pytest.skip("as root only")
    chosen = SAME if request.config.getoption("long") else SAME[::5]
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        made(Path(folder), "gzip")
        names = [f"localhost/{list(CASES).index(case)}:1" for case in chosen]
        copies = "".join(f"skopeo --insecure-policy copy -q oci:{folder}/{name[10:-2]}:latest "
                         f"'containers-storage:[overlay@{folder}/root+{folder}/run]{name}' || exit 1; " for name in names)
        # in a mount namespace of its own, as it leaves mounts behind
        result = subprocess.run(["unshare", "-m", "sh", "-c", f'{copies} exec "$@"', "sh", "python3", "-c", MOUNT, Path(__file__).parent, folder, *names],
                                capture_output=True, text=True, timeout=110)
        assert result.returncode == 0, result.stderr
        return dict(zip(chosen, json.loads(result.stdout)))


def test_it_is_as_containers_storage_has_it(root, ours, stored):  # noqa: F811
    mine = shown(root, ours)
    assert {case: told(mine[case], False) for case in stored} == {case: told(tree, False) for case, tree in stored.items()}
    assert len(stored) > 4


def test_the_other_program_is_asked_about_most():
    assert len(SAME) > len(DIFFERS) and set(DIFFERS) <= set(CASES)
