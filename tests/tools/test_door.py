"""The door, ./workshop: one set of sub-commands, one line for a mistake, nothing started for a typo."""
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from conftest import CHECKOUT
from crabcan_workshop import cli as workshop
from crabcan_workshop import words

DOOR, LAUNCHER = CHECKOUT / "workshop", CHECKOUT / ".venv" / "bin" / "workshop"
PARTS = ("workshop", "tools", "crabcan_workshop", "crabcan_steps")  # what a set-up copy needs
needs_setup = pytest.mark.skipif(not LAUNCHER.exists(), reason="not set up by ./workshop")


def run(*command, **options):
    return subprocess.run(list(map(str, command)), text=True, capture_output=True, timeout=60,
                          **{"stdin": subprocess.DEVNULL} | options)


@pytest.fixture
def bare(tmp_path):
    """A clone that is not set up yet, in a folder with a space."""
    folder = tmp_path / "a clone"
    folder.mkdir()
    for name in PARTS:
        source = CHECKOUT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / name)
    (folder / "requirements").mkdir()
    return folder


# ---------------------------------------------------------------- its words

MISTAKES = [
    ("tests", "no command 'tests': did you mean test?"),
    ("zzz", "no command 'zzz' (see"),
    ("setup --bogus", "setup: unknown option --bogus"),
    ("prepare all", "prepare: takes no arguments: all"),
    ("lab --bogus", "lab: unknown option --bogus"),
    ("lab notebook.ipynb", "lab: one word too many: notebook.ipynb"),
    ("lab --port", "lab: --port wants a value"),
    ("lab --port 99999", "lab: --port wants a number up to 65535"),
    ("lab --port=1x", "lab: --port wants a number up to 65535"),
    ("book --port 99999", "'99999': must be a number from 1 to 65535"),
    ("book --buidl", "unknown option --buidl: did you mean --build?"),
    ("bench nope", "no benchmark 'nope': they are start, scale, memory"),
    ("bench --rounds x", "--rounds: invalid int value"),
    ("check 99", "no chapter '99': they are 1 to 12, and explorer"),
    ("check monuts", "no chapter 'monuts': they are 1 to 12, and explorer: did you mean mounts?"),
    ("teach", "teach: the following arguments are required: DIR"),
    ("book --host 192.0.2.1 --port x", "'x': must be a number"),
    ("bundle --bogus", "bundle: unknown option --bogus"),
    ("box --as-hre", "box: unknown option --as-hre: did you mean --as-here?"),
    ("guest --bogus", "guest: unknown option --bogus"),
    ("check 3 4", "check: one word too many: 4"),
    ("status --jsno", "status: unknown option --jsno: did you mean --json?"),
    ("completion tcsh", "invalid choice: 'tcsh'"),
]


@needs_setup
@pytest.mark.parametrize("door", [DOOR, LAUNCHER], ids=["door", "launcher"])
@pytest.mark.parametrize("typed, said", MISTAKES, ids=[typed for typed, _ in MISTAKES])
def test_a_mistake_is_one_line_and_starts_nothing(door, typed, said):
    result = run(door, *typed.split())
    assert (result.returncode, result.stdout) == (2, "")
    assert said in result.stderr and result.stderr.count("\n") == 1, result.stderr
    assert result.stderr.startswith("workshop: "), result.stderr


@needs_setup
@pytest.mark.parametrize("command", ["book", "lab"])
def test_an_address_of_another_machine(command):
    result = run(DOOR, command, "--host", "192.0.2.1")
    assert (result.returncode, result.stdout) == (1, "")
    assert "--host 192.0.2.1: Cannot assign requested address" in result.stderr
    assert result.stderr.count("\n") == 1, result.stderr


@needs_setup
@pytest.mark.parametrize("tool, typed", [
    ("book/serve.py", "--host 127.0.0.1 --port 8123"), ("book/serve.py", "--build"), ("bundle.py", ""), ("vm/box.py", ""),
    ("vm/guest.py", "--keep --setup true true"), ("../crabcan_workshop/__main__.py", "teach /home")])
