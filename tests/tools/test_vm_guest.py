"""A guest of QEMU's: what is said when none comes up, and which disks are kept."""
import os
import shutil
import subprocess

import pytest

from vms import need, python

pytestmark = pytest.mark.slow  # left out by --fast


@pytest.mark.parametrize("words, said", [
    (["--timeout", "5"], "time is up, after 5 s. Longer: --timeout SECONDS."),
    (["--arch", "arm64", "--timeout", "5"], "time is up, after 5 s. Longer: --timeout SECONDS."),
    (["--memory", "much"], "QEMU ended: ")])
def test_a_guest_that_does_not_come_up(tmp_path, words, said):
    need("qemu-system-x86_64", "qemu-img")
    if "arm64" in words and not shutil.which("qemu-system-aarch64"):
        pytest.skip("no qemu-system-aarch64")
    (tmp_path / "disk.raw").write_bytes(bytes(1 << 20))
    result = python(NO_SYSTEM, tmp_path, *words, "true", TMPDIR=str(tmp_path))
    assert result.returncode == 1
    assert said in result.stderr
    running = subprocess.run(["ps", "-wweo", "args"], capture_output=True, text=True).stdout
    assert f"{tmp_path}/guest-" not in running, "the machine outlives us"
    assert not list(tmp_path.glob("guest-*"))


NO_SYSTEM = """
from pathlib import Path
import disks
import guest
folder = Path(sys.argv.pop(1))
disks.bare = lambda suite, arch: folder
try:
    guest.main()
except guest.Failure as failure:
    sys.exit(str(failure))
"""


IMPATIENT = """
import machine
machine.accelerators = lambda arch: ["tcg", "tcg"]
machine.PATIENCE = {"tcg": 2}
"""


def test_an_accelerator_that_hangs_is_left_for_the_next(tmp_path):
    """Two machines without a system, which never greet: each is given up, and none is left."""
    need("qemu-system-x86_64", "qemu-img")
    (tmp_path / "disk.raw").write_bytes(bytes(1 << 20))
    result = python(IMPATIENT + NO_SYSTEM, tmp_path, "--timeout", "60", "true",
                    TMPDIR=str(tmp_path))
    assert result.returncode == 1 and "QEMU ended" in result.stderr
    assert result.stderr.count("booting") == 2
    running = subprocess.run(["ps", "-wweo", "args"], capture_output=True, text=True).stdout
    assert f"{tmp_path}/guest-" not in running


def test_a_kept_disk_is_for_the_same_set_up_only(tmp_path, monkeypatch):
    """It is another one if a file that set-up reads has another text, and only then."""
    import disks
    monkeypatch.setattr(disks, "CHECKOUT", tmp_path)
    for name in ("workshop", "requirements/base.txt", "tools/vm/services", "chapters/page.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    first = disks.kept(tmp_path, "./workshop setup")
    assert disks.kept(tmp_path, "./workshop setup") == first
    assert disks.kept(tmp_path, "./workshop setup --services") != first
    (tmp_path / "chapters/page.md").write_text("mended")
    assert disks.kept(tmp_path, "./workshop setup") == first
    (tmp_path / "requirements/base.txt").write_text("one more")
    assert disks.kept(tmp_path, "./workshop setup") != first


@pytest.mark.parametrize("content, said", [
    (b"no longer a disk", "is damaged, and removed: beginning with the bare one"),
    (None, "removed: the next time begins with the bare one")])
def test_a_kept_disk_that_is_of_no_use_goes(tmp_path, content, said):
    """One that is damaged, and one (without a system) whose guest does not come up."""
    need("qemu-system-x86_64", "qemu-img")
    import disks
    (tmp_path / "disk.raw").write_bytes(bytes(1 << 20))
    after = disks.kept(tmp_path, "true")
    if content:
        after.write_bytes(content)
    else:
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", after, "1M"], check=True)
    result = python(NO_SYSTEM, tmp_path, "--keep", "--setup", "true", "--timeout", "5", "true",
                    TMPDIR=str(tmp_path))
    assert result.returncode == 1 and said in result.stderr
    assert "time is up, after 5 s" in result.stderr
    assert not after.exists()


def test_to_keep_a_disk_without_a_set_up_is_refused():
    result = python("import guest; guest.main()", "--keep", "true")
    assert result.returncode == 2 and "say --setup LINE, too" in result.stderr


def test_the_words_after_two_dashes_are_the_command():
    result = python("import guest; print(guest.options().command)", "--", "uname", "-a")
    assert result.stdout == "['uname', '-a']\n"


def test_kept_disks_that_nobody_uses_go(tmp_path):
    import disks
    new, old, disk = tmp_path / "after-1.qcow2", tmp_path / "after-2.qcow2", tmp_path / "overlay"
    old.touch()
    os.utime(old, (0, 0))
    disk.write_text("a disk")
    disks.keep(disk, new)
    assert new.read_text() == "a disk" and sorted(tmp_path.iterdir()) == [new, disk]
