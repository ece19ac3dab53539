"""Archives made to fool whoever unpacks them. Outside lies a directory that none may touch or read.

Each guard is taken out once: then the same archive gets out, or the test would prove nothing.
"""
import os
import subprocess
import tarfile
import time

import pytest

from making import Layout, folder as directory, member, tar
from scan import scan
from crabcan_steps import ch12_images
from crabcan_steps.images import tree, unpack
from crabcan_steps.images.errors import ImageError
from crabcan_steps.images.found import Options
from crabcan_steps.images.implied import Implied
from crabcan_steps.images.prune import prune
from crabcan_steps.images.pull import pull
from crabcan_steps.images.store import Store


def link(name, target):
    return member(name, kind="symlink", linkname=target)


def hard(name, target):
    return member(name, kind="link", linkname=target)


def attacks(out):
    """{name: layers} of archives that try to get at a directory outside."""
    up = "../" * 20
    return {
        "an absolute name": [tar(member(f"{out}/new", "x"))],
        "a name with ..": [tar(member(f"{up}{out}/new", "x"))],
        "a link, and a file below it": [tar(link("d", str(out)), member("d/new", "x"))],
        "a relative link": [tar(link("d", f"{up}{out}"), member("d/new", "x"))],
        "a link to a link": [tar(link("a", "b"), link("b", str(out)), member("a/new", "x"))],
        "a link in a lower layer": [tar(link("d", str(out))), tar(member("d/new", "x"))],
        "a link in place of a directory": [tar(directory("d"), member("d/a", "a"), link("d", str(out)), member("d/new", "x"))],
        "a file over a link to a file": [tar(link("s", f"{out}/secret"), member("s", "overwritten"))],
        "a directory over a link": [tar(link("d", str(out)), directory("d", mode=0o777))],
        "a hard link to a file outside": [tar(hard("h", f"{out}/secret"), member("h", "overwritten"))],
        "a hard link through a link": [tar(link("d", str(out)), hard("h", "d/secret"))],
        "a hard link to a link": [tar(link("s", f"{out}/secret"), hard("h", "s"), member("h", "overwritten"))],
        "a whiteout through a link": [tar(link("d", str(out))), tar(member("d/.wh.secret"))],
        "an opaque link": [tar(link("d", str(out))), tar(member("d/.wh..wh..opq"))],
        "a whiteout of ..": [tar(member("d/.wh..."))],
        "a whiteout of .": [tar(member("d/.wh.."))],
        "a sparse file over a link": [tar(link("s", f"{out}/secret"), member("s", "overwritten"), format=tarfile.GNU_FORMAT)],
        "a loop of links": [tar(link("a", "b"), link("b", "a"), member("a/x", "x"))],
        "a device in place of a directory": [tar(member("dev", kind="char", devmajor=1, devminor=3), member("dev/x", "x"))],
    }


NAMES = list(attacks("/"))
ESCAPE = NAMES[2:7]  # those that leave through a directory that is none


@pytest.fixture
def outside(tmp_path):
    """A directory with a secret, which stays as it is."""
    path = tmp_path / "outside"
    path.mkdir()
    (path / "secret").write_text("secret")
    os.utime(path / "secret", (1, 1))
    os.utime(path, (1, 1))
    return path


@pytest.fixture
def store(tmp_path):
    made = Store(str(tmp_path / "store"))
    yield made
    made.close()


def bring(store, path, layers, **options):
    """Pulls an image of layers; returns what went wrong, in words."""
    Layout(path / "layout").image(*layers, compress="none")
    chosen = Options()
    vars(chosen).update(options, quiet=True)
    try:
        pull(store, f"oci:{path / 'layout'}", chosen)
    except ImageError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", NAMES)
def test_nothing_gets_out(name, store, tmp_path, outside):
    before = scan(outside)
    error = bring(store, tmp_path, attacks(outside)[name])
    assert scan(outside) == before and "\n" not in error
    inner = [one for one in (tmp_path / "store/layers").rglob("*") if one.is_file() and not one.is_symlink()]
    assert not any(one.stat().st_ino == (outside / "secret").stat().st_ino for one in inner)


@pytest.mark.parametrize("name", ESCAPE)
def test_without_o_nofollow_it_would_get_out(name, store, tmp_path, outside, monkeypatch):
    before = scan(outside)
    monkeypatch.setattr(ch12_images, "OPEN", os.O_RDONLY | os.O_DIRECTORY)
    if name == NAMES[5]:  # a lower layer's: in merged() it would be followed
        monkeypatch.setattr(tree.Tree, "imply", lambda self, name: os.open(name, os.O_RDONLY, dir_fd=self.lower.roots[0]))
    bring(store, tmp_path, attacks(outside)[name])
    assert scan(outside) != before


