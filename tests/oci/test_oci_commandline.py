"""What suites of others, and engines, have found: a test for each, so that it stays found."""
import json
import os
import subprocess
import threading
from pathlib import Path

import pytest

from cells import CAPS, SETS, all_boxes, boxes  # noqa: F401
from conftest import Typist, wait_for
from crabcan_steps.oci.cgroups.processes import processes as members

KILLS_MKDIR = {"defaultAction": "SCMP_ACT_ALLOW",
               "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_KILL"}]}


class Caller:
    """crabcan-oci for Typist: somebody at a terminal."""

    def __init__(self, boxes):
        self.boxes, self.environment = boxes, boxes.options()["env"]

    def command(self, *words):
        return self.boxes.words(*words)


def at_a_terminal(config):
    config["process"] |= {"terminal": True, "args": ["sh", "-c", "tty; read word; echo got $word; exit 4"]}


def test_run_at_a_terminal(boxes):
    box = boxes.box(at_a_terminal)
    with Typist(Caller(boxes), "run", "--bundle", box.folder, box.name) as typist:
        typist.sees("/dev/pts/0")
        typist.type("abc\n")
        typist.sees("got abc")
        assert typist.process.wait(20) == 4
    assert not box.left()


def test_what_a_terminal_says_goes_where_our_output_goes(boxes, tmp_path):
    """Whoever types at a terminal may read what comes from a file."""
    box = boxes.box(at_a_terminal)
    box.config["process"]["args"] = ["sh", "-c", "echo into the file; exit 4"]
    box.write()
    line = 'exec "$@" >"$OUT"'
    words = boxes.words("run", "--bundle", box.folder, box.name)
    environment = boxes.options()["env"] | {"OUT": str(tmp_path / "out")}
    outer, inner = os.openpty()
    try:
        result = subprocess.run(["sh", "-c", line, "sh", *words], stdin=inner, env=environment, timeout=50, cwd="/")
    finally:
        os.close(outer)
        os.close(inner)
    assert result.returncode == 4 and (tmp_path / "out").read_bytes() == b"into the file\r\n"


def test_a_start_that_fails_does_not_wait_for_itself(boxes):
    """It held the lock that it then waited for."""
    box = boxes.box(lambda config: config.update(hooks={"poststart": [{"path": "/bin/false"}]}))
    assert "error running hook poststart" in box.call("run").stderr
    assert not box.left()


def test_exec_that_cannot_run_ends_with_255(boxes):
    box = boxes.box().up()
    assert box.call("exec", "false").returncode == 1
    assert box.call("exec", "/nope").returncode == 255
    assert box.call("exec", "true", options=("--pid-file", "/nowhere/pid")).returncode == 255
    box.must("pause")
    assert box.call("exec", "true").returncode == 255
    box.must("resume")
    assert box.call("kill", "0").returncode == 0
    box.must("kill", "KILL")
    assert wait_for(lambda: box.state()["status"] == "stopped")
    assert box.call("kill", "0").returncode == 1
    assert box.call("kill", "0", options=("--all",)).returncode == 0


def test_kill_all_is_heard_where_there_is_no_cgroup(all_boxes):
    """An ordinary user's container may have none: then its first process stands for all."""
    box = all_boxes.box().up()
    box.must("kill", "KILL", options=("--all",))
    assert wait_for(lambda: box.state()["status"] == "stopped")


RUNNERS = "import os\nfor _ in range(5): os.fork()\nwhile True:\n if os.fork(): os._exit(0)"  # always others


def test_kill_all_is_outrun_by_nobody(boxes):
    """In the host's PID namespace nobody ends with the first process."""
    box = boxes.box()
    box.config["process"]["args"] = ["python3", "-c", RUNNERS]
    box.config["linux"]["namespaces"] = [one for one in box.config["linux"]["namespaces"] if one["type"] != "pid"]
    box.write()
    groups = box.up().record["cgroups"]
    assert wait_for(lambda: box.state()["status"] == "stopped") and members(groups)
    box.must("kill", "KILL", options=("--all",))
    assert wait_for(lambda: not any(members(groups) for _ in range(20)), 3)