def test_the_door_lets_right_words_in(tool, typed):
    flags = ["-I"] if tool[0] != "." else ["-I", "-S"]
    result = run(sys.executable, *flags, CHECKOUT / "tools" / tool, "--words", *typed.split())
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_a_typo_sets_nothing_up(bare):
    for typed in ("tests", "lab --bogus", "setup --bogus", "--version", "--help", "setup --help",
                  "lab --help", "test --help", "box --help"):
        result = run(bare / "workshop", *typed.split())
        assert result.stderr.count("\n") <= 1 and result.returncode in (0, 2), (typed, result)
    assert not (bare / ".venv").exists()


@pytest.mark.parametrize("command", ["setup", "lab", "test"])
def test_help_of_its_own(command):
    result = run(DOOR, command, "--help")
    assert result.returncode == 0 and result.stdout.startswith(f"usage: {DOOR} {command} ")


@needs_setup
def test_one_command_whichever_way_it_is_called():
    """Of the door, of the launcher in .venv and of Python's own half."""
    python = [sys.executable, "-I", "-m", "crabcan_workshop"]
    ways = [[DOOR], [LAUNCHER], python] if sys.prefix == str(LAUNCHER.parents[1]) else [[DOOR], [LAUNCHER]]
    for way in ways:
        result = run(*way, "--help")
        assert result.returncode == 0
        for name in words.COMMANDS:
            assert re.search(rf"(?m)^  {name}\b", result.stdout), (way, name)
        assert run(*way).returncode == 2
        assert re.fullmatch(r"workshop [0-9.]+\n", run(*way, "--version").stdout)
        assert run(*way, "crabcan", "--version").stdout.startswith("crabcan ")
        assert run(*way, "step", "1", "--", "echo", "x").stdout == "x\n"
        assert "usage: " in run(*way, "bench", "--help").stdout
        assert "--fast" in run(*way, "test", "--help").stdout


def test_the_table_has_all_that_the_door_and_python_know():
    door = re.findall(r"^    ([a-z|]+)\)", DOOR.read_text().rpartition("case $1 in")[2], re.M)
    known = {name for names in door for name in names.split("|")} - {"set-up-python", "help", "version"}
    assert known | set(workshop.modules()) == set(words.COMMANDS)


@needs_setup
def test_messages_name_what_the_reader_can_type():
    near = {"PATH": f"{LAUNCHER.parent}:/usr/bin:/bin", "HOME": "/nowhere"}
    for command, options, name in ((["./workshop"], {"cwd": CHECKOUT}, "./workshop"),
                                   (["../workshop"], {"cwd": CHECKOUT / "tests"}, "../workshop"),
                                   ([".venv/bin/workshop"], {"cwd": CHECKOUT}, ".venv/bin/workshop"),
                                   (["workshop"], {"env": near, "cwd": "/"}, "workshop")):
        assert f"(see {name} --help)" in run(*command, "tests", **options).stderr
        assert f"(see {name} check --help)" in run(*command, "check", "--x", **options).stderr


@needs_setup
def test_help_names_what_the_reader_can_type():
    for name in sorted({*words.COMMANDS} - {"run", "step", "crabcan", "oci"}):
        said = run("./workshop", name, "--help", cwd=CHECKOUT).stdout
        assert not re.findall(rf"(?<![\w./-])workshop (?:{'|'.join(words.COMMANDS)})\b.*", said), (name, said)


def test_a_name_in_a_message_is_changed_where_it_is_a_command(monkeypatch):
    monkeypatch.setattr(words, "NAME", "./workshop")
    assert words.typed("workshop: see\nworkshop check 3, ./workshop check, a workshop day") == \
        "workshop: see\n./workshop check 3, ./workshop check, a workshop day"


@needs_setup
def test_run_takes_no_process_more_than_the_container(tmp_path):
    """The door is a few tests of files, then Python: no process of its own."""
    traced = tmp_path / "trace"
    run("strace", "-f", "-o", traced, "-e", "trace=execve,clone,clone3,fork,vfork", DOOR, "run", "true")
    calls = re.findall(r"^\d+ +(\w+)\(.*= (\d+)$", traced.read_text(), re.M)
    assert [call for call, _ in calls[:2]] == ["execve", "execve"], traced.read_text()  # the door, Python
    assert calls[2][0] == "clone3"  # what comes then is the runtime's own


# ---------------------------------------------------------------- completion

