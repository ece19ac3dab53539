"""Broken code, run as root, does not reach the machine; and the tests judge what is their own."""
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import apart
from conftest import CHECKOUT, Who, gone, wait_for

pytestmark = pytest.mark.slow  # left out by --fast

NAME = "conftests-machine"
# In one more UTS namespace, lest it is the machine's name after all that is lost.
AROUND = 'hostname "$1" && shift && "$@"; echo "status $?, still $(uname -n)"'


@pytest.fixture
def copy(tmp_path):
    """The project, to be broken."""
    for name in ("crabcan_steps", "crabcan_workshop", "pyproject.toml", "tests"):
        source = CHECKOUT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    return tmp_path


def inner(copy, *words, prefix=()):
    return subprocess.run([*prefix, sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *words],
                          cwd=copy, text=True, capture_output=True, timeout=Who.patience)


def broken(copy, file, old, new):
    path = copy / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_code_that_renames_the_host_renames_only_the_tests(root, copy):
    broken(copy, "crabcan_steps/ch03_hostname.py", "linux.CLONE_NEWUTS, Stage", "0, Stage")
    result = inner(copy, "tests/test_ch03_hostname.py", "-k", "root",
                   prefix=["unshare", "--uts", "sh", "-c", AROUND, "sh", NAME])
    assert f"status 1, still {NAME}\n" in result.stdout, result.stdout
    assert "the hostname was changed, from" in result.stdout


ORPHAN = "import subprocess; subprocess.Popen(['setsid', 'sleep', '1000'])"
LEAVES = f"""
import subprocess, sys
def test_mount(): subprocess.run(["mount", "--bind", "/mnt", "/mnt"], check=True)
def test_name(): subprocess.run(["hostname", "left"], check=True)
def test_process(): subprocess.run([sys.executable, "-c", {ORPHAN!r}])
def test_file(): open("/tmp/LEFT", "w").close()
def test_good(): pass
"""


def test_what_is_left_behind_is_told_and_put_back(root, copy):
    left = Path(f"/tmp/crabcan-left-{copy.name}")  # not what a broken run of ours has left
    (copy / "tests" / "test_leaves.py").write_text(LEAVES.replace("/tmp/LEFT", str(left)))
    before = os.uname().nodename, apart.mounts(), set(os.listdir("/tmp"))
    result = inner(copy, "-v", "tests/test_leaves.py")
    left.unlink(missing_ok=True)  # a copy in /tmp has no /tmp of its own
    out = result.stdout
    assert result.returncode == 1 and "5 passed" in out and "3 errors" in out, out
    assert "the mounts were changed: /mnt /mnt " in out and "the hostname was changed" in out
    assert "left behind: processes: (" in out and "sleep 1000" in out
    assert f"left behind: temporary files: {left}" in out
    [orphan] = set(re.findall(r"processes: \('(\d+)'", out))  # CI's summary says it again
    assert gone(orphan), "told of, and ended"
    assert (os.uname().nodename, apart.mounts(), set(os.listdir("/tmp"))) == before


WAITS = """
import pathlib, time
def test_it():
    pathlib.Path("begun").touch()
    while not pathlib.Path("go").exists(): time.sleep(0.05)
"""


def test_others_are_not_judged(root, copy):
    """A container of somebody else's begins while the tests run, and is there when they end."""
    (copy / "tests" / "test_waits.py").write_text(WAITS)
    with ThreadPoolExecutor(1) as pool:
        judged = pool.submit(inner, copy, "tests/test_waits.py")
        assert wait_for((copy / "begun").exists, 30)
        with root.start("run", "--memory", "32M", "--", "sh", "-c", "echo up; read x") as other:
            assert other.ready() == "up"
            assert [path for path in apart.cgroups() if f"-{other.runtime}-" in path]
            (copy / "go").touch()
            result = judged.result()
    assert result.returncode == 0, result.stdout


ALONGSIDE = """
import sys
sys.path[:0] = {paths!r}
import apart
apart.APART.append("namespaces")  # our parent's mounts stand for the machine's
kept = apart.Kept()
print("ready", flush=True)
sys.stdin.readline()
print(list(kept.broken()))
"""
BESIDE = """
mount --make-rprivate /
coproc unshare --mount "$@"
read -r word <&"${COPROC[0]}"
mount -t tmpfs none "$PLACE"
echo >&"${COPROC[1]}"
cat <&"${COPROC[0]}"
"""


def test_what_others_mount_privately_is_not_judged(root, tmp_path):
    """As podman does with its store: the machine's table has it, and ours never had."""
    inner = ALONGSIDE.format(paths=[str(CHECKOUT), str(CHECKOUT / "tests")])
    words = ["unshare", "--mount", "bash", "-c", BESIDE, "bash", sys.executable, "-P", "-c", inner]
    out = subprocess.run(words, text=True, capture_output=True, timeout=60, env={**os.environ, "PLACE": str(tmp_path)})
    assert out.stdout.strip() == "[]", out


def test_no_namespaces_are_one_line(root, copy):
    result = inner(copy, "tests/test_ch03_hostname.py",
                   prefix=["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"])
    assert result.returncode == 4 and result.stdout == "", result
    lines = [line for line in result.stderr.splitlines() if line]
    assert len(lines) == 1 and "no container can be made here" in lines[0], lines
    assert "./workshop doctor" in lines[0]


def test_pythonpath_does_not_reach_what_the_tests_start(copy):
    (copy / "elsewhere").mkdir()
    (copy / "elsewhere" / "prctl.py").write_text("raise SystemExit('the wrong prctl')")
    (copy / "tests" / "test_path.py").write_text(
        "import os\ndef test_it(): assert not [name for name in os.environ if name == 'PYTHONPATH']")
    result = subprocess.run([sys.executable, "-I", "-m", "pytest", "tests/test_path.py"], cwd=copy, text=True,
                            capture_output=True, env=os.environ | {"PYTHONPATH": str(copy / "elsewhere")})
    assert result.returncode == 0, result.stdout


def test_what_a_run_leaves_is_removed_however_deep(tmp_path):
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    apart.clear(tmp_path / "d")
    assert not os.listdir(tmp_path)
