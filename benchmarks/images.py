"""How long an image takes: from a registry on loopback until it can run, beside skopeo with umoci, and podman.

What is removed between the rounds is removed at their end: ext4 looks for other inodes than those that were given
back a moment ago, and who comes next would pay for it.
"""
import gzip
import hashlib
import io
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

from common import LAUNCHER, clock, machine, progress, ratio, spread

NEEDED = ("skopeo", "umoci", "podman", "docker-registry", "busybox")
SHAPES = {"30 MB": (1, 100, 300_000), "300 MB, 15 layers": (15, 40, 500_000), "50,000 files": (1, 50_000, 1100)}
CONFIG = """version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {0}/data}}}}
http: {{addr: "127.0.0.1:{1}"}}
"""
SETTINGS = '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]\nlog_driver = "k8s-file"\n'
OURS, UMOCI, PODMAN = "crabcan pull", "skopeo copy, umoci unpack", "podman pull"


def layer(number, files, size, chance):
    """A tar of files, of which about a half compresses, as programs do."""
    out, text = io.BytesIO(), bytes(range(97, 123)) * (size // 26 + 1)
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        def add(name, data):
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o755
            tar.addfile(info, io.BytesIO(data))
        if number == 0:
            add("bin/true", Path(shutil.which("busybox")).read_bytes())
        for n in range(files):
            add(f"usr/{number}/{n // 100}/{n}", chance.randbytes(size // 2) + text[:size - size // 2])
    return out.getvalue()


def layout(path, shape):
    """An OCI layout of one image."""
    (path / "blobs/sha256").mkdir(parents=True)
    (path / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    chance, count, *what = random.Random(12), *shape

    def blob(data, kind):
        digest = hashlib.sha256(data).hexdigest()
        (path / "blobs/sha256" / digest).write_bytes(data)
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(data)}
    tars = [layer(number, *what, chance) for number in range(count)]
    config = {"architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, "amd64"), "os": "linux", "config": {"Cmd": ["/bin/true"]},
              "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(one).hexdigest()}" for one in tars]}}
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": blob(json.dumps(config).encode(), "config.v1+json"),
                "layers": [blob(gzip.compress(one, 6, mtime=0), "layer.v1.tar+gzip") for one in tars]}
    named = {**blob(json.dumps(manifest).encode(), "manifest.v1+json"), "annotations": {"org.opencontainers.image.ref.name": "1"}}
    (path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [named]}))


def call(words, **more):
    """Seconds that a command takes. Exits if it fails."""
    begin = clock()
    result = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, env={**os.environ, **more})
    if result.returncode:
        sys.exit(f"{' '.join(map(str, words))}: {result.stderr[-400:]}")
    return clock() - begin


def podman(folder):
    return ["podman", "--root", f"{folder}/root", "--runroot", f"{folder}/run", "--storage-driver", "overlay", "--cgroup-manager", "cgroupfs",
            "--events-backend", "file"]


def pulled(image, folder):
    """Seconds of each program, each into directories of its own."""
    folder.mkdir()
    begin = {OURS: call([*LAUNCHER, "pull", "--quiet", "--insecure", image], CRABCAN_STORE=f"{folder}/ours")}
    begin[UMOCI] = call(["sh", "-ec", 'skopeo --insecure-policy copy -q --src-tls-verify=false "docker://$1" "oci:$2/layout:1"; '
                         'umoci raw unpack --image "$2/layout:1" "$2/unpacked"', "sh", image, folder])
    return begin | {PODMAN: call([*podman(folder), "pull", "-q", "--tls-verify=false", image])}


def ran(image, folder):
    """Seconds of a start from what is there already."""
    begin = {"crabcan run --image": call([*LAUNCHER, "run", "--image", image, "--", "/bin/true"], CRABCAN_STORE=f"{folder}/ours")}
    return begin | {"podman run": call([*podman(folder), "run", "--rm", "--network", "none", image, "/bin/true"])}


def memory(image, folder):
    """MB that a pull needs at most, in all its processes one beside the other."""
    script = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=2); " \
             "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    words = [sys.executable, "-c", script, *LAUNCHER, "pull", "--quiet", "--insecure", image]
    result = subprocess.run(words, capture_output=True, text=True, check=True, env={**os.environ, "CRABCAN_STORE": f"{folder}/{image[-4:]}"})
    return int(result.stdout) / 1024


def measure(rounds):
    """The report."""
    missing = [name for name in NEEDED if not shutil.which(name)]
    if os.geteuid() != 0 or missing:
        return {"about": "How long images take", "machine": machine(), "rows": {}, "ratios": {},
                "notes": [f"wants {' and '.join(missing) or 'root'}"]}
    with tempfile.TemporaryDirectory(prefix="crabcan-bench-", dir="/var/tmp") as name, socket.socket() as free:
        folder = Path(name)
        (folder / "containers.conf").write_text(SETTINGS)
        os.environ["CONTAINERS_CONF"] = f"{folder}/containers.conf"
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        (folder / "config.yml").write_text(CONFIG.format(folder, port))
        registry = subprocess.Popen(["docker-registry", "serve", folder / "config.yml"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            return report(folder, f"127.0.0.1:{port}", rounds)
        finally:
            registry.kill()
            registry.wait()
            subprocess.run(["sh", "-c", 'umount "$1"/*/root/overlay 2>/dev/null', "sh", folder])


def report(folder, host, rounds):
    """Measures all of it."""
    rows, ratios, notes = {}, {}, []
    shapes = SHAPES if rounds > 1 else {"3 MB": (1, 10, 300_000)}  # one round is a look whether it works
    for at, (name, shape) in enumerate(shapes.items()):
        progress(f"images: making {name}")
        layout(folder / f"l{at}", shape)
        image = f"{host}/i{at}:1"
        time.sleep(1)
        call(["skopeo", "--insecure-policy", "copy", "-q", "--dest-tls-verify=false", f"oci:{folder}/l{at}:1", f"docker://{image}"])
        found = []
        for turn in range(min(rounds, 5 if at == 0 else 2)):
            progress(f"images: {name}, {turn + 1}")
            found.append(pulled(image, folder / f"{at}-{turn}"))
        add(rows, ratios, found, f"{name}: ", OURS, {UMOCI: 1, PODMAN: 1})
        notes.append(f"{name}: {memory(image, folder):.0f} MB of memory for a pull")
    found = [ran(f"{host}/i0:1", folder / "0-0") for _ in range(rounds)]
    add(rows, ratios, found, "", "crabcan run --image", {"podman run": 0.3})
    notes.append("ours and podman's are on disk when they are done (what others have just written has to be, too), umoci's are in memory")
    return {"about": "A registry's image until it is unpacked, and a start of it, milliseconds", "machine": machine(), "rows": rows, "ratios": ratios,
            "notes": notes}


def add(rows, ratios, found, before, mine, others):
    """Rows and ratios of some rounds."""
    values = {who: [one[who] for one in found] for who in found[0]}
    rows |= {f"{before}{who}": spread(seconds) for who, seconds in values.items()}
    ratios |= {f"{before}ours / {who}": ratio(values[mine], values[who], aim) for who, aim in others.items()}
