"""podman as root with our runtime, and the same containers with runc."""
import shutil

import pytest

import lifecycle
from conftest import wait_for
from crabcan_workshop.engine import image
from engines import CASES, Both, limits

pytestmark = [pytest.mark.usefixtures("root"), pytest.mark.timeout(300)]
OTHERS = ("new workdir",)  # podman itself refuses that
QUICK = ("status", "no such program", "limits", "privileges", "mounts")


@pytest.fixture(scope="module")
def both(root):
    with Both("podman") as both:
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
        assert both.must("inspect", "--format", "{{.OCIRuntime}}", name) == "crabcan"
        ident = both.must("inspect", "--format", "{{.Id}}", name)
    commands = [call.command for call in both.engine.calls() if ident in call.words]
    assert commands[:2] == ["create", "start"] and "delete" in commands


@pytest.mark.slow
def test_health(both):
    for command, status in ("test -d /tmp", 0), ("false", 1):
        with both.running("--health-cmd", command, "--health-interval", "disable") as name:
            assert both.call("healthcheck", "run", name).returncode == status


@pytest.mark.slow
def test_a_pod(both):
    """Containers of a pod share what the specification's `path` joins: not the PID namespace."""
    need("catatonit")
    both.must("pod", "create", "--network", "none", "--name", "pod", "--hostname", "podded")
    try:
        both.must("run", "--detach", "--pod", "pod", "--name", "one", image.NAME, "sleep", "100")
        kinds = "net", "ipc", "uts", "pid", "mnt"
        line = f"for kind in {' '.join(kinds)}; do readlink /proc/self/ns/$kind; done; hostname"
        here = both.must("exec", "one", "sh", "-c", line).split()
        there = both.must("run", "--rm", "--pod", "pod", image.NAME, "sh", "-c", line).split()
        assert here[:3] == there[:3] and here[3:5] != there[3:5] and here[5:] == ["podded"]
        assert "one" in both.must("pod", "top", "pod") or "sleep" in both.must("pod", "top", "pod")
        both.must("pod", "pause", "pod")
        both.must("pod", "unpause", "pod")
        both.must("pod", "stop", "--time", "1", "pod")
    finally:
        assert gone(both, "pod", "rm", "--force", "--time", "0", "pod")


KUBE = """apiVersion: v1
kind: Pod
metadata: {name: played}
spec:
  restartPolicy: Never
  containers:
  - {name: one, image: IMAGE, imagePullPolicy: Never, command: [sleep, "100"],
     resources: {limits: {memory: 32Mi}}, securityContext: {runAsUser: 7, readOnlyRootFilesystem: true}}
"""


@pytest.mark.slow
def test_play_kube(both, tmp_path):
    need("catatonit")
    (tmp_path / "pod.yaml").write_text(KUBE.replace("IMAGE", image.NAME))
    both.must("play", "kube", "--network", "none", tmp_path / "pod.yaml")
    try:
        said = both.call("exec", "played-one", "sh", "-c", f"id -u; touch /x; echo $?; {limits()}").stdout.split()
        assert said[:2] == ["7", "1"] and "33554432" in said, said
    finally:
        assert gone(both, "play", "kube", "--down", tmp_path / "pod.yaml")


@pytest.mark.slow
def test_build(both, tmp_path):
    """buildah's RUN, in a container of ours."""
    (tmp_path / "Containerfile").write_text(f"FROM {image.NAME}\nRUN echo built >/it && id -u >>/it\n"
                                            "CMD cat /it\n")
    before = len(both.engine.calls())
    both.must("build", "--isolation", "oci", "--network", "none", "--tag", "built", tmp_path)
    made = [call.command for call in both.engine.calls()[before:]]
    assert "create" in made or "run" in made, made
    assert both.must("run", "--rm", "built") == "built\n0"
    (tmp_path / "Containerfile").write_text(f"FROM {image.NAME}\nRUN exit 9\n")
    assert both.call("build", "--isolation", "oci", "--network", "none", tmp_path).returncode == 9


def gone(both, *words):
    """Removes a pod. podman may find conmon still in its cgroup, where it has not ended yet."""
    return wait_for(lambda: not both.call(*words).returncode or "played" not in (
        said := both.must("pod", "ps")) and " pod " not in said, 30)


def need(program):
    if not shutil.which(program):
        pytest.skip(f"podman wants it for a pod: apt-get install {program}")
