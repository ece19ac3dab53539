"""Two never have one address, and with the last one all is gone: also after kill -9, of whomever."""
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from conftest import wait_for  # noqa: E402
from world import FIRST, HOST, HOST6, WEB, WEB6, as_before, fresh, inside, settled, world  # noqa: E402, F401

DOCTOR = "from crabcan_workshop import doctor\nprint(doctor.abandoned() and doctor.check_bridge()[2])"
WAIT = ["--", "sh", "-c", "echo ready; read x"]


def many(world, number):
    """So many containers at once; returns what each has found as its address."""
    words = world.root.command("run", "--net", "bridge", "--memory", "max", "--", "sh", "-c",
                               "ip -o -4 addr show eth0; read x")
    running = [subprocess.Popen(words, env=world.root.environment, stdin=-1, stdout=-1, stderr=-1, text=True)
               for _ in range(number)]
    found = [process.stdout.readline() for process in running]
    for process in running:
        process.stdin.close()
    said = [(process.stderr.read(), process.wait()) for process in running]
    assert not [one for one in said if one[1] != 1 or one[0]], said[:3]  # read x: 1 at the end of its input
    for process in running:
        process.stdout.close()
        process.stderr.close()
    return re.findall(rf"{FIRST}\.\d+", "".join(found))


def test_many_at_once_get_one_each(world, as_before, request):
    number = 200 if request.config.getoption("long") else 25
    found = many(world, number)
    assert len(found) == len(set(found)) == number


def test_when_all_are_taken_one_line_says_so(world, as_before, tmp_path):
    script = ("from crabcan_steps.net import addresses\nfrom crabcan_steps import ch09_runtime, cli\nimport sys\n"
              "addresses.LAST = 2\nsys.exit(cli.main(['run', '--net', 'bridge', *sys.argv[1:]]))")
    with world.background(*WAIT) as running:
        running.ready()
        result = world.root.script(script, "true")
    assert result.returncode == 125 and len(result.stderr.splitlines()) == 1 and "end some" in result.stderr


@pytest.mark.parametrize("whom", ["us", "us and who is beside us", "all of a session"])
def test_kill_9(world, whom):
    """Who stands beside us tidies up; if he is killed as well, the next container does, and works."""
    with world.background("-p", "8080:80", *WAIT) as running:
        running.ready()
        beside = [int(pid) for pid in Path(f"/proc/{running.runtime}/task/{running.runtime}/children").read_text().split()
                  if int(pid) != running.init]
        assert len(beside) == 2  # the relay, and who waits for our end: nobody means them who kills by our name
        assert all(Path(f"/proc/{pid}/{file}").read_text().strip("\0\n") == f"net-of-{running.runtime}"[:15 if file == "comm" else None]
                   for pid in beside for file in ("comm", "cmdline"))
        for pid in [*(beside if whom != "us" else ()), running.runtime, *([running.init] if "all" in whom else ())]:
            subprocess.run(["kill", "-9", str(pid)], stderr=subprocess.DEVNULL)
        running.process.wait()
        if whom != "us":
            assert wait_for(lambda: "crabcan0" in world.do(world.host, "ip -o link"))
            assert "crabcan run --net bridge true" in world.root.script(DOCTOR).stdout
            assert world.root.run(*inside("print(get('http://203.0.113.5/'))"), options=["--net", "bridge", "-p", "8080:80"])
        left = settled(world)
        assert not left, left
        assert "bridge" not in world.root.script(DOCTOR).stdout


