"""tools/suites.py: its words, and what stands between others' tests and the runtimes."""
import subprocess
import sys
import tarfile

import pytest

from conftest import CHECKOUT, gone, wait_for

sys.path.append(str(CHECKOUT))
from tools.suites_of import common, crun, runc, runtime_tools  # noqa: E402


def suites(*words):
    return subprocess.run([sys.executable, "-I", CHECKOUT / "tools/suites.py", *words], text=True, capture_output=True,
                          timeout=100, stdin=subprocess.DEVNULL)


def test_its_words(root, tmp_path):
    assert "examples:" in suites("--help").stdout
    result = suites("--suite", "runtime-tools", "--runtimes", "ours")
    if result.returncode != 1 or "--runtime-tools DIR" not in result.stderr:
        assert "no ours: ./workshop setup" in result.stderr
    assert "no youki; they are ours, runc, crun" in suites("--runtimes", "youki").stderr


def test_runc_gets_the_options_it_knows(tmp_path):
    (tmp_path / "runc").write_text(crun.WITHOUT.format(runtime="printf '%s|'"))
    (tmp_path / "other.json").write_text("{}")
    said = subprocess.run(["sh", tmp_path / "runc", "--root", "a b", "--cgroup-manager", "cgroupfs", "run", "--config",
                           "other.json", "id"], cwd=tmp_path, text=True, capture_output=True)
    assert said.stdout == "--root|a b|run|id|" and (tmp_path / "config.json").read_text() == "{}"


def test_the_root_file_system_of_others_tests(tmp_path):
    try:
        common.busybox(tmp_path / "root.tar.xz", {"ldconfig": "/sbin/ldconfig"})
    except common.image.EngineError as error:
        pytest.skip(str(error))
    with tarfile.open(tmp_path / "root.tar.xz") as archive:
        names = archive.getnames()
    assert "./bin/sh" in names and "./sbin/ldconfig" in names and "./proc" not in names  # a test makes a link of it


def test_what_does_not_end_is_ended(root):
    said, in_time = common.printed(["sh", "-c", "echo $$; setsid sleep 60 & echo $!; wait"], 1)
    assert not in_time
    assert wait_for(lambda: all(gone(int(pid)) for pid in said.split()))
    assert common.printed(["echo", "x"], 10) == ("x\n", True)


def test_results_are_read_as_they_are_printed():
    assert runc.LINE.fullmatch("not ok 12 runc exec").group(1, 2, 3) == ("not ok", "runc exec", None)
    assert runc.LINE.fullmatch("ok 3 a [b] # skip test requires criu").group(2, 3)[1]
    assert crun.LINE.fullmatch("ok 1 - mount-ro #SKIP").group(2, 3) == ("mount-ro", " #SKIP")
    assert crun.LINE.fullmatch("not ok 1 - mount-ro").group(1) == "not ok"


def test_failures_have_reasons(tmp_path):
    given = type("Given", (), {"runtime_tools": None, "go": "go"})
    assert "the name runc" in runc.Suite(tmp_path, given).reason("version.bats: runc version")
    assert "SELinux" in runtime_tools.Suite(tmp_path, given).reason("linux_mount_label")
