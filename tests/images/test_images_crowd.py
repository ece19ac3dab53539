"""Many at once on one store, and some of them killed: what is there afterwards is whole, and an error is a line."""
import hashlib
import json
import random
import signal
import subprocess
import time

import pytest

from making import Layout, busybox, images, member, tar  # noqa: F401

MEANT = ("no such image", "is of it", "there is one of this name", "no such container", "is a container that runs", "is not here yet",
         "not in the store", "somebody else")  # what may be said, as the others have just done something
BUG = ("Error:", "Errno", "Traceback", "out of range", "No such file")


def commands(images, chance):
    """What people do with one image."""
    source, box = f"oci:{images.path}/layout", f"box{chance.randrange(3)}"
    return chance.choice([
        ("pull", "--quiet", source, "it"), ("pull", "--quiet", source, "it"), ("rmi", "it"), ("prune",), ("prune", "--containers"), ("images",),
        ("run", "--image", "it", "--", "cat", "/one", "/two"), ("run", "--image", source, "--", "cat", "/one"),
        ("run", "--image", "it", "--keep", box, "--", "sh", "-c", "echo 3 > /three"), ("commit", box, "other"), ("rmi", box), ("rmi", "other")])


def test_pull_run_commit_remove_and_prune_at_once(images, request):
    rounds = 40 if request.config.getoption("long") else 2
    chance = random.Random(rounds)
    layout = images.layout()
    layout.image(tar(*busybox()), tar(member("one", "1\n")), tar(member("two", "2\n"), member("large", chance.randbytes(200_000))))
    for _ in range(rounds):
        crowd = [(words, subprocess.Popen(images.who.command(*words), env=images.environment, stdin=subprocess.DEVNULL, text=True,
                                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)) for words in (commands(images, chance) for _ in range(5))]
        for _, process in crowd:
            if chance.random() < 0.4:
                time.sleep(chance.uniform(0, 0.3))
                process.send_signal(signal.SIGKILL)
        for words, process in crowd:
            out, error = process.communicate(timeout=60)
            assert not any(one in error for one in BUG), (words, error)
            if process.returncode > 0:
                assert any(one in error for one in MEANT), (words, process.returncode, error)
            elif words[0] == "run" and process.returncode == 0 and "cat" in words:
                assert out in ("1\n2\n", "1\n"), words
    whole(images)


def whole(images):
    """Everything under its final name is what it is called; the image runs; and all of it can be taken away."""
    assert images.good("run", "--image", f"oci:{images.path}/layout", "--", "cat", "/one", "/two") == "1\n2\n"
    for blob in (images.path / "store/blobs/sha256").iterdir():
        assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name
    for one in json.loads(images.good("images", "--json"))["images"]:
        images.good("run", "--image", one["name"], "--", "true")
    images.good("prune", "--containers")
    for one in json.loads(images.good("images", "--json"))["images"]:
        images.good("rmi", one["name"])
    left = [str(path) for name in ("layers", "containers", "partial", "blobs/sha256") for path in (images.path / "store" / name).iterdir()]
    assert left == []
