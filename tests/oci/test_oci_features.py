"""`features` and `spec`: what they say is what the tables say, and what runc says is in it."""
import json
import os
import shutil
import subprocess

import pytest

from crabcan_steps.oci import config, features, fields, fields_linux, template


def runc(*words, cwd="/"):
    if not shutil.which("runc"):
        pytest.skip("no runc here")
    result = subprocess.run(["runc", *words], cwd=cwd, capture_output=True, text=True)
    if "No help topic" in result.stdout + result.stderr:
        pytest.skip("an older runc")
    return result.stdout


def within(theirs, ours, at=""):
    """Lists all that they say and we do not."""
    if isinstance(theirs, dict):
        return [line for key, value in theirs.items() if key not in ("annotations", "ociVersionMax")
                for line in (within(value, ours[key], f"{at}.{key}") if key in ours else [f"{at}.{key}"])]
    if isinstance(theirs, list):
        return [f"{at}: {item}" for item in theirs if item not in ours]
    return [] if theirs == ours else [f"{at}: {theirs} {ours}"]


def test_runc_has_nothing_that_we_lack():
    ours = features.features()
    assert json.loads(json.dumps(ours)) == ours
    missing = within(json.loads(runc("features")), ours)
    assert missing == [".mountOptions: acl", ".mountOptions: noacl"]  # which no kernel knows any more


def test_features_are_what_the_table_says():
    said = features.features()["linux"]
    assert said["namespaces"] == list(fields_linux.NAMESPACES)
    assert said["intelRdt"]["enabled"] is ("linux.intelRdt" not in config.NOBODYS)
    assert set(said["seccomp"]["supportedFlags"]) <= set(said["seccomp"]["knownFlags"])
    for version in fields.VERSIONS:
        config.check(template.template() | {"ociVersion": version})


@pytest.mark.parametrize("rootless", [False, True])
def test_spec_is_runc_s(tmp_path, rootless):
    """The same fields; what differs is our name, the version, and what runc has changed since."""
    runc("spec", *(["--rootless"] if rootless else []), cwd=tmp_path)
    theirs, ours = json.loads((tmp_path / "config.json").read_text()), template.template(rootless)
    assert config.check(ours) == []
    assert ours["linux"].keys() == theirs["linux"].keys()
    assert set(ours["linux"].pop("maskedPaths")) >= set(theirs["linux"].pop("maskedPaths"))
    for words in ours, theirs:
        for name in "ociVersion", "hostname":
            assert words.pop(name)
        words["process"]["capabilities"].pop("ambient", None)  # runc had it until 1.1
        words["mounts"].sort(key=lambda mount: mount["destination"])
        words["linux"]["namespaces"].sort(key=lambda space: space["type"])
        for mount in words["mounts"]:
            mount.get("options", []).sort()
    assert ours == theirs


def test_an_ordinary_user_is_mapped(user):
    result = user.script("import json; from crabcan_steps.oci.template import template\n"
                         "print(json.dumps(template(True)['linux']))")
    extents = json.loads(result.stdout)["uidMappings"]
    assert extents == [{"containerID": 0, "hostID": user.uid, "size": 1}] and os.getuid() in (0, user.uid)
