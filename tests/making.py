"""Images for the tests, made of what a test says: tars byte for byte, their documents, their layout."""
import gzip
import hashlib
import io
import json
import os
import subprocess
import tarfile

import pytest

MANIFEST, INDEX = "application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json"
CONFIG, LAYER = "application/vnd.oci.image.config.v1+json", "application/vnd.oci.image.layer.v1.tar"
KINDS = {"file": tarfile.REGTYPE, "dir": tarfile.DIRTYPE, "link": tarfile.LNKTYPE, "symlink": tarfile.SYMTYPE,
         "char": tarfile.CHRTYPE, "block": tarfile.BLKTYPE, "fifo": tarfile.FIFOTYPE}


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def member(name, text=None, kind="file", **fields):
    """(TarInfo, data) of a member; fields as TarInfo has them."""
    info = tarfile.TarInfo(name)
    data = text.encode() if isinstance(text, str) else text or b""
    info.type, info.size, info.mtime = KINDS[kind], len(data), 1_600_000_000
    info.mode = 0o755 if kind == "dir" else 0o644
    for key, value in fields.items():
        setattr(info, key, value)
    return info, data


def folder(name, **fields):
    return member(name, kind="dir", **fields)


def tar(*members, format=tarfile.PAX_FORMAT):
    """A tar of members."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format, errors="surrogateescape") as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


class Layout:
    """An OCI layout in a directory, to which images are added."""

    def __init__(self, path):
        self.path, self.manifests = path, []
        (path / "blobs/sha256").mkdir(parents=True)
        (path / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')

    def blob(self, data, kind):
        """Keeps bytes; returns their descriptor."""
        (self.path / "blobs/sha256" / digest(data)[7:]).write_bytes(data)
        return {"mediaType": kind, "digest": digest(data), "size": len(data)}

    def image(self, *layers, tag="latest", compress="gzip", config=None, platform=None, history=None, diff_ids=None):
        """Adds an image of tars. Returns its manifest's descriptor."""
        found = [self.blob(packed(one, compress), LAYER + {"none": ""}.get(compress, f"+{compress}")) for one in layers]
        document = {"architecture": {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine], "os": "linux",
                    "config": config or {}, "rootfs": {"type": "layers", "diff_ids": diff_ids or [digest(one) for one in layers]}}
        if history:
            document["history"] = history
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "layers": found,
                    "config": self.blob(json.dumps(document).encode(), CONFIG)}
        one = self.blob(json.dumps(manifest).encode(), MANIFEST)
        self.manifests.append({**one, **({"platform": platform} if platform else {}),
                               "annotations": {"org.opencontainers.image.ref.name": tag}})
        self.write()
        return one

    def write(self):
        (self.path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": self.manifests}))
        subprocess.run(["chmod", "-R", "a+rX", self.path], check=True)


def packed(data, how):
    """Compressed in one of the ways that layers are."""
    if how == "zstd":
        return subprocess.run(["zstd", "-q"], input=data, stdout=subprocess.PIPE, check=True).stdout
    return gzip.compress(data, 1, mtime=0) if how == "gzip" else data


def busybox():
    """Members of a small root with a shell: Debian's busybox-static, or nothing."""
    program = next((path for path in ("/bin/busybox", "/usr/bin/busybox") if os.path.exists(path)), None)
    if program is None:
        return None
    names = subprocess.run([program, "--list"], stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    with open(program, "rb") as file:
        return [folder("bin"), member("bin/busybox", file.read(), mode=0o755),
                *(member(f"bin/{name}", kind="symlink", linkname="busybox") for name in names if name != "busybox"),
                folder("etc"), member("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nweb:x:33:33:web:/srv:/bin/sh\n"),
                member("etc/group", "root:x:0:\nweb:x:33:\nmail:x:8:web\n"),
                folder("root", mode=0o700), folder("srv", uid=33, gid=33), folder("tmp", mode=0o1777)]


class Images:
    """Somebody with a store of his own, and a directory to make images in."""

    def __init__(self, who, path):
        self.who, self.path = who, path
        self.environment = {**who.environment, "CRABCAN_STORE": str(path / "store")}

    def __call__(self, *words, **options):
        """Runs crabcan to its end; returns the CompletedProcess."""
        return subprocess.run(self.who.command(*words), env=self.environment, stdin=subprocess.DEVNULL, text=True,
                              capture_output=True, **{"timeout": 60} | options)

    def good(self, *words):
        """The same, which must succeed; returns what it printed."""
        result = self(*words)
        assert result.returncode == 0, (words, result.stderr)
        return result.stdout

    def layout(self, name="layout"):
        return Layout(self.path / name)

    def small(self, *layers, **fields):
        """Pulls a small image with a shell and these layers; it is called small."""
        members = busybox() or pytest.skip("no static busybox: apt-get install busybox-static")
        layout = self.layout("small")
        layout.image(tar(*members), *layers, **fields)
        return self.good("pull", "--quiet", f"oci:{layout.path}", "small").strip()

    def inside(self, script, *options):
        """What a shell in the image `small` prints."""
        return self.good("run", *options, "--image", "small", "--", "sh", "-c", script)

    def clean(self):
        """Removes all, also what other ids own."""
        names = json.loads(self.good("images", "--json"))["images"]
        if names:
            self.good("rmi", *(one["name"] for one in names))
        self.good("prune", "--containers")


@pytest.fixture
def images(who, folder):
    mine = Images(who, folder)
    yield mine
    mine.clean()
