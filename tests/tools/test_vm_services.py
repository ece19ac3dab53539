"""What runs in the machine from its start on, and what sets it up."""
import json
import os
import shutil
import socket
import subprocess
import sys

import pytest
import yaml
from vms import CHECKOUT, TOOLS, python

pytestmark = pytest.mark.slow  # left out by --fast


def test_a_port_that_is_taken_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = python(PORT, "free", port)
        assert f"port {port}, for the book, cannot be had on 127.0.0.1" in result.stderr
        assert f"sport = :{port}" in result.stderr
        assert python(PORT, "answers", port).returncode == 0
    assert python(PORT, "free", port).returncode == 0
    result = python(PORT, "answers", port)
    assert result.returncode == 1
    assert f"nothing answers at port {port}" in result.stderr
    assert "journalctl --user -u crabcan-book" in result.stderr


PORT = """
import ports
what, port = sys.argv[1:]
address = "127.0.0.1", "book", int(port)
ports.free(*address) if what == "free" else ports.answers(*address, seconds=1)
"""


def test_the_token_is_shown_to_a_terminal_alone(tmp_path):
    script = (TOOLS / "services").read_text()
    function = script[script.index("greeting() {"):script.index("# What `./workshop lab`")]
    settings = tmp_path / ".config" / "crabcan"
    settings.mkdir(parents=True)
    (settings / "token").write_text("JUPYTER_TOKEN=secret\n")
    make = "root_file() { cat >/dev/null; }\nhere=/vagrant settings=$0\n" + function + "greeting"
    subprocess.run(["sh", "-euc", make, settings], check=True)
    environment = os.environ | {"HOME": str(tmp_path)}
    logged = subprocess.run([settings / "greeting"], env=environment, text=True,
                            capture_output=True)
    assert "http://localhost:8888/ " in logged.stdout and "secret" not in logged.stdout
    typed = subprocess.run(["script", "-qec", settings / "greeting", "/dev/null"], env=environment,
                           stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert "http://localhost:8888/lab?token=secret" in typed.stdout


def test_a_checkout_that_nobody_may_write_says_why_and_what_helps(tmp_path, root):
    folder = tmp_path / "a folder"  # with a space, too
    (folder / "requirements").mkdir(parents=True)
    shutil.copy(CHECKOUT / "workshop", folder)
    for name in ("crabcan_workshop", "tools"):
        shutil.copytree(CHECKOUT / name, folder / name)
    read_only = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && "$0/workshop" doctor'
    result = subprocess.run(["unshare", "--mount", "sh", "-c", read_only, folder], text=True,
                            capture_output=True)
    assert result.returncode == 1
    assert f"cannot write to {folder} (Read-only file system): use a copy: " in result.stderr
    assert f"cp -r '{folder}' ~/crabcan" in result.stderr


def test_services_are_an_ordinary_users():
    if os.geteuid() != 0:
        pytest.skip("not root")
    result = subprocess.run([CHECKOUT / "tools/vm/services"], text=True, capture_output=True)
    assert result.returncode == 1
    assert "not as root" in result.stderr


def test_setup_knows_its_options():
    result = subprocess.run([CHECKOUT / "workshop", "setup", "--service"], text=True,
                            capture_output=True)
    assert result.returncode == 2
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


@pytest.mark.parametrize("instructor", ["", "1"])
def test_the_book_service_shows_speaker_notes_to_an_instructor_only(tmp_path, instructor):
    """The unit as `INSTRUCTOR=1 ./workshop setup --services` writes it, started as systemd would."""
    script = (CHECKOUT / "tools/vm/services").read_text()
    names = "quoted()", "service()"
    [quoted, service] = [script[script.index(f"\n{name}"):] for name in names]
    functions = quoted[:quoted.index("}\n") + 2] + service[:service.index("\n}\n") + 3]
    subprocess.run(["sh", "-euc", f"units={tmp_path} here=/course\n{functions}\nservice book Book book"],
                   env=os.environ | {"INSTRUCTOR": instructor}, check=True)
    unit = (tmp_path / "crabcan-book.service").read_text()
    [line] = [line for line in unit.splitlines() if line.startswith("Environment=")]
    settings = line.removeprefix("Environment=").split()
    hooks = subprocess.run(
        ["env", *settings, sys.executable, "-c", "import hooks; print(hooks.FOR_INSTRUCTOR)"],
        cwd=CHECKOUT / "tools/book", text=True, capture_output=True)
    assert hooks.stdout == f"{bool(instructor)}\n", hooks.stderr


def test_a_path_in_a_unit_file_is_quoted():
    """As systemd reads it: a space, a percent sign, a dollar and a quote are themselves."""
    script = (CHECKOUT / "tools" / "vm" / "services").read_text()
    [line] = [line for line in script.splitlines() if line.startswith("quoted()")]
    result = subprocess.run(["sh", "-c", line + '\nquoted "$1"', "sh", 'a "b" 5%/$HOME'],
                            text=True, capture_output=True)
    assert result.stdout == r'a \"b\" 5%%/$$HOME'