@needs_setup
@pytest.mark.parametrize("line, found", [("che", "check"), ("check 3 --all", "--all-mine"),
                                         ("step ", "9"), ("run --cap", "--cap-add"),
                                         ("test --f", "--fast"), ("bench s", "scale"),
                                         ("completion z", "zsh"), ("schedule --tr", "--track"),
                                         ("explore ", "mine"), ("explore 1", "12"), ("oci st", "state"),
                                         ("crabcan pu", "pull"), ("book --po", "--port")])
def test_what_the_shells_complete(tmp_path, line, found):
    scripts = {}
    for shell in ("bash", "zsh", "fish"):
        scripts[shell] = tmp_path / shell
        scripts[shell].write_text(run(DOOR, "completion", shell).stdout)
    typed = ["workshop", *line.split(" ")]
    bash = 'source $0; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _workshop; printf "%s\\n" "${COMPREPLY[@]}"'
    assert found in run("bash", "-c", bash, scripts["bash"], *typed).stdout.split()
    if shutil.which("fish"):
        fish = 'source $argv[1]; complete -C "$argv[2]"'
        said = run("fish", "-Nc", fish, scripts["fish"], "workshop " + line, env=os.environ | {"HOME": str(tmp_path)})
        assert found in re.findall(r"^\S+", said.stdout, re.M), said
    if shutil.which("zsh"):
        zsh = ('compdef() {}; _files() {}; _describe() { print -l ${(P)2%%:*} }; '
               'compadd() { shift; print -l -- "$@" }; source $0; words=("$@"); CURRENT=$#; _workshop')
        assert found in run("zsh", "-fc", zsh, scripts["zsh"], *typed).stdout.split()


@needs_setup
def test_an_option_that_help_names_is_completed():
    told = run(DOOR, "completion", "bash").stdout
    offered = {name: text.split() for name, text in re.findall(r"^ +([a-z]+)\) words='(.*)' ;;$", told, re.M)}
    assert offered.keys() == words.COMMANDS.keys()
    for name in "run", "step", "book", "lab", "test", "bench", "bundle", "setup", "box", "guest":
        said = run(DOOR, name, "--help").stdout.partition("examples:")[0]
        assert said.startswith("usage: ")
        missing = set(re.findall(r"^ +(?:-\w, )?(--[a-z-]+)", said, re.M)) - set(offered[name])
        assert not missing, (name, missing)


# ---------------------------------------------------------------- Ctrl-C

@needs_setup
@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.4, 1.5])
@pytest.mark.parametrize("command", ["doctor", "matrix", "bench start", "book", "lab --port 0",
                                     "test --fast tests/test_ch02_clone.py"])
def test_ctrl_c_is_no_traceback(command, seconds, tmp_path):
    words = command.split() + [f"--basetemp={tmp_path}/tests"] * command.startswith("test")
    process = subprocess.Popen([DOOR, *words], stdin=subprocess.DEVNULL, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
                               env=os.environ | {"HOME": str(tmp_path)})
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGINT)
    said = process.communicate(timeout=60)[0]
    if not before_our_first_line(said):
        assert "Traceback" not in said and "^^^^" not in said, said
        assert process.returncode in (130, -signal.SIGINT, 0, 2)  # 0: it was up, or done; 2: pytest's


def before_our_first_line(said):
    """Whether it was Python that was hit, while it looked for its packages or for our program."""
    files = re.findall(r'  File "(.*?)"', said)
    return "init_import_site" in said or files and all(name.startswith("<frozen ") for name in files)


@needs_setup
def test_ctrl_c_while_python_looks_for_its_packages(tmp_path):
    """Python's own handler, whose exception would be a traceback, does not last so long."""
    run("strace", "-o", tmp_path / "trace", "-e", "trace=execve,openat,rt_sigaction", DOOR, "fields", "nothing")
    python = (tmp_path / "trace").read_text().rpartition("\nexecve(")[2]
    during, known, after = python.partition("(SIGINT, {sa_handler=0x")[2].partition("(SIGINT, {sa_handler=SIG_DFL")
    assert known and "site-packages" not in during and "site-packages" in after


@needs_setup
def test_a_directory_that_is_gone(tmp_path):
    script = 'mkdir "$1" && cd "$1" && rmdir "$1" && exec "$2" check 3'
    result = run("sh", "-c", script, "sh", tmp_path / "gone", LAUNCHER)
    assert result.returncode == 1
    lines = [line for line in result.stderr.splitlines() if "getcwd" not in line]  # dash's own
    assert lines == ["workshop: the directory that you stand in is gone: cd to another"]


