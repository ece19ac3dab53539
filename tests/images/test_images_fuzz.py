"""Made-up tars and documents: nothing gets out of the root, and what is wrong is told in one line."""
import json
import os
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzing import cases  # noqa: F401
from making import folder as directory, member, tar
from scan import scan
from crabcan_steps.images import tar as format_
from crabcan_steps.images.errors import ImageError
from crabcan_steps.images.image import Image, parsed
from crabcan_steps.images.platforms import choose, machine
from crabcan_steps.images.merged import Merged
from crabcan_steps.images.stream import Stream
from crabcan_steps.images.tree import Tree
from crabcan_steps.images.unpack import Unpack

pytestmark = pytest.mark.timeout(900)  # --long tries many

names = st.sampled_from(["a", "b", "a/b", "a/b/c", "/a", "../a", "a/../b", "./a", ".", "", "..", ".wh.a", "a/.wh.b", ".wh..wh..opq",
                         "a/.wh..wh..opq", ".wh...", ".wh.", "l", "l/x", "l/a", "n" * 300, "a\nb", "caf\udce9", "{out}", "{out}/x"])
members = st.tuples(names, st.sampled_from(["file", "dir", "symlink", "link", "fifo", "char"]), names, st.integers(0, 0o7777),
                    st.sampled_from([0, 1, 33, 65_534]))


def unpacked(data, root, lower=()):
    """Unpacks bytes into a directory; an ImageError is an answer."""
    fd = os.open(root, os.O_RDONLY)
    below = Merged(lower, "user.overlay.")
    work = Unpack(Tree(fd, below), "user.overlay.", 10_000, rich=False, squash=True)
    path = root.parent / "blob"
    path.write_bytes(data)
    try:
        with open(path, "rb") as file:
            stream = Stream(file, 1 << 20)
            work.all(stream)
    except ImageError as error:
        assert "\n" not in str(error).replace("a\nb", "")
    finally:
        work.tree.forget()
        below.close()
        os.close(fd)


def fresh(tmp_path):
    """(root, outside, how it looks) for one case."""
    for name in "root", "outside":
        shutil.rmtree(tmp_path / name, ignore_errors=True)
        (tmp_path / name).mkdir()
    (tmp_path / "outside/secret").write_text("secret")
    return tmp_path / "root", tmp_path / "outside", scan(tmp_path / "outside")


def test_fuzz_members_stay_in_the_root(tmp_path, cases):
    @cases(60)
    @given(st.lists(members, max_size=8))
    def check(made):
        root, out, before = fresh(tmp_path)
        data = [member(name.format(out=out), "x" if kind == "file" else None, kind=kind, linkname=target.format(out=out), mode=mode, uid=uid)
                for name, kind, target, mode, uid in made]
        unpacked(tar(*data), root)
        assert scan(out) == before
    check()


def test_fuzz_bytes_are_told_in_a_line(tmp_path, cases):
    good = tar(directory("d"), member("d/x", "x" * 700), member("l", kind="symlink", linkname="d"), member("n" * 150, "y"))

    @cases(60)
    @given(st.lists(st.tuples(st.integers(0, len(good) - 1), st.integers(0, 255)), max_size=6), st.integers(0, len(good)), st.booleans())
    def check(changes, end, mend):
        root, out, before = fresh(tmp_path)
        data = bytearray(good)
        for at, value in changes:
            data[at] = value
        for at in range(0, len(data) - 511, 512) if mend else ():  # a header whose sum is right is looked at further
            if data[at + 257:at + 262] == b"ustar":
                total = sum(data[at:at + 512]) - sum(data[at + 148:at + 156]) + 256
                data[at + 148:at + 156] = b"%06o\0 " % total
        unpacked(bytes(data[:end or None]), root)
        assert scan(out) == before
    check()


json_values = st.recursive(st.none() | st.booleans() | st.integers(-5, 1 << 40) | st.sampled_from(
    ["", "x", "sha256:" + "0" * 64, "sha256:../..", "linux", "amd64", "application/vnd.oci.image.index.v1+json", "\0"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["config", "layers", "digest", "size", "mediaType", "manifests", "platform", "os", "architecture", "rootfs", "diff_ids",
         "Env", "Cmd", "Entrypoint", "User", "Volumes", "Labels", "WorkingDir", "history", "schemaVersion"]), inner, max_size=6), max_leaves=12)


def test_fuzz_documents_are_told_in_a_line(cases):
    digest = {"digest": "sha256:" + "0" * 64, "size": 1}

    @cases(250)
    @given(json_values, json_values, json_values)
    def check(manifest, config, settings):
        for document in (manifest, {"config": digest, "layers": [digest]}, {"config": config, "layers": settings}):
            try:
                choose(parsed(json.dumps(document), "it"), machine(), "it")
            except ImageError as error:
                assert "\n" not in str(error)
            try:
                image = Image(json.dumps(document).encode(), "it")
                image.configure(json.dumps(config))
                image.chains()
                image.history()
                image.configure(json.dumps({"rootfs": {"diff_ids": [digest["digest"]]}, "config": settings, "history": config}))
                image.history()
            except ImageError as error:
                assert "\n" not in str(error)
    check()


def test_fuzz_numbers_of_headers(cases):
    @cases(200)
    @given(st.binary(min_size=8, max_size=12))
    def check(field):
        try:
            format_.number(field)
        except ImageError as error:
            assert "\n" not in str(error)
    check()
