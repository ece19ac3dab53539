"""Chapter 10: create, start, state, kill, delete and exec, each a process that knows the others not."""
import fcntl
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from boxes import Engine, ended, subreaper
from conftest import gone, wait_for

SLEEPS = ("sh", "-c", "echo started; exec sleep 300")
LOOK = """
import json, os
print(json.dumps({"pid": os.getpid(), "uid": os.getuid(), "cwd": os.getcwd(), "env": dict(os.environ),
    "name": os.uname().nodename, "fds": sorted(map(int, os.listdir("/proc/self/fd")))[:-1],
    "caps": [x.split()[1] for x in open("/proc/self/status") if x.startswith("Cap")],
    "oom": open("/proc/self/oom_score_adj").read().strip(), "root": sorted(os.listdir("/")),
    "spaces": {x: os.readlink(f"/proc/self/ns/{x}") for x in os.listdir("/proc/self/ns")}}))
"""


@pytest.fixture
def engine(who, folder):
    engine = Engine(who, folder)
    yield engine
    engine.clear()
    assert not engine.root.exists() or not os.listdir(engine.root)


def spaces(pid):
    return {name: os.readlink(f"/proc/{pid}/ns/{name}") for name in ("pid", "mnt", "uts", "ipc", "net", "user")}


def test_created_it_waits_and_has_printed_nothing(engine):
    engine.bundle(*SLEEPS)
    with subreaper():
        out = engine.create("one", "--pid-file", engine.folder / "pid")
        state = engine.state("one")
        assert (state["status"], state["id"], state["bundle"]) == ("created", "one", str(engine.box))
        assert state["pid"] == int((engine.folder / "pid").read_text())
        assert out.read_text() == "" and (engine.root / "one/start").is_socket()
        here, there = spaces("self"), spaces(state["pid"])
        assert {name for name in here if here[name] != there[name]} == {"pid", "mnt", "uts", "ipc"} | (
            {"net"} if engine.who.root else {"user"})
        status = Path(f"/proc/{state['pid']}/status").read_text()
        assert f"PPid:\t{os.getpid()}\n" in status, "whoever made it has gone, and nobody stands between"
        engine.does("start", "one")
        assert wait_for(lambda: out.read_text() == "started\n")
        assert engine.state("one")["status"] == "running" and not (engine.root / "one/start").exists()
        engine.does("kill", "one", "KILL")
        assert ended(state["pid"]) == -signal.SIGKILL
        assert engine.state("one") | {"status": "stopped", "pid": 0} == engine.state("one")
        engine.does("delete", "one")


def test_whoever_was_there_first_gets_its_exit_status(engine):
    engine.bundle("sh", "-c", "exit 42")
    with subreaper():
        engine.create("one")
        pid = engine.state("one")["pid"]
        engine.does("start", "one")
        assert ended(pid) == 42
    engine.does("delete", "one")


def test_it_is_what_the_file_says(engine):
    config = engine.bundle("python3", "-I", "-c", LOOK, cwd="/tmp", env=["PATH=/usr/bin", "A=b"])
    config["hostname"], config["process"]["oomScoreAdj"] = "boxed", 777
    engine.write(config)
    result = engine.call("run", "--bundle", engine.box, "one")
    assert result.returncode == 0, result.stderr
    seen = json.loads(result.stdout)
    assert (seen["pid"], seen["uid"], seen["cwd"], seen["name"], seen["oom"]) == (1, 0, "/tmp", "boxed", "777")
    assert seen["env"]["A"] == "b" and set(seen["env"]) <= {"PATH", "A", "HOME", "LC_CTYPE"}
    assert seen["fds"] == [0, 1, 2]
    assert seen["caps"][1] == seen["caps"][2] == seen["caps"][3] == "0000000020000420"
    assert {"usr", "proc", "dev", "sys"} <= set(seen["root"]) and "boot" not in seen["root"]