def test_the_end_of_a_whole_cgroup(world):
    """systemd ends services so, and the kernel where memory runs out: all at once, also what stands beside us."""
    top = next((Path(top) for top in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified") if Path(top, "cgroup.procs").exists()), None)
    if top is None:
        pytest.skip("no version 2 of cgroups here: nobody ends one as a whole")
    group = top / f"test-of-net-{os.getpid()}"
    group.mkdir()
    try:
        words = world.root.command("run", "--net", "bridge", "--memory", "max", "--pids", "max", "-p", "8080:80", *WAIT)
        process = subprocess.Popen(["sh", "-c", f'echo $$ > {group}/cgroup.procs; exec "$@"', "sh", *words], env=world.root.environment,
                                   stdin=-1, stdout=-1)
        assert process.stdout.readline() == b"ready\n" and world.state() != world.before
        assert str(process.pid) in (group / "cgroup.procs").read_text().split()
        (group / "cgroup.kill").write_text("1")
        assert process.wait() == -signal.SIGKILL
        left = settled(world)
        assert not left, left
        process.stdin.close()
        process.stdout.close()
    finally:
        assert wait_for(lambda: not (group / "cgroup.procs").read_text())
        group.rmdir()


def test_nobody_reads_what_debug_tells(world, as_before):
    """`crabcan run --debug ... 2>&1 | head`: what is told of a call is not what undoes it."""
    reader, writer = os.pipe()
    os.close(reader)
    process = subprocess.Popen(world.root.command("run", "--net", "bridge", "-d", "true"), env=world.root.environment, stderr=writer)
    os.close(writer)
    assert process.wait() == 0


def test_one_goes_another_stays(world, as_before):
    with world.background("--name", "stays", *WAIT) as stays:
        stays.ready()
        with world.background("--name", "goes", "--internal", *WAIT) as goes:
            goes.ready()
            assert f"{FIRST}.3" in world.do(world.host, "nft list set inet crabcan internal4")
            assert "goes" in world.do(world.host, "cat /run/crabcan/*/2.hosts")
            goes.process.send_signal(signal.SIGKILL)
            assert wait_for(lambda: "goes" not in world.do(world.host, "cat /run/crabcan/*/2.hosts"))
        assert f"{FIRST}.3" not in world.do(world.host, "nft list set inet crabcan internal4")
        assert world.root.run(*inside("print(get('http://203.0.113.5/'))"), options=["--net", "bridge"]) == f"{HOST}\n"


def test_what_the_rules_know_of_a_number_is_true_of_the_next(world, as_before):
    """A MAC that one had asked for is forgotten with it; what follows from the number need not be."""
    seven = ["--net", "bridge", "--ip", f"{FIRST}.7"]
    get = inside(f"print(get('http://{WEB}/'), get('http://[{WEB6}]/'))")
    with world.background(*WAIT) as stays:
        stays.ready()
        prefix = world.do(stays.init, "ip -o -6 addr show eth0 scope global").split()[3].partition("::")[0]
        for options in ["--ip6", f"{prefix}::abc"], [], ["--mac", "02:00:00:00:00:09", "--internal"], [], ["--mac", "02:00:00:00:00:08"], []:
            expected = "no: " if "--internal" in options else f"{HOST} {HOST6}"
            assert world.root.run(*get, options=[*seven, *options]).startswith(expected), options
            rules = world.do(world.host, "nft list ruleset")
            assert "02:00:" not in rules and "::abc" not in rules


def test_a_cable_goes_with_its_namespace_or_when_its_number_is_wanted(world, as_before):
    """Somebody who has come in from outside holds the namespace: no reason for the next one to have no cable."""
    with world.background(*WAIT) as stays:
        stays.ready()
        with world.background(*WAIT) as goes:
            goes.ready()
            other = subprocess.Popen(["nsenter", f"--target={goes.init}", "--net", "sleep", "60"])
            assert wait_for(lambda: Path(f"/proc/{other.pid}/comm").read_text() == "sleep\n")
            goes.process.terminate()
            goes.process.wait()
        assert "eth0" in world.do(other.pid, "ip -o link")
        assert world.root.run(*inside("print(get('http://203.0.113.5/'))"), options=["--net", "bridge"]) == f"{HOST}\n"
        assert "eth0" not in world.do(other.pid, "ip -o link")
        other.kill()
        other.wait()


def test_who_has_joined_loses_the_way_out_with_its_owner(world, as_before):
    with world.background(*WAIT) as stays:
        stays.ready()
        with world.background("--name", "goes", *WAIT) as goes:
            goes.ready()
            with world.background(*WAIT, net="container:goes") as joined:
                joined.ready()
                assert "eth0" in world.do(joined.init, "ip -o link")
                goes.process.terminate()
                goes.process.wait()
                assert "eth0" not in world.do(joined.init, "ip -o link")


@pytest.mark.parametrize("stopped", ["ip_forward", "nothing"])
def test_forwarding_is_put_back_by_the_last(world, stopped):
    path = "/proc/sys/net/ipv4/ip_forward"
    world.do(world.host, f"echo {int(stopped == 'nothing')} > {path}")
    try:
        with world.background(*WAIT) as one:
            one.ready()
            with world.background(*WAIT) as two:
                two.ready()
                two.process.terminate()
                two.process.wait()
            assert world.do(world.host, f"cat {path}") == "1\n"
        assert wait_for(lambda: world.do(world.host, f"cat {path}").strip() == str(int(stopped == "nothing")))
    finally:
        world.do(world.host, f"echo 0 > {path}")
    assert settled(world) == []


def test_an_address_is_free_again_though_its_container_lives_on(world):
    """It has taken back what would end it with its parent; its cable is cut."""
    stays = "import ctypes\nctypes.CDLL(None).prctl(1, 0, 0, 0, 0)\nprint('ready')\ntime.sleep(20)"
    with world.background("--", *inside(stays)) as running:
        running.ready()
        running.process.kill()
        running.process.wait()
        assert wait_for(lambda: "crabcan2" not in world.do(world.host, "ip -o link"))
        assert world.root.run("sh", "-c", "ip -o -4 addr show eth0", options=["--net", "bridge"]).split()[3] == f"{FIRST}.2/24"
    assert settled(world) == []


@pytest.mark.parametrize("half", ["links.add_veth", "rules.elements", "bridge.forward", "links.add_bridge", "names.resolvers",
                                  "leases.Leases.introduce"])
def test_a_start_that_fails_half_way_leaves_nothing(world, as_before, half):
    module, _, name = half.partition(".")
    script = (f"import sys\nfrom crabcan_steps import cli\nfrom crabcan_steps.net import modes, {module}\n"
              "def fail(*_): raise OSError(5, 'no')\n"
              f"{module}.{name} = fail\nsys.exit(cli.main(['run', '--net', 'bridge', 'true']))")
    result = world.root.script(script)
    assert result.returncode == 125 and "chapter 11 (network)" in result.stderr, result


def test_kill_9_while_it_starts(world, as_before):
    """Who tidies up after us is there before there is anything."""
    for wait in 0.1, 0.16, 0.2, 0.24, 0.3, 0.4:
        process = subprocess.Popen(world.root.command("run", "--net", "bridge", "--", "sleep", "9"), env=world.root.environment,
                                   stderr=subprocess.DEVNULL)
        time.sleep(wait)
        process.kill()
        process.wait()
        left = settled(world)
        assert not left, (wait, left)


def killed_while_nft(world, folder, sign, *options):
    """A start that ends while its nft is about to load something; comes back when that has done so all the same."""
    slow, started, done = (folder / name for name in ("nft", "started", "done"))
    slow.write_text(f"#!/bin/sh\nscript=$(cat)\ncase $script in *'{sign}'*) echo > {started}; sleep 1; at={done};; esac\n"
                    "printf '%s\\n' \"$script\" | /usr/sbin/nft -f -\ntest -z \"$at\" || echo > $at\n")
    slow.chmod(0o755)
    script = (f"import sys\nfrom crabcan_steps import cli\nfrom crabcan_steps.net import nft\nnft.PROGRAMS = ['{slow}']\n"
              "cli.main(['run', '--net', 'bridge', *sys.argv[1:], 'sleep', '9'])")
    process = subprocess.Popen([*world.root.python, "-c", script, *options], env=world.root.environment, stderr=subprocess.DEVNULL)
    assert wait_for(started.exists)
    process.kill()
    process.wait()
    assert wait_for(done.exists)


def test_what_nft_loads_for_one_who_was_killed_goes_too(world, as_before, tmp_path):
    """Who tidies up waits for it: all the rules, or of one container what was published."""
    killed_while_nft(world, tmp_path, "chain postrouting")
    left = settled(world)
    assert not left, left
    (tmp_path / "more").mkdir()
    with world.background(*WAIT) as stays:
        stays.ready()
        killed_while_nft(world, tmp_path / "more", "add element", "-p", f"{HOST}:8099:80")
        assert wait_for(lambda: world.do(world.host, "ls /run/crabcan/*/3 2> /dev/null || true") == "")
        assert "8099" not in world.do(world.host, "nft list set inet crabcan published4")


def test_ctrl_c_while_it_starts(world, as_before):
    for wait in 0.15, 0.2, 0.25, 0.3, 0.35:
        process = subprocess.Popen(world.root.command("run", "--net", "bridge", "--", "sleep", "9"), env=world.root.environment,
                                   stderr=subprocess.DEVNULL)
        time.sleep(wait)
        process.send_signal(signal.SIGINT)
        assert process.wait(9)
