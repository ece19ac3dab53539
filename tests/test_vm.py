"""The machine that students get, as far as none is needed to tell: tools/vm/check has the rest."""
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.slow  # left out by --fast

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(CHECKOUT / "tools" / "vm"))


@pytest.fixture
def vagrant(tmp_path):
    """Runs vagrant in a copy of the Vagrantfile, with an empty home: no plugin, no box."""
    if not shutil.which("vagrant"):
        pytest.skip("no vagrant on this machine")
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
    known = "vagrant-libvirt" in vagrant("plugin", "list").stdout  # else only what no provider has
    result = vagrant("validate", *[] if known else ["--ignore-provider"], **settings)
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
    for way in "./workshop box", "CRABCAN_BOX_URL", "chapters/00-start.md":
        assert way in result.stderr


def test_the_disk_of_a_box_has_one_active_partition():
    import box
    record = bytes(440) + box.partitions(2048, 40000)
    assert len(record) == 512 and record[510:] == b"\x55\xaa"
    assert record[446] == 0x80 and record[450] == 0x83
    assert int.from_bytes(record[454:458], "little") == 2048
    assert int.from_bytes(record[458:462], "little") == 40000


def test_a_box_wants_root(tmp_path):
    nobody = ["setpriv", "--reuid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    result = subprocess.run([*nobody, sys.executable, "-I", "-c", BOX, str(tmp_path)], text=True,
                            capture_output=True)
    assert result.returncode == 1
    assert "sudo ./workshop box" in result.stderr


BOX = f"""
import sys
sys.path.insert(0, {str(CHECKOUT / "tools" / "vm")!r})
import box
box.ready(sys.argv[1])
"""


def test_services_are_an_ordinary_users():
    if os.geteuid() != 0:
        pytest.skip("not root")
    result = subprocess.run([CHECKOUT / "tools/vm/services"], text=True, capture_output=True)
    assert result.returncode == 1
    assert "not as root" in result.stderr


def test_setup_knows_its_options():
    result = subprocess.run([CHECKOUT / "workshop", "setup", "--service"], text=True,
                            capture_output=True)
    assert result.returncode == 1
    assert "unknown option --service" in result.stderr


def test_cloud_init_is_yaml_and_its_script_says_what_is_missing(tmp_path):
    text = (CHECKOUT / "cloud-init.yaml").read_text()
    assert text.startswith("#cloud-config\n")
    [file] = yaml.safe_load(text)["write_files"]
    script = tmp_path / "classroom"
    script.write_text(file["content"].replace("/srv/crabcan", str(tmp_path / "course"))
                      .replace("getent passwd 1000", "echo learner:x:1000"))
    result = subprocess.run(["sh", script], text=True, capture_output=True)
    assert result.returncode == 1
    assert "sudo crabcan-classroom ADDRESS" in result.stderr


def test_the_dev_container_says_that_it_is_privileged():
    text = (CHECKOUT / ".devcontainer" / "devcontainer.json").read_text()
    settings = json.loads("".join(line for line in text.splitlines() if "//" not in line))
    assert settings["privileged"] is True
    assert "PRIVILEGED" in text


def test_a_path_in_a_unit_file_is_quoted():
    """As systemd reads it: a space, a percent sign, a dollar and a quote are themselves."""
    script = (CHECKOUT / "tools" / "vm" / "services").read_text()
    [line] = [line for line in script.splitlines() if line.startswith("quoted()")]
    result = subprocess.run(["sh", "-c", line + '\nquoted "$1"', "sh", 'a "b" 5%/$HOME'],
                            text=True, capture_output=True)
    assert result.stdout == r'a \"b\" 5%%/$$HOME'
