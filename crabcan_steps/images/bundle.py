"""An image as a bundle: its configuration as config.json, its layers copied into rootfs/ (conversion.md)."""
import json
import os

from ..oci.last import NAME_OF_FILE
from ..oci.writing import bundle_of
from . import container
from .accounts import ImageIdentity
from .errors import ImageError
from .flatten import flatten


def write(spec, store, image, users):
    """Writes a bundle into a directory that is not there yet, or empty."""
    folder = spec.write_bundle
    os.makedirs(folder, exist_ok=True)
    if os.listdir(folder):
        raise ImageError(f"--write-bundle {folder}: is there, and not empty")
    box = container.create(store, image, users)
    try:
        flatten(store, spec.chains[::-1], box.name, users)
        try:
            os.rename(f"containers/{box.name}/rootfs", f"{folder}/rootfs", src_dir_fd=store.root)
        except OSError:
            raise ImageError(f"--write-bundle {folder}: must be on the file system of the store ({store.path}): "
                             "CRABCAN_STORE=DIR on the same one") from None
    finally:
        box.close()
    spec.mount = os.path.realpath(f"{folder}/rootfs")
    config = bundle_of(spec, "rootfs", ImageIdentity)
    labels = {key: str(value) for key, value in (image.settings.get("Labels") or {}).items()}
    if spec.stop_signal:
        labels["org.opencontainers.image.stopSignal"] = spec.stop_signal
    config["annotations"] |= labels | {"org.opencontainers.image.ref.name": image.what}
    with open(f"{folder}/{NAME_OF_FILE}", "x") as file:
        json.dump(config, file, indent=2)
        file.write("\n")