def test_without_making_room_first_it_would_write_through_a_link(store, tmp_path, outside, monkeypatch):
    before = scan(outside)
    monkeypatch.setattr(tree.Tree, "clear", lambda *words: None)
    monkeypatch.setattr(unpack, "NEW", os.O_WRONLY | os.O_CREAT)
    bring(store, tmp_path, attacks(outside)["a file over a link to a file"])
    assert scan(outside) != before


def test_without_cleaning_names_a_path_of_many_names_gets_through(monkeypatch):
    with pytest.raises(ImageError, match="4096"):
        tree.clean(b"d/" * 10_000)
    monkeypatch.setattr(tree, "PATH", 1 << 30)
    assert len(tree.clean(b"d/" * 10_000)) == 10_000


def said(key, value, **fields):
    """A member of which an extended header says something."""
    info, data = member("x", "12345678", **fields)
    info.pax_headers = {"GNU.sparse.map": "0,8", "GNU.sparse.size": "8", key: value} if "sparse" in key else {key: value}
    return [tar((info, data))]


def headers(kind, count):
    """Extended headers one behind the other, of a mebibyte each, and none says what another does."""
    found = b""
    for n in range(count):
        info = tarfile.TarInfo("x")
        record = b"%d SCHILY.xattr.user.k%04d=" % (1 << 20, n)
        info.type, info.size = kind, 1 << 20
        found += info.tobuf(tarfile.USTAR_FORMAT) + record.ljust((1 << 20) - 1, b"x") + b"\n"
    return [found + tar(member("x"))]


