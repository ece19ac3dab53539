"""An image made here, as nothing is to be downloaded: busybox, in the form that `docker save` writes.

All three engines load it. Without links or dates of this machine's, it is the same each time.
"""
import hashlib
import io
import json
import os
import subprocess
import tarfile

from .errors import EngineError

BUSYBOX = ("/bin/busybox", "/usr/bin/busybox")
NAME = "localhost/crabcan/busybox:latest"
FOLDERS = ("bin", "dev", "etc", "home", "proc", "root", "sys", "tmp", "usr", "usr/bin", "var")
FILES = {"etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/false\n",
         "etc/group": "root:x:0:\nnobody:x:65534:\n"}


def busybox():
    """The program. Raises EngineError if there is none that needs no libraries."""
    for path in BUSYBOX:
        if os.path.exists(path):
            with open(path, "rb") as file:
                data = file.read()
            if b"/ld-linux" not in data[:4096]:
                return path, data
    raise EngineError("no busybox that needs no libraries: apt-get install busybox-static")


def add(archive, name, data=b"", **more):
    """Adds one member, without a date."""
    member = tarfile.TarInfo(name)
    member.size = len(data)
    for key, value in more.items():
        setattr(member, key, value)
    archive.addfile(member, io.BytesIO(data))


def layer():
    """The root file system, as a tar archive."""
    path, program = busybox()
    said = subprocess.run([path, "--list"], capture_output=True, text=True, check=True)
    with io.BytesIO() as file:
        with tarfile.open(fileobj=file, mode="w") as archive:
            for name in FOLDERS:
                add(archive, name, type=tarfile.DIRTYPE, mode=0o1777 if name == "tmp" else 0o755)
            add(archive, "bin/busybox", program, mode=0o755)
            for name in said.stdout.split():
                if name != "busybox":
                    add(archive, f"bin/{name}", type=tarfile.SYMTYPE, linkname="busybox")
            for name, text in FILES.items():
                add(archive, name, text.encode(), mode=0o644)
        return file.getvalue()


def archive(path):
    """Writes the image to a file that every engine can load."""
    data = layer()
    config = json.dumps({
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine),
        "os": "linux", "config": {"Env": ["PATH=/bin"], "Cmd": ["sh"]},
        "history": [{"created_by": "crabcan_workshop/engine/image.py"}],
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(data).hexdigest()}"]}}).encode()
    name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = [{"Config": name, "RepoTags": [NAME], "Layers": ["layer.tar"]}]
    with tarfile.open(path, "w") as file:
        add(file, name, config)
        add(file, "layer.tar", data)
        add(file, "manifest.json", json.dumps(manifest).encode())
