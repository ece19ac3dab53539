"""A container's changes become a layer: the upper directory of its overlay, as a tar with whiteouts."""
import gzip
import hashlib
import json
import os
import stat
import tarfile
import time

from .. import linux
from ..ch12_images import PREFIX
from .container import record, valid
from .errors import ImageError
from .image import CONFIG, LAYER, MANIFEST, Image
from .mapped import inside, lone, prefix
from .merged import OPEN, whiteout, xattr
from .found import find
from .layers import unpack_all
from .place import FOLDER
from .reference import Reference
from .transfer import put
from .unpack import KEPT

OURS = ("proc", "sys", "dev")  # places for mounts, which an image need not have
NOW = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
PLACES = ("etc/hosts", "etc/resolv.conf")  # chapter 11 mounts its own there: they are empty


class Both:
    """A file that hashes what is written, and counts it."""

    def __init__(self, file):
        self.file, self.sum, self.count = file, hashlib.sha256(), 0

    def write(self, data):
        self.sum.update(data)
        self.count += len(data)
        return self.file.write(data)

    def flush(self):
        self.file.flush()

    def digest(self):
        return "sha256:" + self.sum.hexdigest()


def commit(store, container, name, users, message=""):
    """Makes an image of a container, running or kept by --keep. Returns its digest."""
    try:
        said = record(store, valid(container))
        image = find(store, said["digest"])
    except KeyError:
        raise ImageError(f"{container}: no such container: `crabcan images` names those that are kept") from None
    first = {} if not users.root else {kind: users.maps[kind][0][1] for kind in ("uid", "gid")}
    layer, diff_id = inside(written, store, container, first)
    config = dict(image.config)
    config["rootfs"] = {"type": "layers", "diff_ids": [*image.diff_ids, diff_id]}
    config["history"] = [*(config.get("history") or []), {
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "created_by": "crabcan commit", "comment": message}]
    data = json.dumps(config).encode()
    target = {"mediaType": CONFIG, "digest": put(store, data), "size": len(data)}
    data = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": target,
                       "layers": [*image.layers, layer]}).encode()
    put(store, data)
    made = Image(data, name).configure(json.dumps(config))
    unpack_all(store, made)
    store.name(str(Reference(name)), {"mediaType": MANIFEST, "digest": made.digest, "size": made.size})
    return made.digest


def written(store, container, first):
    """Writes the layer. Returns its descriptor, and its diff id."""
    new = f"partial/commit-{os.getpid()}"
    upper = linux.open(f"containers/{container}/upper", FOLDER, dir_fd=store.root)
    fd = linux.open(new, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600, dir_fd=store.root)
    with open(fd, "wb") as file:
        outer = Both(file)
        with gzip.GzipFile(fileobj=outer, mode="wb", compresslevel=6, mtime=0) as packed:
            inner = Both(packed)
            with tarfile.open(fileobj=inner, mode="w|", format=tarfile.PAX_FORMAT, errors="surrogateescape") as tar:
                Changes(tar, first).folder(upper, "")
        file.flush()
        os.fsync(fd)
    linux.close(upper)
    digest = outer.digest()
    os.rename(new, "blobs/" + digest.replace(":", "/"), src_dir_fd=store.root, dst_dir_fd=store.root)
    return {"mediaType": LAYER + "+gzip", "digest": digest, "size": outer.count}, inner.digest()


class Changes:
    """Walks the upper directory. first: what the container's ids begin at on the host, if they are shifted."""

    def __init__(self, tar, first):
        self.tar, self.first, self.links = tar, first, {}

    def folder(self, fd, path):
        """A directory's entries, and what is below."""
        if xattr(fd, prefix() + "opaque") == b"y":
            self.tar.addfile(tarfile.TarInfo(f"{path}.wh..wh..opq"))
        for name in sorted(linux.listdir(fd)):
            status = linux.lstat(name, dir_fd=fd)
            if name.startswith(PREFIX):
                raise ImageError(f"/{path}{name}: a name of which every layer makes a whiteout: rename it, or remove it")
            if whiteout(status):
                self.tar.addfile(tarfile.TarInfo(f"{path}{PREFIX}{name}"))
            elif stat.S_ISDIR(status.st_mode):
                inner = linux.open(name, OPEN, dir_fd=fd)
                if path or name not in OURS or linux.listdir(inner):
                    self.tar.addfile(self.info(f"{path}{name}", status, tarfile.DIRTYPE, inner))
                    self.folder(inner, f"{path}{name}/")
                linux.close(inner)
            elif status.st_size or path + name not in PLACES:
                self.file(fd, name, path + name, status)

    def file(self, folder, name, path, status):
        """A file; or another link to one that is there already."""
        if seen := self.links.get((status.st_dev, status.st_ino)):
            link = self.info(path, status, tarfile.LNKTYPE)
            link.linkname = seen
            self.tar.addfile(link)
            return
        if status.st_nlink > 1:
            self.links[status.st_dev, status.st_ino] = path
        if stat.S_ISREG(status.st_mode):
            with open(linux.open(name, NOW, dir_fd=folder), "rb") as data:
                status = linux.fstat(data.fileno())
                if stat.S_ISREG(status.st_mode):  # it may be another by now: a running container's
                    info = self.info(path, status, tarfile.REGTYPE, data.fileno())
                    info.size = status.st_size
                    self.tar.addfile(info, data)
        elif stat.S_ISLNK(status.st_mode):
            info = self.info(path, status, tarfile.SYMTYPE)
            info.linkname = linux.readlink(name, dir_fd=folder)
            self.tar.addfile(info)
        elif stat.S_ISFIFO(status.st_mode):
            self.tar.addfile(self.info(path, status, tarfile.FIFOTYPE))

    def info(self, path, status, kind, fd=None):
        """A header, with the owners that the container sees."""
        info = tarfile.TarInfo(path)
        info.type, info.mode, info.mtime = kind, stat.S_IMODE(status.st_mode), status.st_mtime_ns / 1e9
        info.uid = status.st_uid - self.first.get("uid", 0)
        info.gid = status.st_gid - self.first.get("gid", 0)
        if fd is not None:
            for key in os.listxattr(fd):
                if key.startswith(KEPT) and ".overlay." not in key and not lone():
                    value = os.getxattr(fd, key)
                    info.pax_headers[f"SCHILY.xattr.{key}"] = value.decode("utf-8", "surrogateescape")
        return info
