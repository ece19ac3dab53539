"""Images that are none, or not for us: one clear line each; and registries that lie about where, how much and what."""
import bz2
import http.server
import json
import subprocess
import threading

import pytest

from making import CONFIG, INDEX, LAYER, MANIFEST, Layout, busybox, digest, images, member, packed, tar  # noqa: F401
from registries import Faulty
from crabcan_steps.images import registry as registry_, web
from crabcan_steps.images.errors import ImageError
from crabcan_steps.images.found import Options
from crabcan_steps.images.image import parsed
from crabcan_steps.images.platforms import choose, machine
from crabcan_steps.images.pull import pull
from crabcan_steps.images.reference import Reference
from crabcan_steps.images.registry import Registry
from crabcan_steps.images.store import Store

FILES = tar(member("a", "x"))


@pytest.fixture
def who(user):
    """The same for everybody."""
    return user


@pytest.fixture
def store(tmp_path):
    made = Store(str(tmp_path / "store"))
    yield made
    made.close()


def layout(path, kind=LAYER + "+gzip", manifest=None, config=None, data=None, layers=None):
    """An image of one layer, of which some is odd."""
    made = Layout(path)
    layers = [made.blob(packed(FILES, "gzip") if data is None else data, kind)] if layers is None else layers
    settings = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [digest(FILES)] * len(layers)}}
    document = {"schemaVersion": 2, "mediaType": MANIFEST, "layers": layers,
                "config": made.blob(json.dumps(settings | (config or {})).encode(), CONFIG)} | (manifest or {})
    made.manifests.append(made.blob(json.dumps(document).encode(), MANIFEST))
    made.write()
    return made


EMPTY = {"digest": digest(b"{}"), "size": 2}
ODD = {
    "schema 1": ({"manifest": {"schemaVersion": 1}}, "schema 1"),
    "an artifact": ({"manifest": {"config": {"mediaType": "application/vnd.oci.empty.v1+json", **EMPTY}}}, "no image to run"),
    "an attestation": ({"kind": "application/vnd.in-toto+json", "data": b"{}"}, "in-toto"),
    "a layer of another place": ({"kind": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"}, "foreign"),
    "one that may not be passed on": ({"kind": "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"}, "Windows"),
    "Windows": ({"config": {"os": "windows"}}, "for windows, and not for linux"),
    "encrypted": ({"kind": LAYER + "+gzip+encrypted"}, "encrypted"),
    "an entry point that is no list": ({"config": {"config": {"Entrypoint": "sh -c id"}}}, "Entrypoint: should be a list"),
    "nothing in a list": ({"config": {"config": {"Cmd": ["sh", None]}}}, "Cmd: should be a string"),
    "half a character": ({"config": {"config": {"Env": ["A=\ud800"]}}}, "Env: is no text"),
    "zstd that wants a gigabyte": ({"kind": LAYER + "+zstd", "data": b"\x28\xb5\x2f\xfd\x00\xa0" + bytes(40)}, "zstd"),
    "bzip2": ({"data": bz2.compress(FILES)}, "bzip2"),
    "a configuration of wrong kinds": ({"config": {"os": ["linux"]}}, "should be a string"),
}


@pytest.mark.parametrize("name", ODD)
def test_what_is_no_image_for_us_is_told_in_a_line(name, store, tmp_path):
    made, words = ODD[name]
    layout(tmp_path / "layout", **made)
    with pytest.raises(ImageError) as error:
        pull(store, f"oci:{tmp_path / 'layout'}", Options)
    assert words in str(error.value) and "\n" not in str(error.value) and store.names() == {}


def test_an_index_of_nothing_and_one_beside_whose_image_stands_more(store, tmp_path):
    made = Layout(tmp_path / "layout")
    made.write()
    with pytest.raises(ImageError, match="names no image"):
        pull(store, f"oci:{made.path}")
    own = made.image(FILES, platform={"os": "linux", "architecture": "amd64"})
    about = made.blob(json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "layers": [{"mediaType": "application/vnd.in-toto+json", **EMPTY}],
                                  "config": made.blob(b"{}", CONFIG)}).encode(), MANIFEST)
    made.manifests.append({**about, "platform": {"os": "unknown", "architecture": "unknown"}})
    made.write()
    chosen = Options()
    chosen.platform = "linux/amd64"
    assert pull(store, f"oci:{made.path}", chosen).digest == own["digest"]


def test_an_index_in_an_index_and_one_in_itself_without_an_end(store, tmp_path):
    """An index may lead to another, and there has to be an image at the end."""
    made = Layout(tmp_path / "layout")
    image = made.image(FILES)
    inner, made.manifests = image, []
    for _ in range(3):
        inner = made.blob(json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [inner]}).encode(), INDEX)
    made.manifests = [inner]
    made.write()
    assert pull(store, f"oci:{made.path}").digest == image["digest"]
    for _ in range(3):
        inner = made.blob(json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [inner]}).encode(), INDEX)
    made.manifests = [inner]
    made.write()
    with pytest.raises(ImageError, match="no image that we know"):
        pull(store, f"oci:{made.path}")


