"""docker's engine with our runtime, and the same containers with runc: a daemon of the tests' own."""
import pytest

import lifecycle
from engines import CASES, Both

pytestmark = [pytest.mark.usefixtures("root"), pytest.mark.timeout(300)]
OTHERS = ()
QUICK = ("status", "no such program", "limits", "privileges", "mounts")


@pytest.fixture(scope="module")
def both(root):
    with Both("docker") as both:
        yield both


@pytest.mark.parametrize("name", [case if case in QUICK else pytest.param(case, marks=pytest.mark.slow)
                                  for case in CASES if case not in OTHERS])
def test_the_same_as_with_runc(both, name):
    options, command, wanted = CASES[name]
    said = both.same(options, command)
    assert wanted in said[1], said
    statuses = {"status": 7, "no such program": 127, "no permission": 126, "init": 3}
    if name in statuses:
        assert said[0] == statuses[name], said


@pytest.mark.slow
def test_a_volume(both, tmp_path):
    (tmp_path / "file").write_text("kept\n")
    said = both.same(["--volume", f"{tmp_path}:/v:ro", "--volume", f"{tmp_path}:/w"],
                     "head -n 1 /v/file; touch /v/x; echo $?; echo more >>/w/file")
    assert said[1] == "kept\n1\n" and (tmp_path / "file").read_text() == "kept\nmore\nmore\n"


def test_privileged(both):
    """Ours only: where the machine itself lacks capabilities, runc gives up."""
    said = both.run(True, ["--privileged"], "grep Seccomp: /proc/self/status; mount -t tmpfs t /tmp; echo $?")
    assert said[:2] == (0, "Seccomp:\t0\n0\n"), said


def test_input(both):
    assert both.same(["--interactive"], "cat; exit 2", input="typed", stdin=None)[:2] == (2, "typed")


def test_exec(both):
    lifecycle.exec_(both)


def test_a_terminal(both):
    lifecycle.terminal(both)


@pytest.mark.slow
def test_logs_top_and_stats(both):
    lifecycle.logs_top_and_stats(both)


def test_pause(both):
    lifecycle.pause(both)


def test_update(both):
    lifecycle.update(both)


@pytest.mark.slow
def test_stop_and_kill(both):
    lifecycle.stop_and_kill(both)


@pytest.mark.slow
def test_restart(both):
    lifecycle.restart(both)


@pytest.mark.slow
def test_two_containers(both, tmp_path):
    (tmp_path / "file").write_text("kept\n")
    lifecycle.two(both, tmp_path)


def test_nothing_is_left(both):
    lifecycle.nothing_left(both)


def test_the_runtime_is_ours(both):
    with both.running() as name:
        assert both.must("inspect", "--format", "{{.HostConfig.Runtime}}", name) == "crabcan"
        ident = both.must("inspect", "--format", "{{.Id}}", name)
    commands = [call.command for call in both.engine.calls() if ident in call.words]
    assert commands[:2] == ["create", "start"] and "delete" in commands
