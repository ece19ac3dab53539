"""The machine that students get, as far as none is needed to tell: tools/vm/check has the rest."""
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.slow  # left out by --fast

CHECKOUT = Path(__file__).resolve().parent.parent
TOOLS = CHECKOUT / "tools" / "vm"
sys.path.insert(0, str(TOOLS))


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


def need(*programs):
    """CI must have them; elsewhere what wants them is skipped."""
    missing = [program for program in programs if not shutil.which(program)]
    if missing:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"not here: {', '.join(missing)}")


def python(text, *args, prefix=(), **environment):
    """Runs a script that may import the modules of tools/vm."""
    text = f"import sys; sys.path.insert(0, {str(TOOLS)!r})\n" + text
    return subprocess.run([*prefix, sys.executable, "-c", text, *map(str, args)], text=True,
                          env=os.environ | environment, capture_output=True, timeout=100)


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