def test_exec_takes_a_process_from_a_pipe(boxes):
    box = boxes.box().up()
    process = box.config["process"] | {"args": ["echo", "by pipe"]}
    result = box.call("exec", options=("--process", "/dev/stdin"), stdin=None, input=json.dumps(process))
    assert (result.returncode, result.stdout) == (0, "by pipe\n"), result.stderr


@pytest.mark.parametrize("where, text", [("..", " .. is not a sub cgroup path"), ("whaaat:/", "unknown controller whaaat"),
                                         ("nonexistent", "/nonexistent/cgroup.procs: no such file")])
def test_exec_names_the_cgroup_that_cannot_be(boxes, where, text):
    box = boxes.box().up()
    result = box.call("exec", "true", options=("--cgroup", where))
    assert result.returncode == 255 and text in result.stderr


def test_hooks_in_the_container_are_behind_its_filter(boxes):
    """Their programs are the container's: but the filter is loaded after they have run."""
    box = boxes.box()
    box.config["linux"]["seccomp"] = KILLS_MKDIR
    box.config["hooks"] = {"startContainer": [{"path": "/bin/sh", "args": ["sh", "-c", "mkdir /made"]}]}
    box.write()
    result = box.call("run")
    assert result.returncode == 1 and "error running hook startContainer #0 (/bin/sh)" in result.stderr
    assert "bad system call" in result.stderr.lower()
    assert not (box.rootfs / "made").exists()
    box.config["linux"].pop("seccomp")
    box.config["process"]["args"] = ["test", "-d", "/made"]
    box.write()
    box.must("run")


def test_hooks_before_the_container_s_root_begin_in_it(boxes):
    box = boxes.box()
    box.config["hooks"] = {"createContainer": [{"path": "/bin/sh", "args": ["sh", "-c", "touch ./here"]}]}
    box.config["process"]["args"] = ["test", "-f", "/here"]
    box.write()
    box.must("run")


@pytest.mark.parametrize("terminal", [False, True])
def test_dev_may_be_read_only(boxes, terminal):
    box = boxes.box()
    box.config["mounts"][1]["options"].append("ro")
    box.config["process"] |= {"terminal": terminal, "args": ["sh", "-c", "ls /dev/null /dev/pts; touch /dev/x; echo $?"]}
    box.write()
    assert box.must("run").splitlines()[-1] == "1"


def test_nothing_hides_proc(boxes):
    """One slash more at the front, and the target was not known again."""
    for target in "/proc/sys", "//proc/sys", "/proc/../proc/sys":
        box = boxes.box(lambda config, target=target: config["mounts"].append(
            {"destination": target, "source": "/tmp", "options": ["bind"]}))
        assert "cannot be inside /proc" in box.call("run").stderr, target


