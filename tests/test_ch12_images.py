"""Chapter 12: an image is found by its hashes, its layers lie one upon the other, and it runs."""
import io
import json
import os
import subprocess
import tarfile

import pytest

from conftest import gone, wait_for
from crabcan_steps.images.commit import Changes
from crabcan_workshop.measure import observe
from making import Layout, busybox, folder as directory, images, member, tar  # noqa: F401

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


@pytest.mark.parametrize("name", [".wh.bin", "root/.wh..wh..opq"])
def test_a_file_that_would_be_a_whiteout_is_told(images, name):
    """In a layer it would take away what is below, so there is no layer that says what the container has."""
    images.small(*LAYERS)
    images.inside(f"echo 1 > /{name}", "--keep", "box")
    refused = images("commit", "box", "mine:3")
    assert refused.returncode == 1 and f"/{name}" in refused.stderr and refused.stderr.count("\n") == 1
    images.good("rmi", "box")


def test_what_was_a_file_a_moment_ago_holds_nobody_up(tmp_path):
    """A container that runs may put a FIFO in its place while we look."""
    (tmp_path / "name").write_text("1")
    status = os.lstat(tmp_path / "name")
    os.unlink(tmp_path / "name")
    os.mkfifo(tmp_path / "name")
    folder, out = os.open(tmp_path, os.O_RDONLY), io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        Changes(archive, {}).file(folder, "name", "name", status)
    os.close(folder)
    assert tarfile.open(fileobj=io.BytesIO(out.getvalue())).getnames() == []


def test_what_the_network_has_mounted_is_no_change(images):
    """hosts and resolv.conf, where chapter 11 mounts its own: their places stay out of the layer."""
    images.small(*LAYERS)
    images.inside("echo mine > /etc/mine", "--keep", "box", *(("--net", "bridge") if images.who.uid == 0 else ()))
    images.good("commit", "box", "mine:2")
    assert images.good("run", "--image", "mine:2", "--", "sh", "-c", "ls /etc").split() == ["group", "mine", "motd", "passwd"]
    images.good("rmi", "box", "mine:2")


def test_a_name_that_is_none_is_told(images):
    for text, words in (("Upper/Case", "upper-case"), ("oci:/nowhere", "No such file"), ("none-such", "CRABCAN_REGISTRY")):
        result = images("run", "--image", text, "--", "true")
        assert result.returncode == 125 and words in result.stderr and "Traceback" not in result.stderr, result.stderr


def test_an_image_as_a_bundle_is_the_same_container(images):
    """Written down, and run by chapter 10's runtime."""
    images.small(*LAYERS, config={"Cmd": ["sh", "-c", "id -u; cat /etc/motd; ls -A /lost"], "User": "web", "StopSignal": "SIGQUIT",
                                  "Labels": {"of": "ours"}})
    box = images.path / "box"
    images.good("run", "--write-bundle", box, "--image", "small")
    config = json.loads((box / "config.json").read_text())
    assert config["annotations"] | {"of": "ours", "org.opencontainers.image.stopSignal": "SIGQUIT"} == config["annotations"]
    assert config["process"]["user"]["uid"] == 33 and config["root"]["path"] == "rootfs"
    config["process"]["terminal"] = False
    config["linux"].pop("resources", None)
    (box / "config.json").write_text(json.dumps(config))
    oci = [*images.who.python, "-m", "crabcan_steps.oci", "--root", images.path / "states", "run", "--bundle", box, f"image-{os.getpid()}-{images.who.uid}"]
    result = subprocess.run(oci, env=images.environment, capture_output=True, text=True, timeout=60)
    assert result.stdout.split() == ["33", "from", "above", "three"], result.stderr
    assert os.listdir(images.path / "store/containers") == []
    subprocess.run([*images.who.prefix, *([] if images.who.root else ["unshare", "--map-auto", "--map-root-user"]), "rm", "-rf", box], check=True)


def test_where_there_can_be_no_overlay_the_layers_are_copied(root, tmp_path):
    """A file system that can't be idmapped: the reason is told, and all is as before."""
    script = ("mount -t ramfs ramfs $1 && export CRABCAN_STORE=$1/store && "
              "$2 -m crabcan_steps run --image oci:$3 -- sh -c 'cat /etc/motd; touch /new; stat -c %U /new /srv; ls /etc/gone' && ls $1/store/containers")
    layout = Layout(tmp_path / "layout")
    layout.image(tar(*busybox()), LAYERS[0], tar(member("etc/.wh.gone")))
    (tmp_path / "store").mkdir()
    result = subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", tmp_path / "store", *root.python, layout.path],
                            env=root.environment, capture_output=True, text=True, timeout=60)
    assert result.stdout.split() == ["from", "below", "root", "web"], result
    assert "so the image is copied" in result.stderr and "/etc/gone: No such file" in result.stderr


def test_what_is_still_used_is_not_pruned_and_the_killed_are_swept(images):
    images.small(*LAYERS)
    command = images.who.command("run", "--image", "small", "--", "sh", "-c", "echo up; sleep 60; cat /etc/motd")
    process = subprocess.Popen(command, env=images.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout.readline() == "up\n"
    assert images("rmi", "small").returncode == 1
    images.good("prune", "--containers")
    assert len(os.listdir(images.path / "store/layers")) == 3 and len(os.listdir(images.path / "store/containers")) == 1
    init = observe.child_of(process.pid)
    process.kill()
    process.communicate()
    assert wait_for(lambda: gone(init))
    images.good("prune")
    assert os.listdir(images.path / "store/containers") == [] and len(os.listdir(images.path / "store/layers")) == 3


def test_it_is_asked_to_end_as_its_image_says(images):
    images.small(config={"StopSignal": "SIGQUIT"})
    script = "trap 'echo quit; exit 3' QUIT; trap 'echo term' TERM; echo up; while :; do sleep 0.1; done"
    process = subprocess.Popen(images.who.command("run", "--image", "small", "--", "sh", "-c", script), env=images.environment,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout.readline() == "up\n"
    process.terminate()
    assert process.communicate(timeout=30)[0] == "quit\n" and process.returncode == 3
