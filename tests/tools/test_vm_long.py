"""Whole machines, with --long: Debian 12 as a classroom, and `vagrant up` with libvirt."""
import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request

import pytest

from conftest import CHECKOUT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7500)]
BOOK, LAB = "http://127.0.0.1:8000/", "http://127.0.0.1:8888/api/status"


@pytest.fixture(autouse=True)
def long(request):
    if not request.config.getoption("--long"):
        pytest.skip("half an hour: only with --long")
    if os.geteuid() != 0:
        pytest.skip("not root, as whom a disk is made")


def run(*command, seconds=3600, **more):
    """Runs a command that must succeed; shows what it says as it says it; returns nothing."""
    print("+", *command, flush=True)
    assert subprocess.run(command, cwd=CHECKOUT, timeout=seconds,
                          **{"stdin": subprocess.DEVNULL} | more).returncode == 0


def test_debian_12_is_a_classroom():
    run("./workshop", "guest", "--suite", "bookworm", "--timeout", "3500",
        "--setup", "./workshop setup --services", "tools/vm/check")


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_a_class(suite):
    """From nothing: sessions, attacks, kills, the plug pulled, and nothing left behind."""
    run("./workshop", "guest", "--suite", suite, "--memory", "4G", "--timeout", "7200", "--setup",
        "sudo tools/vm/class_check.py", "sudo", "tools/vm/class_check.py", "after", seconds=7300)


def test_the_chapters_on_an_emulated_arm64():
    """Twice as slow again as Debian 12 above, so only the tests; as the learner and as root."""
    run("./workshop", "guest", "--arch", "arm64", "--timeout", "6000", "--setup", "./workshop setup",
        "./workshop test --timeout 1200 tests/test_ch0*.py; learner=$?;"
        " sudo ./workshop test --timeout 1200 -k 'not [user' tests/test_ch0*.py && exit $learner",
        seconds=6100)


# ---------------------------------------------------------------- Vagrant

def virsh(*words):
    return subprocess.run(["virsh", "--quiet", *words], text=True, capture_output=True, timeout=60)


@pytest.fixture
def vagrant(tmp_path):
    """vagrant with a home of its own; afterwards libvirt has what it had before."""
    if not shutil.which("vagrant") or "vagrant-libvirt" not in subprocess.run(
            ["vagrant", "plugin", "list"], text=True, capture_output=True).stdout:
        pytest.skip("no vagrant with the plugin vagrant-libvirt")
    if not shutil.which("virsh") or virsh("list").returncode:
        pytest.skip("no libvirtd answers")
    things = {"net": "net-list", "vol": "vol-list"}
    before = {kind: names(command) for kind, command in things.items()}
    environment = os.environ | {
        "VAGRANT_HOME": str(tmp_path / "home"), "VAGRANT_DOTFILE_PATH": str(tmp_path / "machine"),
        "VAGRANT_CHECKPOINT_DISABLE": "1", "VAGRANT_NO_COLOR": "1", "CRABCAN_SUITE": "trixie",
        "VAGRANT_SERVER_URL": "http://127.0.0.1:9", "VAGRANT_DEFAULT_PROVIDER": "libvirt"}
    yield lambda *words, **more: run("vagrant", *words, env=environment, **more)
    run("vagrant", "destroy", "--force", env=environment)
    for name in names("vol-list") - before["vol"]:
        virsh("vol-delete", name, "default")
    for name in names("net-list") - before["net"]:
        virsh("net-destroy", name)
        virsh("net-undefine", name)


def names(command):
    words = ["--pool", "default"] if command == "vol-list" else ["--all"]
    lines = virsh(command, *words).stdout.splitlines()
    return {line.split()[0] for line in lines if line.strip()}


def answer(address, seconds=300):
    """The status of a page, from this side of the forwarded ports."""
    end = time.monotonic() + seconds
    while True:
        try:
            return urllib.request.urlopen(address, timeout=60).status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError as error:
            if time.monotonic() > end:
                return str(error)
            time.sleep(1)


def test_vagrant_up_without_a_registry_of_boxes(vagrant, tmp_path):
    if not list((CHECKOUT / "build" / "box").glob("trixie-amd64.json")):
        run("./workshop", "box", "--as-here", "--no-add")
    [version] = json.loads((CHECKOUT / "build/box/trixie-amd64.json").read_text())["versions"]
    print("box", version["version"])
    vagrant("validate")
    vagrant("up")
    assert (answer(BOOK), answer(LAB)) == (200, 403)
    vagrant("ssh", "-c", "workshop doctor && workshop matrix && sudo /vagrant/workshop matrix")
    vagrant("ssh", "-c", "workshop start && echo mine >>my-container/ch01_args.py")
    work = tmp_path / "my-container.tar"
    with work.open("wb") as tar:  # as chapter 0 says
        vagrant("ssh", "--no-tty", "-c", "tar c my-container", stdout=tar)
    vagrant("ssh", "-c", "rm -r my-container")
    with work.open("rb") as tar:
        vagrant("ssh", "--no-tty", "-c", "tar x", stdin=tar)
    vagrant("ssh", "-c", "tail -n 1 my-container/ch01_args.py | grep -x mine")
    vagrant("reload")
    assert (answer(BOOK), answer(LAB)) == (200, 403)
    vagrant("destroy", "--force")
    assert "crabcan" not in virsh("list", "--all").stdout
