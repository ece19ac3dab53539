"""crabcan pull, images, inspect, history, rmi, prune, save, push, commit: what their words mean."""
import argparse
import json
import os
import sys

from .. import linux
from ..ch01_args import Spec
from ..ch05_namespaces import Users
from ..layer import LayerError, printable, warn
from .errors import ImageError
from .progress import megabytes

SOURCES = "HOST/NAME:TAG, HOST/NAME@sha256:..., oci:DIR, oci-archive:FILE or docker-archive:FILE"
TEXTS = {
    "pull": f"Brings an image into the store: {SOURCES}. Example: crabcan pull oci:./alpine",
    "images": "Lists the images that are here, and the containers that were kept.",
    "inspect": "Prints an image's manifest and configuration.",
    "history": "Prints what each step of an image's build did, the last first, and what it weighs.",
    "rmi": "Removes images, or containers that were kept.",
    "prune": "Removes all that no image and no container needs. What runs stays.",
    "save": "Writes an image into files. Example: crabcan save alpine oci-archive:alpine.tar",
    "push": "Sends an image to a registry. Example: crabcan push alpine localhost:5000/alpine",
    "commit": "Makes an image of what a container has changed (crabcan run --image ... --keep NAME).",
    "layers": "Shows an image layer by layer: `workshop layers IMAGE` does it, as it is the classroom's."}


def parser(word):
    """What a command takes."""
    p = argparse.ArgumentParser(prog=f"crabcan {word}", description=TEXTS[word],
                                epilog="The store is in /var/lib/crabcan, or ~/.local/share/crabcan; or CRABCAN_STORE.")
    if word in ("pull", "push"):
        p.add_argument("--insecure", action="store_true", help="a registry without TLS, or with an unknown certificate")
    if word == "pull":
        p.add_argument("source", help=SOURCES)
        p.add_argument("name", nargs="?", help="what to call it here")
        p.add_argument("--platform", help="linux/arm64 or the like (this machine's)")
        p.add_argument("--quiet", action="store_true", help="no progress")
        p.add_argument("--squash", action="store_true", help="owners that your ids do not reach become root")
        p.add_argument("--max-size", type=size, default=16 << 30, help="of one layer, unpacked (16G)")
        p.add_argument("--max-files", type=int, default=2_000_000, help="in one layer (2000000)")
    elif word == "commit":
        p.add_argument("container")
        p.add_argument("image", help="what the new image is called")
        p.add_argument("--message", default="", help="a comment for its history")
    elif word in ("save", "push"):
        p.add_argument("image")
        p.add_argument("target", help="oci:DIR, oci-archive:FILE or docker-archive:FILE" if word == "save" else "HOST/NAME:TAG")
    elif word == "rmi":
        p.add_argument("image", nargs="+")
    elif word == "prune":
        p.add_argument("--containers", action="store_true", help="also containers that were kept by --keep")
    elif word != "images":
        p.add_argument("image")
    if word in ("images", "history"):
        p.add_argument("--json", action="store_true", help="print JSON")
    return p


def size(text):
    """Bytes, as --memory takes them."""
    from ..args.values import size as bytes_of
    return bytes_of(text)


def main(word, argv):
    """The command. Returns its exit status."""
    if word == "layers":
        warn("layers: `workshop layers IMAGE` shows them: ./workshop layers --help")
        return 2
    options = parser(word).parse_args(argv)
    try:
        from .store import Store
        globals()[word](Store(), options)
        return 0
    except BrokenPipeError:  # whoever reads has read enough
        os.dup2(os.open("/dev/null", os.O_WRONLY), 1)
        return 128 + linux.SIGPIPE
    except (ImageError, OSError) as error:
        warn(f"{word}: {error}")
    except Exception as error:  # a bug, too, is one line and a status
        warn(f"{word}: {LayerError.of('images', error).explain([])}")
    return 1


def pull(store, options):
    from .pull import pull as bring
    image = bring(store, options.source, options, options.name)
    print(image.digest)


def images(store, options):
    """A line each: name, digest, layers, size as stored."""
    from . import container
    from .image import Image
    rows = []
    for name, one in sorted(store.names().items()):
        try:
            image = Image(store.read(one["digest"]), name)
        except ImageError as error:
            warn(f"{name}: is damaged: pull it again ({error})")
            rows.append({"name": name, "digest": one["digest"], "layers": 0, "size": 0, "damaged": True})
            continue
        rows.append({"name": name, "digest": image.digest, "layers": len(image.layers),
                     "size": sum(layer["size"] for layer in image.layers)})
    boxes = [{"name": name, "image": said.get("image"), "running": runs} for name, said, runs in container.every(store)]
    if options.json:
        print(json.dumps({"images": rows, "containers": boxes}, indent=2))
        return
    for row in rows:
        print(printable(f"{row['name']:40} {row['digest'][7:19]}  {row['layers']:3} layers  {megabytes(row['size']):>9}"
                        + ("  damaged" if "damaged" in row else "")))
    for box in boxes:
        print(printable(f"container {box['name']}: of {box['image']}, {'running' if box['running'] else 'kept'}"))
    if not rows and sys.stdout.isatty():
        print("none yet: crabcan pull --help")


def inspect(store, options):
    from .found import find
    image = find(store, options.image)
    print(json.dumps({"digest": image.digest, "manifest": image.manifest, "config": image.config}, indent=2))


def history(store, options):
    from .found import find
    steps = find(store, options.image).history()
    if options.json:
        print(json.dumps([{"created_by": text, "digest": layer and layer["digest"], "size": layer["size"] if layer else 0}
                          for text, layer in steps], indent=2))
        return
    for text, layer in reversed(steps):
        print(printable(f"{megabytes(layer['size']) if layer else '-':>9}  {text[:300] or '(no command is told)'}"))


def rmi(store, options):
    from .prune import collect, forget
    for text in options.image:
        forget(store, text)
    collect(store)


def prune(store, options):
    from .prune import prune as sweep
    print(f"{megabytes(sweep(store, options.containers))} of blobs removed")


def save(store, options):
    from .found import find
    from .push import save as write
    write(store, find(store, options.image), options.target)


def push(store, options):
    from .found import find
    from .push import push as send
    send(store, find(store, options.image), options.target, options)


def commit(store, options):
    from .commit import commit as make
    users = Users()
    users.prepare(Spec(), None)
    store.share()
    print(make(store, options.container, options.image, users, options.message))
