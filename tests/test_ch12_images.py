"""Chapter 12: an image is found by its hashes, its layers lie one upon the other, and it runs."""
import json
import os

import pytest

from making import folder as directory, images, member, tar  # noqa: F401

LAYERS = (tar(directory("etc"), member("etc/motd", "from below\n"), member("etc/gone", "x"),
              directory("lost"), member("lost/one", "1"), member("lost/two", "2")),
          tar(member("etc/.wh.gone"), member("etc/motd", "from above\n"), directory("lost"),
              member("lost/.wh..wh..opq"), member("lost/three", "3")))


def test_layers_lie_one_upon_the_other_and_whiteouts_hide(images):
    images.small(*LAYERS)
    assert images.inside("cat /etc/motd; ls /etc/gone 2>/dev/null; ls /lost").split() == ["from", "above", "three"]


def test_the_layers_are_shared_and_nothing_of_a_container_stays(images):
    images.small(*LAYERS)
    assert images.inside("rm -r /lost /etc/motd; echo changed > /bin/ls; ls / | wc -l")
    assert images.inside("cat /etc/motd") == "from above\n"
    assert os.listdir(images.path / "store/containers") == []
    assert len(os.listdir(images.path / "store/layers")) == 3


def test_the_configuration_becomes_the_container(images):
    images.small(config={"Env": ["COLOUR=red", "PATH=/bin"], "Entrypoint": ["sh", "-c"], "User": "web:mail",
                         "Cmd": ["id -u; id -g; echo $COLOUR $HOME; pwd; ls -d /kept"], "WorkingDir": "/srv/made/here",
                         "Volumes": {"/kept": {}}})
    shown = images.good("run", "--image", "small").splitlines()
    assert shown == ["33", "8", "red /srv", "/srv/made/here", "/kept"]
    assert images.good("run", "-e", "COLOUR=blue", "-u", "root", "--image", "small", "--", "id -u; echo $COLOUR") == "0\nblue\n"
    assert images.good("run", "--entrypoint", "echo", "--image", "small", "--", "a", "b") == "a b\n"


def test_docker_s_capabilities_are_given_to_images_only(images, who):
    images.small()
    mask = images.inside("grep CapEff /proc/self/status").split()[1]
    assert bin(int(mask, 16)).count("1") == 14
    assert int(images.inside("grep CapEff /proc/self/status", "--caps", "none").split()[1], 16) == 0
    assert int(who.run("grep", "CapEff", "/proc/self/status").split()[1], 16) == 0
    assert images.inside("chown web /tmp && stat -c %U /tmp") == "web\n"


def test_it_is_as_closed_as_every_container(images):
    """From outside: namespaces of its own, and the filter."""
    images.small()
    own = images.inside("for n in pid mnt net uts ipc user; do readlink /proc/self/ns/$n; done; grep Seccomp: /proc/self/status").split()
    assert not {os.readlink(f"/proc/self/ns/{kind}") for kind in ("pid", "mnt", "net", "uts", "ipc", "user")} & set(own)
    assert own[-1] == "2"


def test_a_digest_that_lies_is_named(images):
    layout = images.layout()
    one = layout.image(tar(member("a", "a")))
    manifest = json.loads((layout.path / "blobs/sha256" / one["digest"][7:]).read_text())
    layer = manifest["layers"][0]["digest"]
    path = layout.path / "blobs/sha256" / layer[7:]
    path.write_bytes(path.read_bytes()[:-9] + b"damaged.!")
    result = images("pull", f"oci:{layout.path}")
    assert result.returncode == 1 and layer in result.stderr.splitlines()[-1]
    assert not list((images.path / "store/partial").glob("*")) or all(
        file.stat().st_size == 0 for file in (images.path / "store/partial").glob("*"))


@pytest.mark.parametrize("diff_id", ["sha256:" + "0" * 64])
def test_a_diff_id_that_lies_is_named(images, diff_id):
    layout = images.layout()
    layout.image(tar(member("a", "a")), diff_ids=[diff_id])
    result = images("pull", "--quiet", f"oci:{layout.path}")
    assert result.returncode == 1 and diff_id in result.stderr and result.stderr.count("\n") == 1
    assert os.listdir(images.path / "store/layers") == []


def test_a_container_s_changes_become_a_layer(images):
    images.small(*LAYERS)
    images.inside("rm -r /lost /etc/motd; mkdir /lost; echo 1 > /lost/again; chown web /lost; ln /lost/again /link", "--keep", "box")
    images.good("commit", "box", "mine:1")
    shown = images.good("run", "--image", "mine:1", "--", "sh", "-c", "ls /lost /etc/motd 2>/dev/null; stat -c %U /lost; stat -c %h /link")
    assert shown.split() == ["/lost:", "again", "web", "2"]
    assert "container box" in images.good("images")
    images.good("rmi", "box", "mine:1")


def test_a_name_that_is_none_is_told(images):
    for text, words in (("Upper/Case", "upper-case"), ("oci:/nowhere", "No such file"), ("none-such", "CRABCAN_REGISTRY")):
        result = images("run", "--image", text, "--", "true")
        assert result.returncode == 125 and words in result.stderr and "Traceback" not in result.stderr, result.stderr
