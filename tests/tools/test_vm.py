"""The machine that students get, as far as none is needed to tell: tools/vm/check has the rest."""
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from vms import CHECKOUT, TOOLS, need, python

pytestmark = pytest.mark.slow  # left out by --fast


@pytest.fixture
def vagrant(tmp_path):
    """Runs vagrant in a copy of the Vagrantfile, with an empty home: no plugin, no box."""
    need("vagrant")
    shutil.copy(CHECKOUT / "Vagrantfile", tmp_path)

    def run(*words, **settings):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("CRABCAN_")}
        environment |= {"VAGRANT_HOME": str(tmp_path / "home"), "VAGRANT_CHECKPOINT_DISABLE": "1",
                        "VAGRANT_SERVER_URL": "http://127.0.0.1:9", "VAGRANT_NO_COLOR": "1",
                        "VAGRANT_DEFAULT_PROVIDER": "libvirt"}
        environment |= {f"CRABCAN_{name}": value for name, value in settings.items()}
        return subprocess.run(["vagrant", *words], cwd=tmp_path, env=environment, text=True,
                              capture_output=True, timeout=100)
    return run


@pytest.mark.parametrize("settings", [{}, {"SUITE": "bookworm", "CPUS": "4", "EMULATE": "1"}])
def test_the_vagrantfile_is_valid(vagrant, settings):
    if "vagrant-libvirt" not in vagrant("plugin", "list").stdout:
        pytest.skip("vagrant knows nothing of libvirt here")
    result = vagrant("validate", **settings)
    assert result.returncode == 0, result.stdout + result.stderr


def test_what_a_box_for_arm64_says_of_itself_is_valid(vagrant, tmp_path):
    import boxfiles
    assert "Vagrantfile" not in boxfiles.for_provider("libvirt", None, 1 << 30, "amd64")
    own = boxfiles.for_provider("libvirt", None, 1 << 30, "arm64")["Vagrantfile"]
    if "vagrant-libvirt" not in vagrant("plugin", "list").stdout:
        pytest.skip("no vagrant-libvirt, which knows its settings")
    (tmp_path / "Vagrantfile").write_text(own)
    result = vagrant("validate")
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("name, value", [("SUITE", "sid"), ("CPUS", "0"), ("MEMORY", "2G"),
                                         ("LAB_PORT", "88888"), ("BOOK_PORT", "book")])
def test_a_setting_that_cannot_be_is_named(vagrant, name, value):
    result = vagrant("validate", **{name: value})
    assert result.returncode != 0
    assert f"CRABCAN_{name}={value}" in result.stderr


def test_without_any_box_the_ways_out_are_said(vagrant):
    result = vagrant("up", "--provider", "virtualbox")
    assert result.returncode != 0
    for way in "./workshop box", "CRABCAN_BOX_URL", "chapters/95-machine.md":
        assert way in result.stderr


def test_the_disk_has_one_active_partition():
    import bootable
    record = bytes(440) + bootable.partitions((0x83, 2048 * 512, 40000 * 512))
    assert len(record) == 512 and record[510:] == b"\x55\xaa"
    assert record[446] == 0x80 and record[450] == 0x83
    assert int.from_bytes(record[454:458], "little") == 2048
    assert int.from_bytes(record[458:462], "little") == 40000
    assert not any(record[462:510])


def test_a_disk_for_efi_has_a_second_partition():
    import bootable
    wanted = (0xEF, 2048 * 512, 4096 * 512), (0x83, 6144 * 512, 1024)
    record = bytes(440) + bootable.partitions(*wanted)
    assert len(record) == 512 and record[510:] == b"\x55\xaa"
    assert [record[446], record[450], record[462], record[466]] == [0x80, 0xEF, 0, 0x83]
    assert int.from_bytes(record[470:474], "little") == 6144
    assert int.from_bytes(record[474:478], "little") == 2


