"""`features` and `spec`: what they say is what the tables say, and what runc says is in it."""
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from cells import boxes  # noqa: F401

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


# ---------------------------------------------------------------- the specification's own schemas

SCHEMAS = Path("/usr/share/gocode/src/github.com/opencontainers/runtime-spec/schema")  # Debian's; or a checkout's


@pytest.fixture
def misfits():
    """What in a document a schema of the specification's does not allow: misfits(name, document)."""
    folder = Path(os.environ.get("OCI_SCHEMAS", SCHEMAS))
    if not folder.is_dir():
        pytest.skip("no schemas: apt-get install golang-github-opencontainers-specs-dev, or OCI_SCHEMAS=DIR")
    jsonschema, referencing = pytest.importorskip("jsonschema"), pytest.importorskip("referencing.jsonschema")
    files = {f"file:///{path.name}": json.loads(path.read_text()) for path in folder.glob("*.json")}
    for words in files.values():
        words.pop("id", None)  # or the others would be looked for on the internet
    registry = referencing.SchemaRegistry().with_resources(
        (name, referencing.DRAFT4.create_resource(words)) for name, words in files.items())

    def find(name, document):
        if not (folder / f"{name}-schema.json").exists():
            return []  # Debian's are older than features.md
        validator = jsonschema.Draft4Validator({"$ref": f"file:///{name}-schema.json"}, registry=registry)
        return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)]
    return find


def test_what_we_write_fits_the_schemas(misfits, boxes):  # noqa: F811
    assert misfits("features", features.features()) == []
    assert misfits("config", template.template()) == misfits("config", template.template(rootless=True)) == []
    box = boxes.box()
    box.must("create")
    assert misfits("state", box.state()) == misfits("config", json.loads((boxes.root / box.name / "config.json").read_text())) == []
    assert misfits("state", box.state() | {"status": None}) and misfits("state", {})  # they look


def test_what_no_schema_allows_is_refused(misfits):
    """Each field of the template, with a value of another kind: where the schema minds, so do we."""
    def places(words, path=()):
        for key, value in words.items() if isinstance(words, dict) else enumerate(words):
            yield (*path, key)
            if isinstance(value, (dict, list)):
                yield from places(value, (*path, key))
    tried = 0
    for path in places(template.template()):
        for wrong in 1.5, "\0", [None], {"": 7}, True, -1:
            words = inner = template.template()
            for key in path[:-1]:
                inner = inner[key]
            if type(inner[path[-1]]) is type(wrong):
                continue
            inner[path[-1]] = wrong
            if misfits("config", words):
                tried += 1
                with pytest.raises(config.Invalid):
                    config.check(words)
    assert tried > 500