BOMBS = {
    "headers of one member": (headers(b"x", 8), {}, "extended headers"),
    "headers of all members": (headers(b"g", 8), {}, "extended headers"),
    "a time that never comes": (said("mtime", "99999999999999999999"), {}, "time"),
    "a time before all": (said("mtime", "-99999999999999999999"), {}, "time"),
    "NUL in a sparse file's name": (said("GNU.sparse.name", "a\0b"), {}, "NUL"),
    "NUL in an attribute's name": (said("SCHILY.xattr.user.a\0b", "y"), {}, "NUL"),
    "size": ([tar(member("zeros", bytes(3 << 20)))], {"max_size": 1 << 20}, "--max-size"),
    "files": ([tar(*(member(f"f{n}") for n in range(50)))], {"max_files": 20}, "--max-files"),
    "deep": ([tar(member("d/" * 10_000 + "x"))], {}, "4096"),
    "name": ([tar(member("n" * 300))], {}, "255"),
    "cut off": ([tar(member("a", bytes(5000)))[:2000]], {}, "in the middle"),
    "no tar": ([b"no tar" * 1000], {}, "no tar"),
    "no owner": ([tar(member("a", uid=1 << 40))], {}, "a: "),
    "link to nothing": ([tar(hard("a", "none"))], {}, "not there"),
    "link into itself": ([tar(hard("a", "a/b"), member("a/b"))], {}, "contradict"),
    "link to a directory": ([tar(directory("d"), hard("a", "d"))], {}, "directory"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_what_cannot_be_is_one_line_and_leaves_nothing(name, store, tmp_path):
    layers, options, words = BOMBS[name]
    error = bring(store, tmp_path, layers, **options)
    assert words in error and "\n" not in error
    assert os.listdir(tmp_path / "store/layers") == [] and store.names() == {}


def test_documents_of_the_wrong_kinds_are_an_image_s_fault(store, tmp_path):
    """Not ours: an ImageError, in words, whatever a stranger has put in the place of an object or a list."""
    layout = Layout(tmp_path / "layout")
    layout.image(tar(member("x")))
    layout.manifests[0]["annotations"] = ["x"]
    layout.write()
    (tmp_path / "docker.tar").write_bytes(tar(member("manifest.json", '[{"RepoTags": 5}, {"RepoTags": 5}]')))
    huge = member("x")[0]
    huge.size = 1 << 80
    (tmp_path / "oci.tar").write_bytes(huge.tobuf(tarfile.GNU_FORMAT) + bytes(2048))
    for source in f"oci:{layout.path}", f"docker-archive:{tmp_path}/docker.tar", f"oci-archive:{tmp_path}/oci.tar":
        with pytest.raises(ImageError):
            pull(store, source)


def test_a_link_that_goes_deep_and_up_again_is_quick(store, tmp_path):
    """As long as a link can be: and each member below it walks all of it."""
    link_ = member("l", kind="symlink", linkname="d/" * 600 + "../" * 600)
    begun = sum(os.times()[:4])
    assert bring(store, tmp_path, [tar(directory("/".join(["d"] * 600)), link_, *(member(f"l/f{n}") for n in range(5)))]) == ""
    assert sum(os.times()[:4]) - begun < 2
    assert (next((tmp_path / "store/layers").glob("*/fs")) / "f4").is_file()


def test_a_pax_header_of_a_gigabyte_is_not_read(store, tmp_path):
    info = tarfile.TarInfo("x")
    info.type, info.size = b"x", 1 << 30
    assert "extended header" in bring(store, tmp_path, [info.tobuf(tarfile.USTAR_FORMAT) + bytes(2048)])


@pytest.mark.parametrize("numbers", ["0,4,2,4", "-1,4", "0,9999999999999", "a,b", "0"])
def test_a_sparse_map_that_lies(store, tmp_path, numbers):
    info, data = member("x", "12345678")
    info.pax_headers = {"GNU.sparse.map": numbers, "GNU.sparse.size": "8", "GNU.sparse.numblocks": "1"}
    assert "sparse" in bring(store, tmp_path, [tar((info, data))])


def test_sparse_files_have_their_holes(store, tmp_path):
    """As GNU tar writes them, in each of its formats."""
    (tmp_path / "in").mkdir()
    with open(tmp_path / "in/holes", "wb") as file:
        file.write(b"begin")
        file.seek(3 << 20)
        file.write(b"middle")
        file.truncate(8 << 20)
    for at, words in enumerate((["--format=gnu"], *(["--format=pax", f"--sparse-version={v}"] for v in ("0.0", "0.1", "1.0")))):
        data = subprocess.run(["tar", "-C", tmp_path / "in", "-cS", *words, "holes"], check=True, stdout=subprocess.PIPE).stdout
        folder = tmp_path / str(at)
        folder.mkdir()
        assert bring(store, folder, [data]) == ""
        path = tmp_path / "store/layers" / os.listdir(tmp_path / "store/layers")[0] / "fs/holes"
        assert path.read_bytes() == (tmp_path / "in/holes").read_bytes() and path.stat().st_blocks < 1000
        subprocess.run(["rm", "-rf", *(tmp_path / "store/layers").iterdir()], check=True)


def test_overlay_s_own_signs_are_not_taken_from_an_archive(store, tmp_path):
    info, _ = directory("d")
    info.pax_headers = {f"SCHILY.xattr.{kind}.overlay.redirect": "/etc" for kind in ("user", "trusted")}
    info.pax_headers["SCHILY.xattr.trusted.overlay.opaque"] = "y"
    zero, _ = member("gone", kind="char", devmajor=0, devminor=0)
    assert bring(store, tmp_path, [tar((info, b""), (zero, b""))]) == ""
    folder = next((tmp_path / "store/layers").glob("*/fs"))
    assert os.listxattr(folder / "d") == [] and (folder / "gone").is_file()


def test_many_whiteouts_are_quick_and_deep_trees_go(store, tmp_path, request):
    many, names = (10_000, 1500) if request.config.getoption("long") else (1000, 300)
    deep = "/".join(["d"] * names)
    layers = [tar(*(member(f"f{n}") for n in range(many)), member(f"{deep}/x")),
              tar(*(member(f".wh.f{n}") for n in range(many)), member(".wh.d"))]
    begun = time.monotonic()
    assert bring(store, tmp_path, layers) == ""
    assert time.monotonic() - begun < many / 100
    store.name("layout:latest", None)
    prune(store)
    assert os.listdir(tmp_path / "store/layers") == []


def test_directories_that_come_and_go_are_quick(store, tmp_path):
    """Each is made on somebody's way, and then a file takes its place: what is noted of others is not looked at."""
    noted = Implied()
    for n in range(30_000):
        noted[f"d{n}", "d", "d"] = None
        noted[f"d{n}",] = None
    begun = sum(os.times()[:4])
    for n in range(29_999):
        noted.clear((f"d{n}",))
    assert sum(os.times()[:4]) - begun < 2 and len(noted.found) == 2
    assert bring(store, tmp_path, [tar(member("d/d/d/f"), member("d"), member("d/e"), member("e/f"))]) == ""
    assert sorted(os.listdir(next((tmp_path / "store/layers").glob("*/fs")))) == ["d", "e"]
