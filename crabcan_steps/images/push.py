"""An image leaves the store: to a registry, or into files."""
import io
import json
import os
import tarfile
import time
import urllib.parse

from .errors import ImageError, Interrupted
from .reference import Reference
from .registry import PAUSES, Registry
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
    """Sends a blob: its bytes, and then its digest. Where a connection breaks off, it goes on with what is not there."""
    with registry.request("HEAD", f"{registry.name}/blobs/{one['digest']}", good=(200, 404)) as response:
        if response.status == 200:
            return
    place, at = began(registry)
    for pause in (*PAUSES, None):
        try:
            if at < one["size"] or not one["size"]:
                place = append(registry, store, one, place, at)
            break
        except Interrupted:
            if pause is None:
                raise
            time.sleep(pause)
            place, at = reached(registry, place, one["size"])
    place += ("&" if "?" in place else "?") + urllib.parse.urlencode({"digest": one["digest"]})
    with registry.request("PUT", place, {"Content-Length": "0"}, lambda: b"", good=(201, 204)):
        pass


def began(registry):
    """(where a blob is to be sent, 0): a new upload."""
    with registry.request("POST", f"{registry.name}/blobs/uploads/", {"Content-Length": "0"}, lambda: b"", good=(202,)) as response:
        return response.headers.get("Location") or "", 0


def append(registry, store, one, place, at):
    """Sends a blob from a byte on; returns where what follows is to be sent."""
    def rest():
        file = store.open(one["digest"])
        file.seek(at)
        return file
    headers = {"Content-Type": "application/octet-stream", "Content-Length": str(one["size"] - at)}
    if at:
        headers["Content-Range"] = f"{at}-{one['size'] - 1}"
    with registry.request("PATCH", place, headers, rest, good=(202, 204), pauses=()) as response:
        return response.headers.get("Location") or place


def reached(registry, place, size):
    """(where, from which byte on) an upload goes on; one that nobody remembers begins anew."""
    try:
        with registry.request("GET", place, good=(204,)) as response:
            last = (response.headers.get("Range") or "").rpartition("-")[2]
            if last.isdigit() and int(last) < size:
                return response.headers.get("Location") or place, int(last) + (last != "0")
    except Interrupted:
        raise
    except ImageError:
        pass
    return began(registry)


def save(store, image, text):
    """Writes an image into files: oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker-archive:FILE[:NAME:TAG]."""
    kind, _, rest = text.partition(":")
    path, _, tag = rest.partition(":")
    if kind not in ("oci", "oci-archive", "docker-archive") or not path:
        raise ImageError(f"{text}: save wants oci:DIR, oci-archive:FILE or docker-archive:FILE")
    named = {"mediaType": image.kind, "digest": image.digest, "size": image.size, "annotations": {NAME: tag or "latest"}}
    blobs = [image.digest, image.target["digest"], *(one["digest"] for one in image.layers)]
    if kind == "oci":
        folder(store, path, named, blobs)
    elif kind == "oci-archive":
        index = {"schemaVersion": 2, "manifests": [named]}
        archive(store, path, {"oci-layout": {"imageLayoutVersion": "1.0.0"}, "index.json": index},
                {"blobs/" + digest.replace(":", "/"): digest for digest in blobs})
    else:
        files = {digest[7:] + (".json" if digest == image.target["digest"] else ".tar"): digest for digest in blobs[1:]}
        names = {digest: name for name, digest in files.items()}
        archive(store, path, {"manifest.json": [{"Config": names[blobs[1]], "RepoTags": [tag or image.what],
                                                 "Layers": [names[one["digest"]] for one in image.layers]}]}, files)


def folder(store, path, named, blobs):
    """A layout is what our store is, too: so it is written by one."""
    other = Store(os.path.realpath(path), plain=True)
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


def archive(store, path, documents, blobs):
    """A tar of documents, {name: what becomes JSON}, and of blobs, {name: digest}."""
    with open(path, "xb") as out, tarfile.open(fileobj=out, mode="w") as tar:
        for name, document in documents.items():
            data, info = json.dumps(document).encode(), tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        for name, digest in blobs.items():
            info = tarfile.TarInfo(name)
            info.size = store.has(digest)
            with store.open(digest) as file:
                tar.addfile(info, file)
