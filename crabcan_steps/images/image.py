"""What manifests, indexes and configurations say, looked at before anybody relies on it.

image-spec: manifest.md, image-index.md, config.md; Docker's own types mean the same.
"""
import hashlib
import json
import re

from ..ch12_images import chains
from .errors import ImageError
from .store import checked

OCI, DOCKER = "application/vnd.oci.image.", "application/vnd.docker.distribution.manifest."
MANIFEST, INDEX = OCI + "manifest.v1+json", OCI + "index.v1+json"
CONFIG, LAYER = OCI + "config.v1+json", OCI + "layer.v1.tar"
MANIFESTS = (MANIFEST, DOCKER + "v2+json")
INDEXES = (INDEX, DOCKER + "list.v2+json")
CONFIGS = (CONFIG, "application/vnd.docker.container.image.v1+json")
MOST_LAYERS = 500
HALF = re.compile("[\ud800-\udfff]")  # of a character: JSON can say it, and nobody can write it


def parsed(data, what):
    """A JSON object. Raises ImageError for anything else."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ImageError(f"{what}: is no JSON: {error}") from None
    return of(found, dict, what)


def of(value, kind, what):
    """A value, if it is of a kind. Raises ImageError."""
    if not isinstance(value, kind) or isinstance(value, bool) and kind is int:
        raise ImageError(f"{what}: should be {KINDS[kind]}, and is {value!r:.60}")
    if kind is str and HALF.search(value):
        raise ImageError(f"{what}: is no text: {value!r:.60}")
    return value


KINDS = {dict: "an object", list: "a list", str: "a string", int: "a whole number"}


def descriptor(value, what):
    """What points at a blob: its digest, size and media type."""
    of(value, dict, what)
    checked(value.get("digest"))
    if of(value.get("size"), int, f"{what}: size") < 0:
        raise ImageError(f"{what}: size is {value['size']}")
    of(value.get("mediaType", ""), str, f"{what}: mediaType")
    of(value.get("annotations") or {}, dict, f"{what}: annotations")
    return value


def strings(value, what):
    """A list of strings; nothing is an empty one."""
    return [of(one, str, what) for one in of(value or [], list, what)]


def is_index(document, kind=None):
    """Tells whether a document points at images, one for each kind of machine. Raises ImageError for one
    that could be either: two programs would read two images in it."""
    if "manifests" in document and "layers" in document:
        raise ImageError("a document has manifests and layers: it is not clear which it means")
    return (document.get("mediaType") or kind) in INDEXES or "manifests" in document and "layers" not in document


def unfit(layer, what):
    """Refuses a layer that we cannot have, or that has no files. Raises ImageError."""
    kind = layer.get("mediaType", "")
    if "encrypted" in kind:
        raise ImageError(f"{what}: its layers are encrypted")
    if "foreign" in kind or "nondistributable" in kind:
        raise ImageError(f"{what}: has a layer that no registry may pass on ({kind:.100}), as images of Windows have")
    if kind and "layer" not in kind and "rootfs" not in kind and "tar" not in kind:
        raise ImageError(f"{what}: is no image, but something about one or beside it: its layers are {kind!r:.100}")


class Image:
    """A manifest and its configuration."""

    def __init__(self, data, what):
        self.what, self.manifest = what, parsed(data, what)
        self.digest, self.size = "sha256:" + hashlib.sha256(data).hexdigest(), len(data)
        self.kind = self.manifest.get("mediaType") or MANIFEST
        if self.manifest.get("schemaVersion") == 1:
            raise ImageError(f"{what}: is of schema 1, which Docker gave up in 2019: who has made it can push it anew")
        if self.kind not in MANIFESTS:
            raise ImageError(f"{what}: is no image that we know: {self.kind!r:.100}")
        self.target = descriptor(self.manifest.get("config"), f"{what}: config")
        self.layers = [descriptor(one, f"{what}: layers")
                       for one in of(self.manifest.get("layers"), list, f"{what}: layers")]
        if len(self.layers) > MOST_LAYERS:
            raise ImageError(f"{what}: has {len(self.layers)} layers")
        for one in self.layers:
            unfit(one, what)
        if self.target.get("mediaType", CONFIG) not in CONFIGS:
            raise ImageError(f"{what}: is no image to run: its config is {self.target['mediaType']!r:.100}")
        self.config, self.diff_ids = {}, []

    def configure(self, data):
        """Takes the configuration; it must have a diff id for each layer."""
        what = f"{self.what}: its configuration"
        self.config = parsed(data, what)
        rootfs = of(self.config.get("rootfs") or {}, dict, f"{what}: rootfs")
        self.diff_ids = [checked(one) for one in strings(rootfs.get("diff_ids"), f"{what}: diff_ids")]
        if len(self.diff_ids) != len(self.layers):
            raise ImageError(f"{what}: names {len(self.diff_ids)} layers, and the manifest {len(self.layers)}")
        settings = of(self.config.get("config") or {}, dict, what)
        for key in "Env", "Entrypoint", "Cmd":
            strings(settings.get(key), f"{what}: {key}")
        for key in "User", "WorkingDir", "StopSignal":
            of(settings.get(key) or "", str, f"{what}: {key}")
        for key in "Volumes", "Labels", "ExposedPorts":
            of(settings.get(key) or {}, dict, f"{what}: {key}")
        self.settings = settings
        return self

    def machine(self):
        """(os, architecture, variant) that it says it is for."""
        return tuple(of(self.config.get(key) or "", str, f"{self.what}: {key}") for key in ("os", "architecture", "variant"))

    def chains(self):
        """The name of each layer together with those below it (config.md, Layer ChainID)."""
        return chains(self.diff_ids)

    def history(self):
        """(command, descriptor or None) of each step, the oldest first; None: it made no layer."""
        layers = list(self.layers)
        steps = []
        for step in of(self.config.get("history") or [], list, "history"):
            step = step if isinstance(step, dict) else {}
            empty = bool(step.get("empty_layer")) or not layers
            steps.append((str(step.get("created_by") or step.get("comment") or ""), None if empty else layers.pop(0)))
        return steps + [("", layer) for layer in layers]  # a history need not be true