# ---------------------------------------------------------------- PYTHON* and PIP_* variables

@needs_setup
@pytest.mark.slow
@pytest.mark.parametrize("command", ["matrix --json", "bench memory --rounds 1"])
def test_no_python_variable_has_a_say(tmp_path, command):
    """In what a command starts in its turn, too."""
    for name in ("prctl.py", "startup.py"):
        (tmp_path / name).write_text(f"open({str(tmp_path / 'was-here')!r}, 'w')\nraise SystemExit(77)")
    hostile = {"PYTHONPATH": str(tmp_path), "PYTHONSTARTUP": str(tmp_path / "startup.py")}
    result = run(DOOR, *command.split(), env=os.environ | hostile)
    assert result.returncode == 0 and not (tmp_path / "was-here").exists(), result


DEMO = "__version__ = '0.1.2'\n"


@pytest.fixture
def demo(bare, tmp_path):
    """A clone whose only Python package comes from a directory beside it, without a network."""
    (tmp_path / "wheels").mkdir()
    wheel = tmp_path / "wheels" / "pyseccomp-0.1.2-py3-none-any.whl"
    files = {"pyseccomp.py": DEMO,
             "pyseccomp-0.1.2.dist-info/METADATA": "Metadata-Version: 2.1\nName: pyseccomp\nVersion: 0.1.2\n",
             "pyseccomp-0.1.2.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
    record = "".join(f"{name},,\n" for name in files)
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in {**files, "pyseccomp-0.1.2.dist-info/RECORD": record}.items():
            archive.writestr(name, text)
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    (bare / "requirements" / "base.txt").write_text(f"pyseccomp==0.1.2 \\\n    --hash=sha256:{digest}\n")
    home = bare / "home"
    (home / ".config" / "pip").mkdir(parents=True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    return bare, environment | {"HOME": str(home), "PIP_NO_INDEX": "1",
                                "PIP_FIND_LINKS": str(tmp_path / "wheels")}


def installed(folder):
    return sorted(path.name for path in folder.glob(".venv/lib/python*/site-packages/pyseccomp.py"))


@pytest.mark.slow
@pytest.mark.parametrize("name, value", [("TARGET", "elsewhere"), ("PREFIX", "elsewhere"), ("ROOT", "elsewhere"),
                                         ("USER", "1"), ("REQUIRE_VIRTUALENV", "1"), ("DRY_RUN", "1"),
                                         ("NO_BINARY", ":all:"), ("PYTHON", "/nowhere"), ("LOG", "elsewhere"),
                                         ("CONFIG_FILE", "own.conf"), ("CONFIG_FILE", "none.conf")])
def test_pips_variables_do_not_say_where_to(demo, name, value):
    folder, environment = demo
    (folder / "own.conf").write_text(f"[install]\ntarget = {folder}/elsewhere\n[global]\nuser = true\n")
    result = run(folder / "workshop", "crabcan", "--version", cwd=folder,
                 env=environment | {f"PIP_{name}": value})
    assert result.returncode == 0, result.stderr
    assert installed(folder) == ["pyseccomp.py"] and not (folder / "elsewhere").exists()


@pytest.mark.slow
def test_a_pip_conf_says_where_from_and_no_more(demo):
    folder, environment = demo
    del environment["PIP_NO_INDEX"], environment["PIP_FIND_LINKS"]
    (folder / "home" / ".config" / "pip" / "pip.conf").write_text(
        f"[global]\nno-index = true\nfind-links = {folder.parent}/wheels\n"
        f"[install]\nprefix = {folder}/elsewhere\nuser = yes\n")
    result = run(folder / "workshop", "crabcan", "--version", env=environment)
    assert result.returncode == 0, result.stderr
    assert installed(folder) == ["pyseccomp.py"]


@pytest.mark.slow
def test_what_is_gone_is_noticed_and_mended(demo):
    folder, environment = demo
    start = lambda: run(folder / "workshop", "crabcan", "--version", env=environment)
    assert start().returncode == 0
    assert start().stderr == "", "all is there"
    [module] = folder.glob(".venv/lib/python*/site-packages/pyseccomp.py")
    module.unlink()
    again = start()
    assert again.returncode == 0 and "installing the Python packages" in again.stderr
    assert module.read_text() == DEMO and start().stderr == ""


def without_prctl(door, tmp_path, apt, *prefix):
    """Runs the door where python3-prctl has been removed, with an apt-get, or a sudo, of our own."""
    (tmp_path / "bin").mkdir()
    for name in ("apt-get", "sudo", "dpkg"):
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{apt}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    script = 'mount -t tmpfs none /usr/lib/python3/dist-packages && exec "$@"'
    return run("unshare", "--mount", "sh", "-c", script, "sh", *prefix, door, "doctor",
               env=os.environ | {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}"})


@needs_setup
def test_a_package_that_was_removed_is_noticed(root, tmp_path):
    result = without_prctl(DOOR, tmp_path, "exit 100")
    assert result.returncode == 1 and "Traceback" not in result.stderr
    assert "installing packages: python3-prctl\n" in result.stderr
    assert "apt-get failed. Is there a network?" in result.stderr


@needs_setup
def test_a_certificate_is_not_called_no_network(root, tmp_path):
    result = without_prctl(DOOR, tmp_path, "echo 'Certificate verification failed: The certificate is NOT "
                                           "trusted.'; exit 100")
    assert result.returncode == 1
    assert "a certificate is not trusted here" in result.stderr and "network?" not in result.stderr


def test_ctrl_c_in_apt_under_sudo_ends_it(root, tmp_path):
    """sudo has the terminal to itself, and the shell sees nothing of it but a status."""
    copy = Path("/tmp", f"crabcan-door-{os.getpid()}")
    copy.mkdir(mode=0o777)
    try:
        for name in PARTS:
            (shutil.copytree if (CHECKOUT / name).is_dir() else shutil.copy)(CHECKOUT / name, copy / name)
        copy.chmod(0o777)
        result = without_prctl(copy / "workshop", copy, "kill -INT $$", "setpriv", "--reuid=65534",
                               "--regid=65534", "--clear-groups")
    finally:
        shutil.rmtree(copy)
    assert result.returncode == 130, result
    assert result.stderr.splitlines()[-1] == "workshop: interrupted: the same command again goes on from here"
    assert result.stderr.count("\n") == 2, result.stderr


def test_a_clone_made_on_windows_has_linuxs_line_ends(tmp_path):
    """Git for Windows makes CRLF of line ends, unless .gitattributes says otherwise."""
    if not (CHECKOUT / ".git").exists():
        pytest.skip("no clone: .gitattributes has nothing to say")
    files = run("git", "-c", "safe.directory=*", "-C", CHECKOUT, "ls-files").stdout.splitlines()
    asked = run("git", "-c", "safe.directory=*", "-C", CHECKOUT, "check-attr", "eol", "--", *files)
    wrong = [line for line in asked.stdout.splitlines() if not line.endswith((": lf", "png: eol: unspecified"))]
    assert files and wrong == []


@needs_setup
def test_the_exercises_say_what_can_be_typed(tmp_path):
    """From a clone ./workshop, with .venv/bin in PATH workshop."""
    mine, home = tmp_path / "mine", os.environ | {"HOME": str(tmp_path)}
    near = home | {"PATH": f"{LAUNCHER.parent}:{os.environ['PATH']}"}
    for command, environment in (["./workshop"], home), (["workshop"], near):
        said = [run(*command, *words.split(), cwd=CHECKOUT, env=environment) for words in
                (f"start {mine}", f"hint 3 --dir {mine}", "hint 3 --dir /nowhere", "escape", "flag 1 x",
                 f"check 3 --dir {mine}")]
        for result, wanted in zip(said, ["then: {} check 1", "", "{} start /nowhere", "{} flag 1 VALUE",
                                         "{} escape 1", "{} hint 3"]):
            text = result.stdout + result.stderr
            assert wanted.format(command[0]) in text, text
            assert command == ["workshop"] or not re.search(r"(?<![./])workshop [a-z]", text), text


@pytest.mark.slow
def test_what_is_prepared_needs_no_network(root):
    """Root's tests have a network of their own, which leads nowhere."""
    if not (LAUNCHER.parents[1] / "browser.done").exists():
        pytest.skip("the browser's packages are set up by ./workshop test or prepare")
    result = run(DOOR, "prepare")
    assert result.returncode == 0, result
    assert result.stderr.splitlines()[-1] == "workshop: prepared: no network is needed any more"
    assert re.search(r"chapter 7 +ok", result.stdout)