def test_a_disk_wants_root(tmp_path):
    nobody = ["setpriv", "--reuid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    result = python("import image; image.ready(sys.argv[1], 'amd64')", tmp_path, prefix=nobody)
    assert "needs root: the same command again, with sudo" in result.stderr


def test_a_disk_that_does_not_fit_says_how_much_it_wants(tmp_path, root):
    small = ["unshare", "--mount", "sh", "-c",
             'mount -t tmpfs -o size=64m none "$0" && exec "$@"', tmp_path]
    result = subprocess.run([*small, sys.executable, TOOLS / "guest.py", "--only-disk"], text=True,
                            env=os.environ | {"XDG_CACHE_HOME": str(tmp_path)}, capture_output=True)
    assert result.returncode == 1
    said = f"{tmp_path}/crabcan-guests has 64 MiB left, and 5120 MiB are needed"
    assert said in result.stderr


def test_a_disk_without_a_way_to_debian(tmp_path, root):
    need("debootstrap")
    result = python(NO_MIRROR, tmp_path)
    assert result.returncode == 1
    assert f"debootstrap failed (all of it: {tmp_path}/log). Is the network there?" in result.stderr


NO_MIRROR = """
from pathlib import Path
import image
image.mirror = lambda: ["http://127.0.0.1:9/debian"]
folder = Path(sys.argv[1])
with open(folder / "log", "wb") as log:
    image.tree(folder / "root", "trixie", image.processors.HERE, "", False, log)
"""


INSIDE = """
import image
with open(sys.argv[1], "wb") as log:
    image.inside("/", image.processors.HERE, "sh", "-c", "[ -z $TMPDIR ]", log=log)
"""


def test_the_tree_s_own_commands_are_not_sent_to_our_temporary_files(tmp_path, root):
    result = python(INSIDE, tmp_path / "log", TMPDIR=str(tmp_path))
    assert result.returncode == 0, result.stderr


# ---------------------------------------------------------------- other processors

def ready(change, folder):
    """What image.ready says of arm64, on a machine that has been changed."""
    text = "import arch, image\nfrom pathlib import Path\narch.HERE, image.TOOLS = 'amd64', {}\n"
    return python(text + change + "image.ready(sys.argv[1], 'arm64')", folder).stderr


def test_the_packages_for_another_processor_are_named(tmp_path, root):
    said = ready("""
arch.entry = lambda arch: Path('/missing')
arch.ARCHES['arm64'] = arch.ARCHES['arm64']._replace(needs={'/missing, too': 'mtools'})
""", tmp_path)
    assert "something is missing here: apt-get install mtools qemu-user-static" in said


def test_a_kernel_that_hands_programs_to_nobody(tmp_path, root):
    said = ready("""
arch.missing, arch.known, arch.apart = lambda _: set(), lambda _: False, lambda _: ['false']
""", tmp_path)
    assert "no program for arm64 runs here: " in said
    assert "systemctl restart systemd-binfmt" in said


@pytest.fixture
def other(root):
    """A processor that is not this machine's, and whose programs can run here."""
    import arch
    [other] = set(arch.ARCHES) - {arch.HERE}
    if not arch.entry(other).exists():
        pytest.skip("no qemu-user-static")
    if arch.known(other) or not arch.runs(other):
        pytest.skip("the machine's own table has it, or there is no other (before Linux 6.7)")
    return other


def test_another_processor_s_programs_run_in_a_namespace_only(other):
    import arch
    name = f"/proc/sys/fs/binfmt_misc/qemu-{arch.ARCHES[other].machine}"
    script = f"cat {name} /proc/self/uid_map /proc/self/gid_map; id -u; readlink /proc/self/ns/user"
    result = subprocess.run([*arch.apart(other), "sh", "-c", script], text=True,
                            capture_output=True)
    lines = result.stdout.splitlines()
    assert result.returncode == 0 and lines[0] == "enabled", result.stderr
    ids = [Path("/proc/self", ids).read_text().split() for ids in ("uid_map", "gid_map")]
    inside = [line.split() for line in lines[-4:-2]]
    assert [i[2] for i in inside] == [i[2] for i in ids], "not all ids"
    assert all(i[0] == i[1] for i in inside), "an id has another number outside"
    assert lines[-2] == "0" and lines[-1] != os.readlink("/proc/self/ns/user")
    assert not os.path.exists(name), "the whole machine has it"


def test_what_is_killed_apart_leaves_nothing(other):
    import arch
    script = "echo $0; exec sleep 98765"
    process = subprocess.Popen([*arch.apart(other), "sh", "-c", script, "here"],
                               stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"here\n"
    process.kill()
    assert process.stdout.read() == b"", "open until the last of it has gone"
    process.wait()


@pytest.mark.parametrize("tool, words, said", [
    ("guest", ["--arch", "riscv64", "true"], "invalid choice: 'riscv64'"),
    ("box", ["--arch", "arm64", "--virtualbox"], "is for amd64 only: for arm64, leave it out")])
def test_a_processor_that_cannot_be_is_refused(tool, words, said):
    result = python(f"import {tool}; {tool}.options()", *words)
    assert result.returncode == 2 and said in result.stderr