def test_the_words_of_an_engine_are_understood(engine):
    """Each command that makes no sense says so, in words that engines look for."""
    engine.bundle(*SLEEPS)
    engine.create("one")
    assert "container with id exists" in engine.refuses("create", "--bundle", engine.box, "one")
    assert "not stopped" in engine.refuses("delete", "one")
    engine.does("start", "one")
    assert "already running" in engine.refuses("start", "one")
    engine.does("kill", "one", "9")
    engine.becomes("one", "stopped")
    assert "container not running" in engine.refuses("kill", "one", "9")
    assert "stopped" in engine.refuses("start", "one") and "stopped" in engine.refuses("exec", "one", "true")
    engine.does("delete", "one")
    for words in ("delete", "one"), ("state", "one"), ("start", "one"), ("kill", "one"), ("exec", "one", "true"):
        assert "container does not exist" in engine.refuses(*words)
    assert engine.does("delete", "--force", "one") == ""


@pytest.mark.parametrize("args, words", [
    (["nowhere-at-all"], "executable file not found in $PATH"), (["/nowhere"], "no such file or directory"),
    (["/usr"], "permission denied")])
def test_a_program_that_is_not_there_is_told_by_create(engine, args, words):
    engine.bundle(*args)
    assert words in engine.refuses("create", "--bundle", engine.box, "one")
    assert os.listdir(engine.root) == []


def break_config(engine, config):
    (engine.box / "config.json").write_text("{")


def break_bundle(engine, config):
    (engine.box / "config.json").unlink()


def break_mount(engine, config):
    engine.write(config | {"mounts": [{"destination": "/x", "type": "nonsense", "source": "x"}]})


def break_hook(engine, config):
    engine.write(config | {"hooks": {"createRuntime": [{"path": "/usr/bin/false"}]}})


@pytest.mark.parametrize("harm", [break_config, break_bundle, break_mount, break_hook])
def test_a_create_that_fails_leaves_nothing(engine, harm):
    before = set(Path("/proc/self/mountinfo").read_text().splitlines())
    harm(engine, engine.bundle(*SLEEPS))
    engine.refuses("create", "--bundle", engine.box, "one")
    assert not engine.root.exists() or os.listdir(engine.root) == []
    assert set(Path("/proc/self/mountinfo").read_text().splitlines()) == before
    assert not children_of("sleep 300")
    engine.bundle(*SLEEPS)  # and the name is free
    engine.create("one")


def children_of(words):
    """Processes of this user's with these words, in the namespace of the tests."""
    found = subprocess.run(["pgrep", "-f", f"^{words}$"], text=True, capture_output=True).stdout
    return [pid for pid in found.split() if Path(f"/proc/{pid}/exe").exists()]


def test_a_creator_that_is_killed_leaves_what_delete_finds(engine):
    """Held by a hook that sleeps, while the container is half made."""
    config = engine.bundle(*SLEEPS)
    config["hooks"] = {"createRuntime": [{"path": "/usr/bin/sleep", "args": ["sleep", "3.25"]}]}
    engine.write(config)
    creator = subprocess.Popen([*engine.words, "create", "--bundle", str(engine.box), "one"],
                               env=engine.who.environment, stdin=subprocess.DEVNULL, cwd="/")
    assert wait_for(lambda: children_of("sleep 3.25"))
    assert engine.state("one")["status"] == "creating"
    creator.kill()
    creator.wait()
    engine.becomes("one", "stopped")
    engine.does("delete", "one")
    assert "does not exist" in engine.refuses("state", "one")
    assert wait_for(lambda: not children_of("sleep 3.25"))


