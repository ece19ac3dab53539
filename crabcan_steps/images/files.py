"""Images that lie in files: an OCI layout (a directory, or a tar of it), or what `docker save` writes."""
import hashlib
import json
import os
import stat

from .. import linux
from ..ch12_images import LARGEST, verified
from . import tar
from .errors import ImageError
from .image import CONFIG, INDEX, LAYER, MANIFEST, descriptor, of, parsed, strings
from .store import NAME, PIECE, checked
from .transfer import take
from .tree import clean


def source_of(reference):
    """The source that a reference names."""
    if reference.transport == "oci":
        return Layout(Folder(reference.file))
    archive = Archive(reference.file)
    return Layout(archive) if reference.transport == "oci-archive" else Saved(archive)


class Folder:
    """Files below a directory: opened without leaving it."""

    def __init__(self, path):
        self.path = path
        try:
            self.root = linux.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise ImageError(f"oci:{path}: {error.strerror}") from None

    def open(self, name):
        """A regular file. Raises ImageError."""
        try:
            fd = linux.openat2(self.root, name, os.O_RDONLY | os.O_NONBLOCK, linux.RESOLVE_IN_ROOT | linux.RESOLVE_NO_MAGICLINKS)
        except OSError as error:
            raise ImageError(f"{self.path}/{name}: {error.strerror}") from None
        file = open(fd, "rb")
        if not stat.S_ISREG(linux.fstat(fd).st_mode):
            raise ImageError(f"{self.path}/{name}: is no file")
        return file, linux.fstat(fd).st_size

    def close(self):
        linux.close(self.root)


class Archive:
    """Files in a tar, found by one look over its headers; links in it are names of other members."""

    def __init__(self, path):
        self.path, self.members, self.links = path, {}, {}
        try:
            self.file = open(path, "rb")
        except OSError as error:
            raise ImageError(f"{path}: {error.strerror}") from None
        if self.file.read(2) == b"\x1f\x8b":
            raise ImageError(f"{path}: is compressed as a whole: gunzip it first")
        self.file.seek(0)
        for entry in tar.entries(self):
            name = clean(entry.name)
            if entry.kind == tar.REGULAR:
                self.members[name] = self.file.tell(), entry.size
            elif entry.kind in (tar.LINK, tar.SYMLINK):
                base = name[:-1] if entry.kind == tar.SYMLINK else ()
                self.links[name] = clean("/".join([*base, os.fsdecode(entry.link)]).encode("utf-8", "surrogateescape"))
            self.file.seek(entry.left, 1)
            entry.left = 0

    def read(self, count):
        return self.file.read(count)

    def some(self, count):
        return self.file.read(count)

    def open(self, name):
        """A member as a file of its own, at its beginning."""
        path = clean(os.fsencode(name))
        for _ in range(8):
            path = self.links.get(path, path)
        if path not in self.members:
            raise ImageError(f"{self.path}: has no {name}")
        at, size = self.members[path]
        return Part(self.path, at, size), size

    def close(self):
        self.file.close()


class Part:
    """A piece of a file, as a file."""

    def __init__(self, path, at, size):
        self.file, self.begin, self.left, self.size = open(path, "rb"), at, size, size
        self.file.seek(at)

    def seek(self, at):
        self.file.seek(self.begin + at)
        self.left = self.size - at

    def read(self, count=-1):
        piece = self.file.read(self.left if count < 0 else min(count, self.left))
        self.left -= len(piece)
        return piece

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.file.close()


class Layout:
    """An OCI image layout (image-layout.md)."""

    def __init__(self, files):
        self.files = files

    def first(self, reference):
        """(bytes, media type) of the index or manifest that a reference means."""
        file, _ = self.files.open("index.json")
        with file:
            index = parsed(file.read(LARGEST), f"{self.files.path}/index.json")
        found = [descriptor(one, "index.json") for one in of(index.get("manifests"), list, "index.json: manifests")]
        named = [one for one in found if reference.tag and (one.get("annotations") or {}).get(NAME) == reference.tag]
        if reference.tag and not named:
            raise ImageError(f"{reference.text}: there is no {reference.tag}, but "
                             f"{', '.join(str((one.get('annotations') or {}).get(NAME)) for one in found)}")
        if len(found) == 1 or named:
            return self.document(named[0] if named else found[0])
        return json.dumps(index).encode(), INDEX

    def document(self, one):
        """(bytes, media type) of what a descriptor points at, which are what its digest says. Raises Corrupt."""
        file, size = self.blob(one["digest"])
        with file:
            return verified(file, one["digest"], self.files.path), one.get("mediaType")

    def blob(self, digest):
        """(file, size) of a blob. Whoever reads it to its end has to compare."""
        return self.files.open("blobs/" + checked(digest).replace(":", "/"))

    def into(self, store, one, told):
        """Brings a blob into the store."""
        file, size = self.blob(one["digest"])

        def fetch(at):
            file.seek(at)
            return at, iter(lambda: file.read(PIECE), b"")
        with file:
            take(store, one["digest"], one["size"], fetch, told)

    def close(self):
        self.files.close()


class Saved(Layout):
    """What `docker save` writes: no digests in it, so each file is hashed first."""

    def first(self, reference):
        file, _ = self.files.open("manifest.json")
        with file:
            try:
                entries = json.loads(file.read(LARGEST))
            except (ValueError, RecursionError):
                raise ImageError(f"{self.files.path}: its manifest.json is no JSON") from None
        entries = [of(one, dict, "manifest.json") for one in of(entries, list, "manifest.json")]
        found = [one for one in entries if not reference.tag
                 or any(tag.endswith(reference.tag) for tag in strings(one.get("RepoTags"), "RepoTags"))]
        if len(found) != 1:
            tags = ", ".join(tag for one in entries for tag in strings(one.get("RepoTags"), "RepoTags"))
            raise ImageError(f"{reference.text}: which one? docker-archive:FILE:TAG: {tags}")
        self.names = {}
        paths = [of(found[0].get("Config"), str, "Config"), *strings(found[0].get("Layers"), "Layers")]
        config, *layers = [self.described(path) for path in paths]
        return json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": {**config, "mediaType": CONFIG},
                           "layers": layers}).encode(), MANIFEST

    def described(self, path):
        """The descriptor of a file."""
        file, size = self.files.open(path)
        sum_ = hashlib.sha256()
        with file:
            while piece := file.read(PIECE):
                sum_.update(piece)
        digest = "sha256:" + sum_.hexdigest()
        self.names[digest] = path
        return {"mediaType": LAYER, "digest": digest, "size": size}

    def document(self, one):
        raise ImageError(f"{self.files.path}: has no {one['digest']}")

    def blob(self, digest):
        return self.files.open(self.names[digest])
