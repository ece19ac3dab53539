"""`./workshop bundle` and `setup --from`: one file is all that a machine without network needs."""
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from conftest import CHECKOUT
from test_door import bare, demo, installed, run  # noqa: F401

pytestmark = pytest.mark.slow  # left out by --fast


@pytest.fixture
def packed(demo, tmp_path):
    """A clone that is not set up, a bundle of it that has one wheel, and an environment without a source of more."""
    folder, environment = demo
    file = tmp_path / "one.tar"
    made = run(CHECKOUT / ".venv/bin/python", "-I", folder / "tools" / "bundle.py", file, "--tiers", "base",
               env=environment)
    assert made.returncode == 0 and made.stdout.startswith(f"{file}: "), made
    assert "Python packages: 0.0 MB" in made.stderr
    return folder, file, {name: value for name, value in environment.items() if not name.startswith("PIP_")}


def set_up(folder, source, environment):
    return run(folder / "workshop", "setup", "--from", source, env=environment)


def test_a_clone_is_set_up_from_it_without_a_network(packed):
    folder, file, environment = packed
    with tarfile.open(file) as archive:
        names = archive.getnames()
        assert {entry.uid for entry in archive} == {0}
    assert "crabcan-bundle/crabcan/workshop" in names and not [name for name in names if "/.venv" in name]
    room = environment | {"TMPDIR": str(file.parent / "room")}
    (file.parent / "room").mkdir()
    result = set_up(folder, file, room)
    assert result.returncode == 0 and "set up without a network" in result.stderr, result
    assert installed(folder) == ["pyseccomp.py"] and not os.listdir(room["TMPDIR"])


def test_the_course_in_it_sets_itself_up(packed, tmp_path):
    _, file, environment = packed
    subprocess.run(["tar", "-xf", file, "-C", tmp_path], check=True)
    course = tmp_path / "crabcan-bundle" / "crabcan"
    result = run(course / "workshop", "setup", "--from", "..", cwd=course, env=environment)
    assert result.returncode == 0 and installed(course) == ["pyseccomp.py"], result


def test_what_is_no_bundle_or_a_bad_copy_is_told_and_changes_nothing(packed, tmp_path):
    folder, file, environment = packed
    subprocess.run(["tar", "-xf", file, "-C", tmp_path], check=True)
    whole = tmp_path / "crabcan-bundle"
    (tmp_path / "short.tar").write_bytes(file.read_bytes()[:3000])

    def spoilt(name, change):
        old = (whole / name).read_bytes()
        (whole / name).write_bytes(change(old))
        result = set_up(folder, whole, environment)
        (whole / name).write_bytes(old)
        return result

    wheel = next((whole / "wheels").iterdir()).relative_to(whole)
    for result, said in (
            (run(folder / "workshop", "setup", "--from", env=environment), "wants a FILE"),
            (set_up(folder, "nowhere.tar", environment), "nowhere.tar: no such file: "),
            (set_up(folder, tmp_path / "short.tar", environment), "short.tar: no bundle, or a part of one"),
            (set_up(folder, tmp_path, environment), "no bundle: "),
            (spoilt(wheel, lambda old: old + b"x"), "damaged (see above): copy it again"),
            (spoilt("FOR", lambda old: b"ubuntu 24.04 " + old), "it is for ubuntu 24.04 ")):
        assert result.returncode in (1, 2) and said in result.stderr.splitlines()[-1], result
        assert not (folder / ".venv").exists()


def test_what_cannot_be_made_is_one_line_and_no_file(demo, tmp_path):
    folder, environment = demo
    pack = [CHECKOUT / ".venv/bin/python", "-I", folder / "tools" / "bundle.py"]
    for words, said in (([tmp_path / "no" / "b.tar"], "not a name for a file"), ([tmp_path], "not a name for a file")):
        result = run(*pack, *words, "--tiers", "base", env=environment)
        assert result.returncode == 1 and said in result.stderr and result.stderr.count("\n") == 1, result
    result = run(*pack, tmp_path / "b.tar", "--tiers", "base", env=environment | {"PIP_FIND_LINKS": "/nowhere"})
    assert result.returncode == 1 and "Python packages of base.txt: " in result.stderr.splitlines()[-1]
    assert not list(tmp_path.glob("*.tar")) and not list(tmp_path.glob(".crabcan-bundle*"))


INSIDE = """
cd /root && tar xf b.tar && cd crabcan-bundle/crabcan && ./workshop setup --from .. && ./workshop crabcan --version
"""


def test_a_bare_debian_is_set_up_with_the_network_off(request, root, tmp_path):
    """All of it: the real packages, on a machine that has not even Python."""
    if not request.config.getoption("long"):
        pytest.skip("downloads 400 MB: --long")
    made = subprocess.run([CHECKOUT / "workshop", "bundle", tmp_path / "b.tar"], text=True, capture_output=True)
    assert made.returncode == 0, made.stderr
    suite = next(line.split("=")[1] for line in Path("/etc/os-release").read_text().splitlines()
                 if line.startswith("VERSION_CODENAME="))
    subprocess.run(["debootstrap", "--variant=minbase", suite, tmp_path / "root"], check=True, capture_output=True)
    os.rename(tmp_path / "b.tar", tmp_path / "root" / "root" / "b.tar")
    script = f'mount -t proc proc root/proc; mount --rbind /dev root/dev; chroot root sh -c "{INSIDE}"'
    result = subprocess.run(["unshare", "--net", "--mount", "--pid", "--fork", "sh", "-c", script], cwd=tmp_path,
                            text=True, capture_output=True, env={"PATH": os.environ["PATH"]})
    assert result.returncode == 0 and result.stdout.splitlines()[-1].startswith("crabcan "), result.stderr
    assert not (tmp_path / "root" / "usr" / "bin" / "python3").is_dir()