def test_two_starts_at_once_and_one_wins(engine):
    engine.bundle(*SLEEPS)
    engine.create("one")
    starts = [subprocess.Popen([*engine.words, "start", "one"], env=engine.who.environment, cwd="/",
                               stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [start.communicate(timeout=60)[1] for start in starts]
    assert sorted(start.returncode for start in starts) == [0, 1] and "already running" in "".join(said)


def test_two_deletes_at_once_and_one_wins(engine):
    engine.bundle(*SLEEPS)
    engine.create("one")
    engine.does("kill", "one", "KILL")
    engine.becomes("one", "stopped")
    deletes = [subprocess.Popen([*engine.words, "delete", "one"], env=engine.who.environment, cwd="/",
                                stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [delete.communicate(timeout=60)[1] for delete in deletes]
    assert sorted(delete.returncode for delete in deletes) == [0, 1] and "does not exist" in "".join(said)


def test_whoever_connects_and_says_nothing_starts_nothing(engine):
    import socket
    engine.bundle(*SLEEPS)
    out = engine.create("one")
    for word in (None, b"stop", b"start now"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
            connection.connect(str(engine.root / "one/start"))
            if word:
                connection.send(word)
    time.sleep(0.3)
    assert out.read_text() == "" and engine.state("one")["status"] == "created"
    engine.does("start", "one")
    assert wait_for(lambda: out.read_text() == "started\n")


def test_another_with_the_same_number_is_not_ours(engine):
    """As if the pid had come back: the record has our own, and when somebody else was born."""
    engine.bundle(*SLEEPS)
    engine.create("one")
    real = engine.root / "one/state.json"
    record = json.loads(real.read_text())
    bystander = subprocess.Popen([*engine.who.prefix, "sleep", "200"])
    real.write_text(json.dumps(record | {"pid": bystander.pid}))
    assert engine.state("one")["status"] == "stopped"
    assert "not running" in engine.refuses("kill", "one", "KILL")
    assert bystander.poll() is None
    real.write_text(json.dumps(record))
    bystander.kill()
    bystander.wait()
    assert engine.state("one")["status"] == "created"


def test_who_joins_is_in_all_of_its_namespaces_and_behind_all_of_its_walls(engine):
    config = engine.bundle("sleep", "300")
    config["process"]["oomScoreAdj"] = 555
    engine.write(config)
    engine.create("one")
    engine.does("start", "one")
    pid = engine.state("one")["pid"]
    seen = json.loads(engine.does("exec", "--cwd", "/tmp", "--env", "A=b", "one", "python3", "-I", "-c", LOOK))
    assert seen["spaces"]["mnt"] == spaces(pid)["mnt"]
    assert {name: seen["spaces"][name] for name in spaces(pid)} == spaces(pid)
    assert seen["pid"] > 1 and seen["cwd"] == "/tmp" and seen["env"]["A"] == "b" and seen["fds"] == [0, 1, 2]
    first = [line.split()[1] for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("Cap")]
    assert seen["caps"] == first and seen["oom"] == "555"
    for command, status in (("exit 7", 7), ("kill -KILL $$", 137)):
        assert engine.call("exec", "one", "sh", "-c", command).returncode == status
    result = engine.call("exec", "one", "nowhere-at-all")
    assert result.returncode != 0 and "executable file not found in $PATH" in result.stderr


def test_whoever_joins_detached_is_known_by_its_pid_file(engine):
    engine.bundle("sleep", "300")
    engine.create("one")
    engine.does("start", "one")
    process = engine.folder / "process.json"
    process.write_text(json.dumps({"args": ["sleep", "250"], "cwd": "/", "env": ["PATH=/usr/bin"]}))
    with subreaper():
        engine.does("exec", "--process", process, "--detach", "--pid-file", engine.folder / "pid", "one",
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        pid = int((engine.folder / "pid").read_text())
        assert Path(f"/proc/{pid}/cmdline").read_bytes() == b"sleep\0" b"250\0"
        assert spaces(pid)["pid"] == spaces(engine.state("one")["pid"])["pid"]
        engine.does("kill", "one", "KILL")  # process 1 takes the others along
        assert ended(pid) == -signal.SIGKILL


def test_delete_by_force_ends_what_runs(engine):
    engine.bundle(*SLEEPS)
    engine.create("one")
    engine.does("start", "one")
    pid = engine.state("one")["pid"]
    engine.does("delete", "--force", "one")
    assert gone(pid) and os.listdir(engine.root) == []


def test_hooks_come_in_their_order_and_hear_the_state(engine):
    config = engine.bundle("true")
    log, moments = engine.folder / "log", ("createRuntime", "poststart", "poststop")
    config["hooks"] = {name: [{"path": "/bin/sh", "args": ["sh", "-c", f"echo {name} $(cat) >> {log}"]}]
                       for name in moments}
    engine.write(config)
    log.touch(mode=0o666)
    os.chmod(log, 0o666)
    engine.create("one")
    engine.does("start", "one")
    engine.becomes("one", "stopped")
    engine.does("delete", "one")
    lines = [line.split(" ", 1) for line in log.read_text().splitlines()]
    assert [name for name, _ in lines] == list(moments)
    assert [json.loads(text)["id"] for _, text in lines] == ["one"] * 3
    assert json.loads(lines[-1][1])["status"] == "stopped"


def test_what_is_kept_is_our_callers(engine):
    """Else one of the runtime's own would stand under that number, and lead out of the container."""
    look = "import os; print(*(os.readlink(f'/proc/self/fd/{fd}') for fd in range(3, 9) if os.path.exists(f'/proc/self/fd/{fd}')))"
    engine.bundle("python3", "-I", "-c", look)
    for count in 1, 9, 90:  # of which it has none open
        said = engine.does("run", "--preserve-fds", count, "--bundle", engine.box, "one").split()
        assert said in ([], ["/proc/self/fd"]) or said[0].startswith("/proc/"), said
    assert "--preserve-fds x" in engine.refuses("create", "--preserve-fds", "x", "--bundle", engine.box, "one")
    words = [*engine.words, "run", "--preserve-fds", "2", "--bundle", str(engine.box), "two"]
    shell = ["sh", "-c", 'exec 3</usr/bin/env 4</usr/bin/sed; exec "$@"', "sh", *words]
    result = subprocess.run(shell, text=True, capture_output=True, env=engine.who.environment, cwd="/", timeout=60)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split()[:2] == ["/usr/bin/env", "/usr/bin/sed"] and len(result.stdout.split()) <= 3


def test_the_checkpoint_is_chapter_9s_container_from_its_file(who):
    look = "id -u; hostname; grep -E 'CapEff|NoNewPrivs|Seccomp:' /proc/self/status; cut -c1-11 /proc/self/uid_map; exit 5"
    before = set(os.listdir("/tmp"))
    ninth, tenth = (who.crabcan("step", step, "--hostname", "boxed", "--", "sh", "-c", look) for step in (9, 10))
    assert tenth.returncode == ninth.returncode == 5 and tenth.stdout == ninth.stdout
    for command, status in (["nowhere"], 127), (["/etc/passwd"], 126):
        result = who.crabcan("step", 10, "--", *command)
        assert result.returncode == status and command[0] in result.stderr and result.stderr.startswith("crabcan: ")
    assert not [name for name in set(os.listdir("/tmp")) - before if name.startswith("crabcan-") and name[8:9] != "t"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_step_that_is_ended_takes_its_directory_away(who, folder, number):
    """Also while it is being made."""
    folder.chmod(0o777)
    for line in ("exec sleep 100", "trap 'exit 3' INT TERM; echo READY; while :; do sleep 0.1; done"):
        step = subprocess.Popen(who.command("step", 10, "--", "sh", "-c", line), env=who.environment | {"TMPDIR": str(folder)},
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
        if "READY" in line:
            assert step.stdout.readline() == "READY\n", step.stderr.read()
        assert wait_for(lambda: len(os.listdir(folder)) == 1)
        os.killpg(step.pid, number)  # as a terminal does
        assert "Traceback" not in step.communicate(timeout=30)[1] and step.returncode in (128 + number, 3)
        assert os.listdir(folder) == []


def test_what_a_step_that_was_killed_has_left_the_next_one_takes_away(who, folder):
    """Its directory, and its container, which nobody ends with it; not a neighbour's, nor what is none of ours."""
    folder.chmod(0o1777)
    environment, steps = who.environment | {"TMPDIR": str(folder)}, []
    for line in ("echo READY; exec sleep 100", "echo READY; read word", "exec sleep 100"):
        steps.append(subprocess.Popen(who.command("step", 10, "--", "sh", "-c", line), env=environment, text=True,
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        assert wait_for(lambda: len(os.listdir(folder)) == len(steps))
        assert "READY" not in line or steps[-1].stdout.readline() == "READY\n"
    for step in steps[0], steps[2]:  # that is still being made
        step.kill()
    assert wait_for(lambda: sum(held(path) for path in folder.iterdir()) == 1)
    lives, = [path.name for path in folder.iterdir() if held(path)]
    (folder / "crabcan-step-link").symlink_to(folder / "crabcan-step-open")
    (folder / "crabcan-step-open").mkdir(mode=0o755)
    (folder / "crabcan-step-file").write_text("")
    (folder / "crabcan-step-theirs").mkdir(mode=0o700)
    os.chown(folder / "crabcan-step-theirs", *(who.uid + 1,) * 2) if os.geteuid() == 0 else None
    stay = {lives, "crabcan-step-link", "crabcan-step-open", "crabcan-step-file", "crabcan-step-theirs"}
    result = subprocess.run(who.command("step", 10, "--", "sh", "-c", "exit 6"), env=environment, text=True, capture_output=True)
    assert result.returncode == 6 and "killed" not in result.stderr, result
    assert stay - ({"crabcan-step-theirs"} if os.geteuid() else set()) <= set(os.listdir(folder)) <= stay
    assert steps[0].stdout.read() == steps[2].stdout.read() == ""  # nobody has it open any more: it has ended
    steps[1].communicate("end\n", timeout=30)
    assert steps[1].returncode == 0 and lives not in os.listdir(folder)
    for step in steps[0], steps[2]:
        step.communicate(timeout=30)


def held(path):
    """Tells whether somebody holds the lock of a directory."""
    fd = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(fd)


def test_two_may_step_at_once(who):
    """Two learners share a machine: each container has a name of its own, and so a cgroup."""
    words = [*who.command("step", 10, "--", "sh", "-c", "echo up; read word; exit $word")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/",
                          env=who.environment) as first:
        assert first.stdout.readline() == "up\n"
        assert who.crabcan("step", 10, "--", "sh", "-c", "exit 6").returncode == 6
        first.communicate("7\n", timeout=30)
    assert first.returncode == 7


def test_the_map_of_fields_has_each_field_and_finds_it(who):
    def fields(*words):
        return subprocess.run([*who.python, "-m", "crabcan_workshop", "fields", *words], text=True, cwd="/",
                              env=who.environment, capture_output=True)
    lines = fields().stdout.splitlines()[1:]
    paths = [line.split()[0] for line in lines]
    assert {"process.args", "linux.seccomp.syscalls[].names", "hooks.poststop[].path"} <= set(paths)
    assert len(paths) == len(set(paths)) > 150
    found = fields("SECCOMP", "args").stdout.splitlines()[1:]
    wanted = [line for line in lines if "seccomp" in line.split()[0].lower() and "args" in line.split()[0]]
    assert list(map(str.split, found)) == list(map(str.split, wanted)) != []
    assert fields("nonsense").returncode == 1 and "nonsense" in fields("nonsense").stderr


ENDS = """
import os, sys, time
from crabcan_steps import ch10_bundle
from crabcan_steps.oci import __main__, state
real = ch10_bundle.Join.prepare
def prepare(self, spec, undo):
    real(self, spec, undo)
    os.kill(spec.folder.record["pid"], 9)
    while state.born(spec.folder.record["pid"]) is not None:
        time.sleep(0.01)
ch10_bundle.Join.prepare = prepare
sys.exit(__main__.main(sys.argv[1:]))
"""


def test_who_ends_while_its_namespaces_are_opened_is_not_joined(engine):
    """The number may be another's by then, and with it what was opened."""
    engine.bundle(*SLEEPS)
    engine.create("one")
    engine.does("start", "one")
    words = [*engine.who.python, "-P", "-c", ENDS, "--root", str(engine.root), "exec", "one", "true"]
    result = subprocess.run(words, text=True, capture_output=True, env=engine.who.environment, cwd="/", timeout=60)
    assert result.returncode == 255 and result.stderr == "crabcan-oci: cannot exec in a stopped container\n", result