def test_without_pivot_root_no_whole_proc_is_left(boxes):
    """Where one is, the kernel lets whoever makes a user namespace mount another, with nothing masked."""
    mount = ["unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "mount", "-t", "proc", "proc", "/mnt"]
    for options in (), ("--no-pivot",):
        box = boxes.box()
        (box.rootfs / "mnt").mkdir()
        box.config["linux"]["maskedPaths"] = ["/proc/keys", "/proc/timer_list"]
        caps = {name: [*CAPS, "CAP_SETFCAP"] for name in SETS}
        box.config["process"] |= {"args": mount, "noNewPrivileges": False, "capabilities": caps}
        box.write()
        result = box.call("run", options=options)
        assert result.returncode and "denied" in result.stderr, result


def test_tmpcopyup_leaves_the_mode_that_was_asked_for(boxes):
    for mode, seen in ("mode=700", "700"), ("size=1m", "755"):
        box = boxes.box(lambda config, mode=mode: config["mounts"].append(
            {"destination": "/t", "type": "tmpfs", "options": ["tmpcopyup", mode]}))
        (box.rootfs / "t").mkdir(mode=0o755)
        (box.rootfs / "t/file").touch()
        assert box.run("stat -c %a /t; ls /t").split() == [seen, "file"]


def test_debug_tells_steps(boxes, tmp_path):
    box = boxes.box(lambda config: config["process"].update(args=["true"]))
    said = boxes.oci("--debug", "run", "--bundle", box.folder, box.name)
    assert said.stderr.count("level=debug") == 3 and "4 mounts" in said.stderr.replace("10 mounts", "4 mounts")
    log = tmp_path / "log"
    said = boxes.oci("--debug", "--log", log, "--log-format", "json", "run", "--bundle", box.folder, box.name)
    assert said.stderr == "" and [json.loads(line)["level"] for line in log.read_text().splitlines()] == ["debug"] * 3


def test_list_as_json_begins_as_others_do(boxes):
    box = boxes.box().up()
    said = boxes.oci("list", "--format", "json").stdout
    assert said.startswith(f'[{{"ociVersion":"1.2.0","id":"{box.name}","pid":{box.pid},"status":"running","bundle":')


def test_a_bundle_with_a_cgroup_namespace_is_in_its_cgroup(boxes):
    box = boxes.box(lambda config: config["linux"]["namespaces"].append({"type": "cgroup"})).up()
    assert all(line.endswith(":/") for line in box.must("exec", "cat", "/proc/self/cgroup").splitlines())


def test_who_decides_may_hang_up_when_all_is_told(boxes, tmp_path):
    """An agent reads the message and its descriptor at once, and closes: that was a broken pipe."""
    import array
    import socket
    path, found = str(tmp_path / "agent"), []
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(path)
    server.listen(1)

    def agent():
        connection, _ = server.accept()
        text, rights, _, _ = connection.recvmsg(65536, socket.CMSG_SPACE(4))
        connection.close()
        found.append((json.loads(text)["fds"], array.array("i", rights[0][2])[0]))
    thread = threading.Thread(target=agent)
    thread.start()
    box = boxes.box()
    box.config["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": path, "syscalls": [
        {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY"}]}
    box.config["process"]["args"] = ["true"]
    box.write()
    box.must("run")
    thread.join(20)
    server.close()
    assert found[0][0] == ["seccompFd"]
    os.close(found[0][1])


def test_no_help_is_told_for_what_there_is_not(boxes):
    result = boxes.oci("nope", "--help")
    assert result.returncode == 1 and "No help topic for 'nope'" in result.stderr


@pytest.mark.skipif(not os.path.isdir("/sys/fs/cgroup/freezer"), reason="version 1 only: there a frozen process cannot die")
def test_delete_ends_whom_somebody_has_frozen_elsewhere(boxes):
    box = boxes.box().up()
    group = Path(f"/sys/fs/cgroup/freezer/elsewhere-{os.getpid()}")
    group.mkdir()
    try:
        (group / "tasks").write_text(str(box.pid))
        (group / "freezer.state").write_text("FROZEN")
        assert box.call("delete", options=("--force",)).returncode == 0
    finally:
        (group / "freezer.state").write_text("THAWED")
        assert wait_for(lambda: not (group / "tasks").read_text())
        group.rmdir()


# ---------------------------------------------------------------- time

@pytest.mark.parametrize("mapped", [True, False], ids=["another's root", "the machine's root"])
def test_python_begins_a_second_time_only_where_it_could_be_written(boxes, mapped):
    """From the sealed copy (CVE-2019-5736): it costs as much as everything else that exec does."""
    box = boxes.box()
    if mapped:
        box.map()
    for words in ("create", "--bundle", box.folder, box.name), ("exec", box.name, "true"):
        log = boxes.folder / words[0]
        trace = ["strace", "-qq", "-o", str(log), "-e", "trace=memfd_create,execve,execveat"]
        result = subprocess.run([*trace, *boxes.words(*words)], **boxes.options(
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60))
        assert result.returncode == 0, words
        copies = log.read_text().count('memfd_create("crabcan"')
        assert copies == (0 if mapped else 1), (words[0], log.read_text())
        if words[0] == "create":
            box.must("start")
