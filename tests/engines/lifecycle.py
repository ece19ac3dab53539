"""What is asked of podman and of docker alike, in the words that both understand."""
import os
import signal
import time

from conftest import Typist, wait_for
from crabcan_workshop.engine import image
from engines import limits


def state(both, name, what="{{.State.Status}}"):
    return both.must("inspect", "--format", what, name)


def exec_(both):
    """exec: its status, its user, its input, and that it is where the container is."""
    found = []
    for ours in True, False:
        with both.running("--cap-drop", "all", ours=ours) as name:
            said = [both.call("exec", name, "sh", "-c", "exit 5"), both.call("exec", name, "nope"),
                    both.call("exec", name, "/etc/passwd"),
                    both.call("exec", "--user", "1000", name, "sh", "-c", "id -u; grep CapEff /proc/self/status"),
                    both.call("exec", "--env", "A=b", "--workdir", "/tmp", name, "sh", "-c", "echo $A; pwd"),
                    both.call("exec", "--interactive", name, "cat", input="typed", stdin=None)]
            inside = both.must("exec", name, "sh", "-c", "readlink /proc/1/ns/* /proc/self/ns/* | sort | uniq -c")
            assert all(line.split()[0] == "2" for line in inside.splitlines()[:-2]), inside
            found.append([(one.returncode, one.returncode or one.stdout) for one in said])
    assert found[0] == found[1], found
    missing = 126 if both.engine.name == "docker" else 127  # 20.10 and runc have it so
    assert [status for status, _ in found[0]] == [5, missing, 126, 0, 0, 0], found[0]


def terminal(both):
    """-it: a terminal of the container's own, of our size, with its keys."""
    for ours in True, False:
        words = both.words(ours, ["--rm", "-it"], ["sh", "-c", "tty; read word; echo got $word; exit 4"])
        with Typist(both.engine, *words) as typist:
            typist.sees("/dev/pts/0", 60)
            typist.type("abc\n")
            typist.sees("got abc")
            assert typist.process.wait(30) == 4
    with both.running() as name, Typist(both.engine, "exec", "-it", name, "sh") as typist:
        typist.sees("#", 60)
        typist.type("tty; echo $((6 * 7))\n")
        typist.sees("/dev/pts/0")
        typist.sees("42")
        typist.type("exit 6\n")
        assert typist.process.wait(30) == 6


def logs_top_and_stats(both):
    with both.running(command=("sh", "-c", "echo out; echo err >&2; exec sleep 100")) as name:
        assert wait_for(lambda: "err" in both.call("logs", name).stderr + both.call("logs", name).stdout)
        assert "out" in both.call("logs", name).stdout
        assert "sleep 100" in both.must("top", name)
        assert name in both.must("stats", "--no-stream", name, seconds=60)


def pause(both):
    with both.running() as name:
        both.must("pause", name)
        assert state(both, name) == "paused"
        assert both.call("exec", name, "true").returncode
        both.must("unpause", name)
        assert state(both, name) == "running"
        both.must("exec", name, "true")


def update(both):
    with both.running("--memory", "64m") as name:
        both.must("update", "--memory", "32m", "--memory-swap", "32m", "--cpus", "0.25", name)
        said = both.call("exec", name, "sh", "-c", limits()).stdout.split()
        assert "33554432" in said and ("25000" in said), said


def stop_and_kill(both):
    """The exit statuses of containers that are ended, as with runc."""
    found = []
    trap = "trap 'exit 9' TERM; trap 'exit 8' USR1; while :; do sleep 0.1; done"
    for ours in True, False:
        said = []
        for words in ("stop", "-t", "30"), ("kill",), ("kill", "--signal", "USR1"):
            with both.running(command=("sh", "-c", trap), ours=ours) as name:
                time.sleep(0.5)  # until it has its traps
                both.must(*words, name)
                said.append(both.must("wait", name).split()[-1])
        with both.running(ours=ours) as name:  # process 1 without a handler: stop has to kill it
            both.must("stop", "-t", "1", name)
            said.append(state(both, name, "{{.State.ExitCode}}"))
        found.append(said)
    assert found == [["9", str(128 + signal.SIGKILL), "8", "137"]] * 2


def restart(both):
    """By policy, and by word."""
    for ours in True, False:
        with both.running("--restart", "on-failure:2", command=("sh", "-c", "exit 3"), ours=ours) as name:
            assert wait_for(lambda: state(both, name, "{{.RestartCount}} {{.State.ExitCode}}") == "2 3", 60)
    with both.running() as name:
        before = state(both, name, "{{.State.Pid}}")
        both.must("restart", "-t", "1", name)
        assert state(both, name) == "running" and state(both, name, "{{.State.Pid}}") != before


def two(both, folder):
    """Two containers that share a network and a volume, as compose makes them."""
    with both.running("--volume", f"{folder}:/v", command=("sh", "-c", "nc -l -p 8000 -e cat & exec sleep 100")) as one:
        said = both.call("run", "--rm", "--network", f"container:{one}", "--volume", f"{folder}:/v:ro", image.NAME,
                         "sh", "-c", "echo through | nc -w 2 127.0.0.1 8000; cat /v/file; touch /v/x; echo $?")
        assert "through" in said.stdout and "kept\n1\n" in said.stdout, said


def cgroups(word):
    """Cgroups that are called so, in any tree; others come and go meanwhile."""
    return [name for _, names, _ in os.walk("/sys/fs/cgroup") for name in names if word in name]


def nothing_left(both):
    """No state and no cgroup, however a container has ended."""
    with both.running() as name:
        ident = both.must("inspect", "--format", "{{.Id}}", name)
        assert cgroups(ident)
    assert wait_for(lambda: not cgroups(ident))
    deleted = [call for call in both.engine.calls() if call.command == "delete" and ident in call.words]
    assert deleted and deleted[0].status == 0
    both.run(True, [], ["nope"])
    last = both.engine.calls()[-1].after[0]
    assert wait_for(lambda: not cgroups(last))
