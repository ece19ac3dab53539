"""An image leaves the store: to a registry, or into files."""
import io
import json
import os
import tarfile
import urllib.parse

from .errors import ImageError
from .reference import Reference
from .registry import Registry
from .store import NAME, PIECE, Store, where
from .transfer import take


def push(store, image, text, options):
    """Sends what the registry does not have yet; the manifest last, when all that it names is there."""
    reference = Reference(text)
    if reference.file is not None or reference.digest:
        raise ImageError(f"{text}: push wants HOST/NAME:TAG; into files it is `crabcan save`")
    registry = Registry(reference, options.insecure, "pull,push")
    for one in (*image.layers, image.target):
        send(registry, store, one)
    data = store.read(image.digest)
    with registry.request("PUT", f"{registry.name}/manifests/{reference.tag or 'latest'}",
                          {"Content-Type": image.kind}, lambda: data, good=(200, 201, 202)):
        pass


def send(registry, store, one):
    """Sends a blob, in one piece."""
    digest = one["digest"]
    with registry.request("HEAD", f"{registry.name}/blobs/{digest}", good=(200, 404)) as response:
        if response.status == 200:
            return
    with registry.request("POST", f"{registry.name}/blobs/uploads/", {"Content-Length": "0"}, lambda: b"",
                          good=(202,)) as response:
        place = response.headers.get("Location") or ""
    place += ("&" if "?" in place else "?") + urllib.parse.urlencode({"digest": digest})
    headers = {"Content-Type": "application/octet-stream", "Content-Length": str(one["size"])}
    with registry.request("PUT", place, headers, lambda: store.open(digest), good=(201, 204)):
        pass


def save(store, image, text):
    """Writes an image into files: oci:DIR[:TAG] or oci-archive:FILE[:TAG]."""
    kind, _, rest = text.partition(":")
    path, _, tag = rest.partition(":")
    if kind not in ("oci", "oci-archive") or not path:
        raise ImageError(f"{text}: save wants oci:DIR or oci-archive:FILE")
    named = {"mediaType": image.kind, "digest": image.digest, "size": image.size, "annotations": {NAME: tag or "latest"}}
    blobs = [image.digest, image.target["digest"], *(one["digest"] for one in image.layers)]
    if kind == "oci":
        folder(store, path, named, blobs)
    else:
        archive(store, path, named, blobs)


def folder(store, path, named, blobs):
    """A layout is what our store is, too: so it is written by one."""
    other = Store(os.path.abspath(path), plain=True)
    for digest in blobs:
        copy(store, other, digest)
        os.chmod(where(digest), 0o644, dir_fd=other.root)
    other.name(named["annotations"][NAME], named)
    os.rmdir("partial", dir_fd=other.root)
    os.unlink("names", dir_fd=other.root)
    for name in "index.json", "oci-layout":
        os.chmod(name, 0o644, dir_fd=other.root)


def copy(store, other, digest):
    """One blob, checked on its way."""
    def fetch(at):
        file = store.open(digest)
        file.seek(at)
        return at, iter(lambda: file.read(PIECE), b"")
    take(other, digest, store.has(digest), fetch)


def archive(store, path, named, blobs):
    """A tar of a layout."""
    index = json.dumps({"schemaVersion": 2, "manifests": [named]}).encode()
    with open(path, "xb") as out, tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in ("oci-layout", b'{"imageLayoutVersion": "1.0.0"}'), ("index.json", index):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        for digest in dict.fromkeys(blobs):
            info = tarfile.TarInfo("blobs/" + digest.replace(":", "/"))
            info.size = store.has(digest)
            with store.open(digest) as file:
                tar.addfile(info, file)
