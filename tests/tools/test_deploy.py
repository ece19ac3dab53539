"""deploy/: the filter is what its maker says, pods are not privileged, and two files say the same."""
import importlib.util
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from conftest import CHECKOUT

KUBERNETES = CHECKOUT / "deploy" / "kubernetes"
yaml = pytest.importorskip("yaml", reason="comes with the book's packages")


def read(name):
    return yaml.safe_load((KUBERNETES / name).read_text())


def contexts():
    """The containers' security context: of the chart's values, and of the pod."""
    return (read("values.yaml")["hub"]["config"]["KubeSpawner"]["container_security_context"],
            read("pod.yaml")["spec"]["containers"][0]["securityContext"])


def test_the_pod_and_the_values_ask_for_the_same():
    values, pod = contexts()
    assert values == pod
    extra, spec = read("values.yaml")["singleuser"]["extraPodConfig"], read("pod.yaml")["spec"]
    assert extra.items() <= spec.items() and extra["hostUsers"] is False


def test_nothing_is_privileged_and_nothing_of_the_host_s_is_shared():
    values, _ = contexts()
    assert values["privileged"] is False and values["capabilities"] == {"drop": ["ALL"], "add": ["SETUID", "SETGID"]}
    assert values["runAsNonRoot"] and values["runAsUser"] == 1000
    text = (KUBERNETES / "values.yaml").read_text() + (KUBERNETES / "pod.yaml").read_text()
    assert not re.search(r"hostNetwork|hostPID|hostIPC|hostPath|privileged: true|blockWithIptables: true", text)


def test_each_line_of_the_security_context_has_its_reason():
    """A comment above it, or above the block that it is in."""
    lines = (KUBERNETES / "values.yaml").read_text().split("container_security_context:")[1].split("\nsingleuser")[0]
    reason = False
    for line in filter(str.strip, lines.splitlines()):
        if line.lstrip().startswith("#"):
            reason = True
        elif re.match(r" {8}\w", line):
            assert reason or line.strip() in ("runAsNonRoot: true", "runAsUser: 1000"), line
            reason = False


def test_the_filter_is_the_one_that_its_maker_makes():
    path = KUBERNETES / "seccomp.py"
    made = subprocess.run(["/usr/bin/python3", "-IB", path], text=True, capture_output=True, check=True).stdout
    assert (KUBERNETES / "seccomp.json").read_text() == made, "deploy/kubernetes/seccomp.py --write"
    spec = importlib.util.spec_from_file_location("seccomp_maker", path)
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    allowed = [name for rule in json.loads(made)["syscalls"] for name in set(rule["names"])]
    nesting = {name for _, words in maker.NESTING for name in words.split()}
    inner = {name for rule in json.loads(maker.INNER.read_text())["syscalls"] for name in rule["names"]}
    assert not nesting & inner, "said twice"
    for word in maker.LEFT_OUT.replace(",", " ").split():
        assert not [name for name in allowed if re.fullmatch(word.replace("*", ".*"), name)], word


ANSWERS = """import sys
sys.path.insert(0, "/opt/crabcan")
from crabcan_workshop import exercises
from crabcan_workshop.desk import workspace
place = workspace.find()
place.start()
for chapter in map(exercises.chapter, exercises.CHAPTERS):
    place.put(chapter, chapter.text)
"""
RIGHT = (1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12)  # deploy/kubernetes/README.md says what chapter 8 lacks there
IN_A_POD = """
for n in 1 2 3 4 5 6 7 8 9; do crabcan step $n -- true 2>/dev/null && echo "step $n"; done
/opt/crabcan/.venv/bin/python -c "$0"
for n in %s; do workshop check $n >/dev/null && echo "check $n"; done
workshop doctor | grep -o "a filter is active already"
""" % " ".join(map(str, RIGHT))


@pytest.mark.timeout(3000)
def test_the_image_under_podman_with_a_pod_s_restrictions(request, root, tmp_path):
    """Built, and used by an ordinary user: the checkpoints run, and the checks find our own answers right."""
    if not request.config.getoption("long"):
        pytest.skip("builds an image of 450 MB: --long")
    assert all(map(shutil.which, ("buildah", "podman", "debootstrap"))), "apt-get install buildah podman debootstrap"
    name = f"localhost/crabcan-test-{Path(tmp_path).name}"
    try:
        for command in ([CHECKOUT / "workshop", "bundle", "--no-browser", tmp_path / "b.tar"],
                        [CHECKOUT / "deploy/image.sh", tmp_path / "b.tar", name]):
            made = subprocess.run(command, text=True, capture_output=True)
            assert made.returncode == 0, made.stderr
        ids = ["--uidmap", "0:100000:65536", "--gidmap", "0:100000:65536"]
        powers = ["--cap-drop", "all", "--cap-add", "setuid,setgid", "--security-opt", "unmask=ALL",
                  "--security-opt", f"seccomp={KUBERNETES / 'seccomp.json'}"]
        limits = ["--network", "none", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096"]
        result = subprocess.run(["podman", "--runtime", "runc", "run", "--rm", *ids, *powers, *limits, name, "setpriv",
                                 "--ambient-caps=-all", "--inh-caps=-all", "sh", "-c", IN_A_POD, ANSWERS],
                                text=True, capture_output=True)
        assert result.stdout.splitlines() == [*(f"step {n}" for n in range(1, 9 + 1)), *(f"check {n}" for n in RIGHT),
                                              "a filter is active already"], result.stdout + result.stderr
    finally:
        subprocess.run(["podman", "rmi", "--force", name], capture_output=True)
