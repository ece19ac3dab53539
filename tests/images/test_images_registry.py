"""Pull and push: Debian's registry with its own client, and one that does everything wrong."""
import base64
import json
import os
import random
import signal
import subprocess
import time

import pytest

from conftest import wait_for
from making import Layout, busybox, images, member, tar  # noqa: F401
from registries import Faulty, need, registry
from crabcan_steps.images import registry as registry_
from crabcan_steps.images.errors import ImageError
from crabcan_steps.images.reference import Reference
from crabcan_steps.images.registry import Registry
from crabcan_steps.images.store import Store

BIG = random.Random(12).randbytes(600_000)


@pytest.fixture
def who(user):
    """What goes over the wire is the same for everybody."""
    return user


@pytest.fixture(scope="module")
def big(tmp_path_factory):
    """A layout whose layer does not compress."""
    layout = Layout(tmp_path_factory.mktemp("big") / "layout")
    layout.image(tar(member("big", BIG)), tar(member("second", BIG[::-1])))
    return layout


def blobs(images):
    return sorted(os.listdir(images.path / "store/blobs/sha256"))


def partial(images):
    return os.listdir(images.path / "store/partial")


def copy(layout, place, *options):
    need("skopeo")
    subprocess.run(["skopeo", "--insecure-policy", "copy", "-q", "--dest-tls-verify=false", *options, f"oci:{layout.path}:latest",
                    f"docker://{place}"], check=True)


def test_pull_and_push_with_debian_s_registry(images, tmp_path):
    """What another client has pushed, in either format, we pull; what we push, it pulls."""
    need("skopeo", "docker-registry")
    layout = images.layout()
    layout.image(tar(*busybox()), tar(member("hello", "hi\n")), config={"Cmd": ["cat", "/hello"]})
    with registry(tmp_path) as host:
        copy(layout, f"{host}/oci:1")
        copy(layout, f"{host}/docker:1", "--format", "v2s2")
        for name in "oci", "docker":
            refused = images("pull", f"{host}/{name}:1")
            assert refused.returncode == 1 and "--insecure" in refused.stderr
            assert images.good("run", "--insecure", "--image", f"{host}/{name}:1") == "hi\n"
        images.good("push", "--insecure", f"{host}/oci:1", f"{host}/ours:2")
        said = json.loads(subprocess.run(["skopeo", "inspect", "--tls-verify=false", f"docker://{host}/ours:2"],
                                         check=True, stdout=subprocess.PIPE).stdout)
        assert said["Digest"] == layout.manifests[0]["digest"]
        assert images.good("pull", "--quiet", "--insecure", f"{host}/ours@{said['Digest']}").strip() == said["Digest"]
        missing = images("pull", "--insecure", f"{host}/none:1")
        assert missing.returncode == 1 and "no such image" in missing.stderr and missing.stderr.count("\n") == 1


def test_a_password_from_docker_s_configuration_or_its_helper(images, tmp_path, big):
    with registry(tmp_path, password=True) as host:
        copy(big, f"{host}/big:1", "--dest-creds", "ann:secret")
        config = images.path / "config"
        config.mkdir()
        images.environment |= {"DOCKER_CONFIG": str(config), "PATH": f"{config}:{os.environ['PATH']}"}
        refused = images("pull", "--insecure", f"{host}/big:1")
        assert refused.returncode == 1 and "docker login" in refused.stderr
        (config / "config.json").write_text(json.dumps({"auths": {host: {"auth": base64.b64encode(b"ann:wrong").decode()}}}))
        assert images("pull", "--insecure", f"{host}/big:1").returncode == 1
        (config / "config.json").write_text(json.dumps({"credHelpers": {host: "test"}}))
        helper = config / "docker-credential-test"
        helper.write_text('#!/bin/sh\nread host\necho "{\\"Username\\": \\"ann\\", \\"Secret\\": \\"secret\\"}"\n')
        helper.chmod(0o755)
        images.good("pull", "--insecure", f"{host}/big:1")


def test_a_token_is_fetched_and_shown_to_its_registry_only(images, big):
    with Faulty(big) as other, Faulty(big, token=True, elsewhere=other.host) as server:
        images.good("pull", "--insecure", f"{server.host}/big")
        token = next(path for path, _ in server.seen if path.startswith("/token"))
        assert "service=here" in token and "scope=repository%3Abig%3Apull" in token
        assert other.seen and not any("Authorization" in headers for _, headers in other.seen)