@pytest.mark.parametrize("wanted, there, chosen", [
    ("linux/arm64", ["arm64/v9", "arm64"], 1), ("linux/arm64", ["arm64/v9", "arm64/v8"], 1), ("linux/arm64/v8", ["arm64"], 0),
    ("linux/arm64", ["arm", "arm64/v8.1", "arm64"], 2), ("linux/arm64/v9", ["arm64", "arm64/v8.2", "arm64/v8.1"], 1),
    ("linux/arm/v7", ["arm/v5", "arm/v6", "arm/v8"], 1), ("linux/arm/v6", ["arm/v7", "arm/v5"], 1), ("linux/arm", ["arm/v6", "arm/v7"], 1),
    ("linux/amd64", ["amd64/v3", "amd64"], 1), ("linux/amd64/v2", ["amd64/v3", "amd64", "amd64/v2"], 2),
    ("linux/mips/soft", ["mips", "mips/soft"], 1), ("linux/arm64", ["arm64/v9"], None), ("linux/arm/v6", ["arm"], None),
    ("linux/mips/soft", ["mips"], None), ("linux/amd64", [f"s390x/z{n}" for n in range(500)], None)])
def test_of_several_variants_the_newest_that_runs(wanted, there, chosen):
    words = [dict(zip(("architecture", "variant"), name.split("/"))) for name in there]
    index = {"manifests": [{**EMPTY, "platform": {"os": "linux", **one}} for one in words]}
    if chosen is not None:
        assert choose(index, machine(wanted), "it") is index["manifests"][chosen]
        return
    with pytest.raises(ImageError, match="platform chooses") as error:
        choose(index, machine(wanted), "it")
    assert len(str(error.value)) < 400


def test_another_processor_s_is_pulled_and_told(store, tmp_path, capsys):
    layout(tmp_path / "layout", config={"architecture": "s390x"})
    pull(store, f"oci:{tmp_path / 'layout'}")
    assert "is for s390x" in capsys.readouterr().err


def test_no_layers_many_layers_and_chunks(images):
    layout(images.path / "none", layers=[])
    images.good("pull", "--quiet", f"oci:{images.path}/none")
    refused = images("run", "--image", "none", "--", "true")
    assert refused.returncode == 125 and "no layers" in refused.stderr
    images.small(*(tar(member(f"f{n}", str(n))) for n in range(126)))
    assert images.inside("ls /f* | wc -l") == "126\n"
    chunks = packed(FILES, "zstd") + b"\x50\x2a\x4d\x18" + (9).to_bytes(4, "little") + b"about all"  # as zstd:chunked ends
    layout(images.path / "chunked", LAYER + "+zstd", data=chunks)
    images.good("pull", "--quiet", f"oci:{images.path}/chunked")


ASKED = {  # the image's own words: what a container of it says, or why there is none
    "a user whom its passwd does not know": ({"User": "nobody"}, "knows root, web"),
    "a group that it does not know": ({"User": "web:none"}, "no such name"),
    "a number without an account is in root's group": ({"User": "4711"}, "4711 0 / /\n"),
    "a number with a group": ({"User": "4711:mail"}, "4711 8 / /\n"),
    "nothing, and lists that are null": ({"WorkingDir": None, "Entrypoint": None, "Env": None, "Volumes": None, "Labels": None}, "0 0 /root /\n"),
    "a directory that leads up": ({"WorkingDir": "srv/../../x"}, "0 0 /root /x\n"),
    "a directory that is a file": ({"WorkingDir": "/etc/passwd"}, "/etc/passwd"),
    "a directory where there can be none": ({"Volumes": {"/proc/x": {}}}, "directory /proc/x"),
    "variables that are none": ({"Env": ["ALONE", "=x", "", "A=1=2", "N\0=1"]}, "0 0 /root /\n"),
    "a signal that is none": ({"StopSignal": "SIGNOPE"}, "SIGTERM it is"),
    "a command without a name": ({"Cmd": ["", "x"]}, "says no command"),
}


def test_what_an_image_s_configuration_may_ask_for(images):
    """One store and one layer for all of them: what is said is a line, and what can be had is had."""
    command = ["sh", "-c", "echo $(id -u) $(id -g) $HOME $PWD"]
    for at, (name, (config, words)) in enumerate(ASKED.items()):
        images.layout(str(at)).image(tar(*busybox()), config={"Cmd": command} | config)
        images.good("pull", "--quiet", f"oci:{images.path}/{at}", f"i{at}")
        result = images("run", "--image", f"i{at}")
        if words.endswith("\n"):
            assert (result.stdout, result.returncode) == (words, 0), (name, result)
        else:
            said = [line for line in result.stderr.splitlines() if "default limits" not in line]  # version 1 gives a user none
            assert len(said) == 1 and words in said[0], (name, result)
            assert result.returncode == (0 if "SIGTERM" in words else 125), (name, result)
    images.good("run", "--write-bundle", images.path / "box", "--image", "i2")
    assert json.loads((images.path / "box/config.json").read_text())["process"]["user"] == {"uid": 4711, "gid": 0, "additionalGids": []}
    subprocess.run([*images.who.prefix, "unshare", "--map-auto", "--map-root-user", "rm", "-rf", images.path / "box"], check=True)


