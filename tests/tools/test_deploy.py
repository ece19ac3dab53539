"""deploy/: the filter is what its maker says, pods are not privileged, and two files say the same."""
import importlib.util
import json
import re
import subprocess

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
