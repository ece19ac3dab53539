"""Where the store is: others, links and files in its place, and a directory that is exchanged while it is open."""
import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from making import Layout, busybox, images, member, tar  # noqa: F401
from crabcan_steps.images import overlay, place
from crabcan_steps.images.errors import ImageError
from crabcan_steps.images.store import Store


def test_places_that_can_be_none_are_told_with_what_may_be_done(images):
    path = images.path
    (path / "link").symlink_to(path / "small")
    (path / "nowhere").symlink_to("/no/such")
    (path / "file").write_text("x")
    (path / "open").mkdir()
    if os.geteuid() == 0:
        os.chown(path / "open", images.who.uid, images.who.uid)
    (path / "open").chmod(0o777)
    for name, words in (("link", f"CRABCAN_STORE={path}/small"), ("nowhere", "is a link"), ("file", "elsewhere"), ("file/below", "elsewhere"),
                        ("open", "chmod go-w"), ("/proc/store", "elsewhere")):
        images.environment["CRABCAN_STORE"] = str(path / name)
        result = images("images")
        assert result.returncode == 1 and words in result.stderr and result.stderr.count("\n") == 1, (name, result.stderr)
    images.environment["CRABCAN_STORE"] = str(path / "store")


def test_nobody_uses_another_s_store(root, user):
    """Neither root an ordinary user's, who could put files of set-user-ID in there, nor he root's."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        path = Path(name)
        path.chmod(0o755)
        for name, owner in ("his", user.uid), ("roots", 0):
            (path / name).mkdir(mode=0o755)
            os.chown(path / name, owner, owner)
        for who, name in (root, "his"), (user, "roots"):
            result = subprocess.run(who.command("images"), env={**who.environment, "CRABCAN_STORE": str(path / name)}, capture_output=True, text=True)
            assert result.returncode == 1 and "belongs to somebody else" in result.stderr and result.stderr.count("\n") == 1, result.stderr
            assert os.listdir(path / name) == []


def test_a_store_that_is_exchanged_while_it_is_open_is_not_the_one(root, tmp_path):
    """Its name is asked once more in another mount namespace: whoever may rename the directory above answers."""
    layout = Layout(tmp_path / "layout")
    layout.image(tar(*busybox()), tar(member("x", "1")))
    store = Store(str(tmp_path / "store"))
    os.rename(tmp_path / "store", tmp_path / "away")
    Store(str(tmp_path / "store")).close()
    os.makedirs(tmp_path / f"store/layers/{'0' * 64}/fs")
    for call in (lambda: place.again(store), lambda: overlay.own(store, ["sha256:" + "0" * 64], "box", False),
                 lambda: overlay.shifted(store, ["sha256:" + "0" * 64], "box", {"uid": [(0, 1000, 1)], "gid": [(0, 1000, 1)]}, False)):
        with pytest.raises(OSError) as error:
            call()
        assert error.value.errno == 116, error.value  # ESTALE
    store.close()
    with pytest.raises(ImageError, match="link"):
        os.symlink(tmp_path / "away", tmp_path / "link")
        place.opened(str(tmp_path / "link"))
