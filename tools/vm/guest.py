#!/usr/bin/env python3
"""Boots a throw-away copy of our own box, without Vagrant, and runs a command in it as the learner.

    tools/vm/guest.py [--suite bookworm] -- './workshop setup --services && tools/vm/check'

The checkout is copied to /vagrant, without what git ignores. Needs qemu-system-x86, a box (made by
`./workshop box`), and Vagrant's first key (of the package vagrant). With KVM where that works."""
import argparse
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.parse
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import boxfiles  # noqa: E402

CHECKOUT = Path(__file__).resolve().parent.parent.parent
BOXES = CHECKOUT / "build" / "box"


def fail(text):
    sys.exit(f"guest: {text}")


def options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--suite", default="trixie")
    parser.add_argument("--memory", default="2G")
    parser.add_argument("--timeout", type=float, default=2400, metavar="SECONDS")
    parser.add_argument("command", nargs="+")
    return parser.parse_args()


def disk(suite, work):
    """An overlay on the disk of our box; the disk itself is taken out of the box once."""
    try:
        [version] = json.loads((BOXES / f"{suite}-amd64.json").read_text())["versions"]
    except FileNotFoundError:
        fail(f"no box of {suite}: sudo ./workshop box --suite {suite}")
    [url] = [p["url"] for p in version["providers"] if p["name"] == "libvirt"]
    box = Path(urllib.parse.unquote(urllib.parse.urlparse(url).path))
    image = box.with_suffix(".qcow2")
    if not image.exists():
        with tarfile.open(box) as tar, open(f"{image}.new", "wb") as file:
            shutil.copyfileobj(tar.extractfile("box.img"), file)
        os.replace(f"{image}.new", image)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", image,
                    work / "overlay"], check=True)
    return work / "overlay"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def machine(accel, disk, port, memory, console):
    cpu = {"kvm": "host", "tcg": "max"}[accel]
    accel = {"tcg": "tcg,thread=multi,tb-size=512"}.get(accel, accel)
    return subprocess.Popen(  # setpriv: should we be killed, the machine goes with us
        ["setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64", "-nodefaults", "-no-reboot",
         "-display", "none", "-accel", accel, "-cpu", cpu, "-smp", str(os.cpu_count()),
         "-m", memory, "-serial", f"file:{console}",
         "-drive", f"file={disk},if=virtio,cache=unsafe,discard=unmap",
         "-netdev", f"user,id=n,ipv6=off,hostfwd=tcp:127.0.0.1:{port}-:22",
         "-device", "virtio-net-pci,netdev=n,romfile=", "-device", "virtio-rng-pci"],
        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def boot(disk, port, memory, console, end):
    """Starts the machine, emulated if need be; returns once its ssh server greets."""
    for accel in ["kvm"] * os.access("/dev/kvm", os.W_OK) + ["tcg"]:
        qemu = machine(accel, disk, port, memory, console)
        while qemu.poll() is None:
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=2) as ssh:
                    if ssh.recv(4) == b"SSH-":
                        return qemu
            except OSError:
                pass
            if time.monotonic() > end:
                qemu.kill()
                fail(f"the guest does not come up; its console:\n{console.read_text()[-2000:]}")
            time.sleep(0.5)
    return fail(f"QEMU ended: {qemu.stderr.read()}")


def send(ssh):
    """The checkout as git sees it, changes included."""
    names = subprocess.run(["git", "-C", CHECKOUT, "ls-files", "-z", "--cached", "--others",
                            "--exclude-standard", "--deduplicate"], check=True,
                           capture_output=True).stdout.split(b"\0")
    top = os.fsencode(CHECKOUT) + b"/"
    names = [name for name in names if name and os.path.lexists(top + name)]
    with tempfile.TemporaryFile() as tar:
        subprocess.run(["tar", "-C", CHECKOUT, "--null", "--verbatim-files-from", "-T", "-", "-c"],
                       input=b"\0".join(names), stdout=tar, check=True)
        tar.seek(0)
        if subprocess.run([*ssh, "tar -xC /vagrant"], stdin=tar).returncode:
            fail("the checkout could not be copied into the guest")


def main():
    chosen = options()
    end = time.monotonic() + chosen.timeout
    key = boxfiles.key("vagrant") or fail("Vagrant's first key is not here: install vagrant")
    missing = [tool for tool in ("qemu-system-x86_64", "qemu-img", "ssh") if not shutil.which(tool)]
    if missing:
        fail(f"not installed: {', '.join(missing)} (qemu-system-x86, qemu-utils, openssh-client)")
    with tempfile.TemporaryDirectory(prefix="crabcan-guest-") as work:
        work = Path(work)
        (work / "key").write_text(key)
        (work / "key").chmod(0o600)
        port = free_port()
        ssh = ["ssh", "-q", "-F", "none", "-i", work / "key", "-p", str(port),
               "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=no",
               "-o", "UserKnownHostsFile=/dev/null", "-o", "ServerAliveInterval=30",
               "-o", "ServerAliveCountMax=20", "vagrant@127.0.0.1"]
        qemu = boot(disk(chosen.suite, work), port, chosen.memory, work / "console", end)
        try:
            send(ssh)
            line = chosen.command[0] if len(chosen.command) == 1 else shlex.join(chosen.command)
            left = max(1, end - time.monotonic())
            return subprocess.run([*ssh, f"cd /vagrant && exec bash -lc {shlex.quote(line)}"],
                                  stdin=subprocess.DEVNULL, timeout=left).returncode
        except subprocess.TimeoutExpired:
            fail(f"time is up ({chosen.timeout:.0f} s)")
        finally:
            qemu.kill()
            qemu.wait()


if __name__ == "__main__":
    sys.exit(main())