@pytest.mark.parametrize("settings, words", [("size=60m", "MiB are free"), ("nr_inodes=3000", "inodes left"), ("size=90m", "nearly full")])
def test_a_disk_that_is_too_small_is_told_and_nothing_stays(root, tmp_path, settings, words):
    """In front of it all, where the sizes tell; else before the last of it is gone."""
    made = Layout(tmp_path / "layout")
    made.image(tar(member("zeros", bytes(100 << 20))) if "90m" in settings else tar(*(member(f"{n}", "x") for n in range(4000))))
    script = (f"mount -t tmpfs -o {settings} none $1 && CRABCAN_STORE=$1/s $2 -m crabcan_steps pull --quiet oci:$3; "
              "echo $? $(ls $1/s/layers | wc -l) $(ls -A $1/s/layers | wc -l)")
    (tmp_path / "disk").mkdir()
    result = subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", tmp_path / "disk", *root.python, made.path], env=root.environment,
                            capture_output=True, text=True, timeout=60)
    assert result.stdout.split() == ["1", "0", "0"] and words in result.stderr and result.stderr.count("\n") == 1


class Liar(http.server.BaseHTTPRequestHandler):
    """Says what its server is told to: (status, headers, bytes)."""

    def log_message(self, *words):
        pass

    def do_GET(self):
        status, headers, data = self.server.says
        self.server.seen.append(self.path)
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()
        try:
            for _ in range(200):
                self.wfile.write(data)
        except OSError:
            pass


@pytest.fixture
def liar():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Liar)
    server.daemon_threads, server.seen = True, []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


LIES = {
    "a manifest without an end": ((200, {}, b"{" * 1_000_000), "larger than"),
    "a length that is none": ((200, {"Content-Length": "many"}, b"{}"), "no JSON"),
    "a length that is too large": ((200, {"Content-Length": str(10 << 30)}, b"{}"), ""),
    "a token from a file": ((401, {"WWW-Authenticate": 'Bearer realm="file:///etc/passwd"'}, b""), "without TLS"),
    "a token from nowhere": ((401, {"WWW-Authenticate": 'Bearer realm="http://[::bad/"'}, b""), ""),
    "sent to a file": ((307, {"Location": "file:///etc/passwd"}, b""), ""),
    "sent to ftp": ((307, {"Location": "ftp://127.0.0.1/x"}, b""), "not followed"),
    "sent round and round": ((307, {"Location": "/v2/x/manifests/latest"}, b""), ""),
    "no JSON": ((200, {}, b"<html>"), "no JSON"),
}


@pytest.mark.parametrize("name", LIES)
def test_a_registry_that_lies_is_told_in_a_line(name, liar, monkeypatch):
    monkeypatch.setattr(registry_, "PAUSES", ())
    liar.says, words = LIES[name]
    place = Registry(Reference(f"127.0.0.1:{liar.server_address[1]}/x"), insecure=True)
    place.scheme = "http"
    with pytest.raises(ImageError) as error:
        parsed(place.first(Reference("x"))[0], "it")
    assert words in str(error.value) and "\n" not in str(error.value) and len(liar.seen) < 10


def test_nobody_outside_sends_us_to_this_machine(liar):
    """A registry elsewhere cannot have us ask what only this machine may ask."""
    assert [web.inner(f"http://{host}/x") for host in ("127.0.0.1", "localhost", "[::1]", "169.254.169.254", "[::ffff:127.0.0.1]", "0.0.0.0")] == [True] * 6
    assert not web.inner("http://192.0.2.1/x")
    handler = web.Redirects(insecure=True)
    request = web.urllib.request.Request("http://192.0.2.1/v2/x")
    with pytest.raises(ImageError, match="not followed"):
        handler.redirect_request(request, None, 307, "", {}, "http://169.254.169.254/latest/meta-data")


def test_a_part_that_nobody_asked_for_is_no_blob(tmp_path, liar, monkeypatch):
    """206 without a Range, for ever: given up at once."""
    monkeypatch.setattr(registry_, "PAUSES", ())
    liar.says = (206, {"Content-Range": "bytes 5-9/10"}, b"x")
    place = Registry(Reference(f"127.0.0.1:{liar.server_address[1]}/x"), insecure=True)
    place.scheme = "http"
    with pytest.raises(ImageError, match="206"):
        place.blob("sha256:" + "0" * 64, 0)
    assert len(liar.seen) == 1