@pytest.mark.parametrize("wants", ["Bearer", "Basic"])
def test_whom_a_registry_sends_us_to_cannot_ask_for_our_account(images, big, wants):
    config = images.path / "config"
    config.mkdir()
    with Faulty(big, wants=wants) as other, Faulty(big, elsewhere=other.host) as server:
        (config / "config.json").write_text(json.dumps({"auths": {server.host: {"auth": base64.b64encode(b"ann:secret").decode()}}}))
        images.environment |= {"DOCKER_CONFIG": str(config)}
        refused = images("pull", "--insecure", f"{server.host}/big")
        assert refused.returncode == 1 and "not allowed" in refused.stderr and other.seen
        assert not any("Authorization" in headers for _, headers in other.seen)
        assert not any("Authorization" in headers for _, headers in server.seen)


def test_where_a_push_is_sent_to_must_have_tls_too(big):
    """A registry says by itself where it wants a blob (Location); of redirects the opener takes care."""
    with Faulty(big) as server:
        ours = Registry(Reference(f"{server.host}/big"))
        ours.access.shown = "Bearer t0ken"
        for place in f"http://{server.host}/uploads/1", "file:///etc/passwd":
            with pytest.raises(ImageError, match="without TLS"):
                ours.request("PUT", place, {}, lambda: b"a blob", good=(201, None))
        assert not server.seen


@pytest.mark.parametrize("ranges", [True, False])
def test_a_connection_that_breaks_is_taken_up_where_it_was(images, big, ranges):
    with Faulty(big, cuts=1, busy=1, ranges=ranges) as server:
        images.good("pull", "--quiet", "--insecure", f"{server.host}/big")
        begun = [headers["Range"] for _, headers in server.seen if "Range" in headers]
        assert begun and all(text.startswith("bytes=") and text != "bytes=0-" for text in begun)
    assert partial(images) == []


@pytest.mark.parametrize("ranges", [True, False])
def test_a_push_that_breaks_goes_on_where_it_was(images, big, ranges):
    """Where the other side remembers; else from the beginning."""
    with Faulty(big) as other:
        images.good("pull", "--quiet", "--insecure", f"{other.host}/big", "big")
    with Faulty(big, cuts=2, ranges=ranges) as server:
        images.good("push", "--insecure", "big", f"{server.host}/big:1")
        ranged = [headers["Content-Range"] for _, headers in server.seen if "Content-Range" in headers]
        assert server.cuts == 0 and bool(ranged) == ranges


def test_one_that_always_breaks_off_at_the_same_place_is_given_up(big, tmp_path, monkeypatch):
    """It brings a lot each time, and never more: that is no progress."""
    monkeypatch.setattr(registry_, "PAUSES", (0, 0, 0, 0))
    monkeypatch.setattr(registry_, "PIECE", 1 << 16)
    manifest = json.loads((big.path / "blobs/sha256" / big.manifests[0]["digest"][7:]).read_text())
    store = Store(str(tmp_path / "store"))
    with Faulty(big, cuts=30, ranges=False) as server:
        with pytest.raises(ImageError):
            Registry(Reference(f"{server.host}/big"), insecure=True).into(store, manifest["layers"][0], lambda count: None)
        assert len(server.seen) < 10
    store.close()


def test_what_came_wrong_is_fetched_again_and_named(images, big):
    with Faulty(big, damage=1) as server:
        result = images("pull", "--insecure", f"{server.host}/big")
        assert result.returncode == 0 and "fetched again" in result.stderr
    with Faulty(big, damage=99) as server:
        for name in blobs(images):
            os.unlink(images.path / "store/blobs/sha256" / name)
        result = images("pull", "--insecure", f"{server.host}/big")
        assert result.returncode == 1 and "was asked for" in result.stderr
    assert "damaged" in images.good("images")


def test_a_blob_that_rots_is_noticed_named_and_fetched_again(images, big):
    with Faulty(big) as server:
        images.good("pull", "--insecure", f"{server.host}/big")
        rotten = max((images.path / "store/blobs/sha256").iterdir(), key=lambda file: file.stat().st_size)
        rotten.write_bytes(rotten.read_bytes()[:-1] + b"?")
        before = len(server.seen)
        images.good("pull", "--insecure", f"{server.host}/big")
        assert [path.rpartition("/")[2] for path, _ in server.seen[before:] if "/blobs/" in path] == [f"sha256:{rotten.name}"]


