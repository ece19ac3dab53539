"""A small image of this machine's own `true`, for a recording of chapter 12: nothing is pulled for it."""
import hashlib
import io
import json
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

TYPES = "application/vnd.oci.image."
LIBRARY = re.compile(r"(/\S+) \(0x")  # in what ldd(1) prints


def write(folder, program="true"):
    """Writes an image in the layout of the OCI into a directory; returns what crabcan calls it.

    Raises RuntimeError if the program is not there."""
    path = shutil.which(program)
    if not path:
        raise RuntimeError(f"there is no {program} to make an image of")
    told = subprocess.run(["ldd", path], capture_output=True, text=True).stdout  # nothing for a static one
    layer = packed({f"/bin/{program}": path} | {name: name for name in LIBRARY.findall(told)})
    blobs = Path(folder, "blobs/sha256")
    blobs.mkdir(parents=True)
    rootfs = {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]}
    config = {"os": "linux", "rootfs": rootfs, "config": {"Cmd": [f"/bin/{program}"]}}
    manifest = {"schemaVersion": 2, "config": kept(blobs, "config.v1+json", json.dumps(config).encode()),
                "layers": [kept(blobs, "layer.v1.tar", layer)]}
    index = {"schemaVersion": 2, "manifests": [kept(blobs, "manifest.v1+json", json.dumps(manifest).encode())]}
    Path(folder, "index.json").write_text(json.dumps(index))
    Path(folder, "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return f"oci:{folder}"


def packed(files):
    """A layer: {where a file is in it: where it is here}."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name, path in files.items():
            member = archive.gettarinfo(Path(path).resolve(), name.lstrip("/"))
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            with open(path, "rb") as file:
                archive.addfile(member, file)
    return data.getvalue()


def kept(blobs, kind, data):
    """Writes a document under its hash; returns what points to it."""
    name = hashlib.sha256(data).hexdigest()
    (blobs / name).write_bytes(data)
    return {"mediaType": f"{TYPES}{kind}", "digest": f"sha256:{name}", "size": len(data)}