def test_a_layer_is_unpacked_while_the_next_is_coming(images, tmp_path):
    """And if that one never comes, nothing stands under a final name."""
    layout = Layout(tmp_path / "layout")
    layout.image(tar(member("first", "here")), tar(member("second", BIG)))
    with Faulty(layout, slow=0.5) as server:
        process = subprocess.Popen(images.who.command("pull", "--insecure", f"{server.host}/it"), env=images.environment,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        layers = images.path / "store/layers"
        assert wait_for(lambda: any(layers.glob(".new-*/fs/first"))) and process.poll() is None
        assert not any(path.stat().st_size > 600_000 for path in (images.path / "store/blobs/sha256").iterdir())
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == -signal.SIGINT and not list(layers.glob("[!.]*"))
        images.good("pull", "--insecure", f"{server.host}/it")
    assert len(os.listdir(layers)) == len(list(layers.glob("[!.]*"))) == 2


def test_two_pulls_at_once_share(images, big):
    with Faulty(big, slow=0.05) as server:
        command = images.who.command("pull", "--insecure", f"{server.host}/big")
        pair = [subprocess.Popen(command, env=images.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
        assert [one.wait() for one in pair] == [0, 0], [one.communicate() for one in pair]
        fetched = [path for path, _ in server.seen if "/blobs/" in path]
        assert len(fetched) == len(set(fetched)) == 3
        for one in pair:
            one.communicate()


def test_killed_at_random_moments_the_next_pull_finishes(images, big, request):
    """Nothing half stands under a final name; and what came is not fetched twice."""
    rounds = 50 if request.config.getoption("long") else 5
    chance = random.Random(rounds)
    with Faulty(big, slow=0.01) as server:
        command = images.who.command("pull", "--insecure", f"{server.host}/big")
        for _ in range(rounds):
            process = subprocess.Popen(command, env=images.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(chance.uniform(0.05, 0.6))
            process.send_signal(signal.SIGKILL)
            process.wait()
            for blob in (images.path / "store/blobs/sha256").glob("*"):
                assert blob.read_bytes() == (big.path / "blobs/sha256" / blob.name).read_bytes()
        images.good("pull", "--insecure", f"{server.host}/big")
    assert partial(images) == [] and len(blobs(images)) == 4


def test_an_index_is_chosen_from_by_platform(images):
    layout = images.layout()
    here = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
    layout.image(tar(member("other", "1")), platform={"os": "linux", "architecture": "s390x"}, tag="a")
    own = layout.image(tar(member("own", "1")), platform={"os": "linux", "architecture": here}, tag="b")
    assert images.good("pull", f"oci:{layout.path}").strip() == own["digest"]
    assert images.good("pull", "--platform", "linux/s390x", f"oci:{layout.path}").strip() != own["digest"]
    refused = images("pull", "--platform", "linux/mips", f"oci:{layout.path}")
    assert refused.returncode == 1 and "linux/s390x" in refused.stderr


@pytest.mark.parametrize("name", ["", "a\nb", "../../etc", "oci:x", "sha256:" + 64 * "0", "x@sha256:" + 64 * "0"])
def test_a_name_in_the_store_is_one_that_can_be_asked_for(images, name):
    """And none that says by itself which digest it has: that would be found in the place of what has it."""
    layout = images.layout()
    layout.image(tar(member("x")))
    refused = images("pull", f"oci:{layout.path}", name)
    assert refused.returncode == 1 and refused.stderr.count("\n") == 1
    assert images.good("images") == ""


@pytest.mark.parametrize("kind", ["oci-archive", "docker-archive"])
def test_archives_of_other_programs_are_read(images, kind):
    need("skopeo")
    layout = images.layout()
    layout.image(tar(*busybox()), tar(member("hello", "hi\n")), config={"Cmd": ["cat", "/hello"]})
    archive = images.path / "archive.tar"
    subprocess.run(["skopeo", "--insecure-policy", "copy", "-q", f"oci:{layout.path}:latest", f"{kind}:{archive}:a/b:1"], check=True)
    archive.chmod(0o644)
    assert images.good("run", "--image", f"{kind}:{archive}") == "hi\n"


def test_what_is_saved_another_program_reads(images):
    need("skopeo")
    digest = images.small()
    for target in "oci:{}/saved", "oci-archive:{}/saved.tar", "docker-archive:{}/docker.tar":
        images.good("save", "small", target.format(images.path))
        said = subprocess.run(["skopeo", "inspect", "--raw", target.format(images.path)], check=True, stdout=subprocess.PIPE)
        assert json.loads(said.stdout)["layers"], digest
