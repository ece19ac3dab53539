"""A guest that runs: QEMU on a throw-away overlay of a disk, and ssh into it as user vagrant."""
import contextlib
import os
import shlex
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from arch import ARCHES, HERE
from image import Failure, say

PATIENCE = {"kvm": 180}  # seconds: on some machines it hangs, and the emulation goes on
CHECKOUT = Path(__file__).resolve().parent.parent.parent


def accelerators(arch):
    """KVM, if this machine may have it. Emulated processors can trip over each other while the
    kernel patches itself (an Oops: int3, early in the boot): so that may take more than one try."""
    kvm = arch == HERE and os.access("/dev/kvm", os.W_OK)
    return ["kvm"] * kvm + ["tcg"] * 3


class Machine:
    """A guest on a throw-away overlay of a disk."""

    def __init__(self, disk, key, chosen, work):
        self.disk, self.key, self.chosen, self.qemu = disk, key, chosen, None
        self.overlay, self.console = work / "overlay", work / "console"
        self.errors = work / "errors"
        form = {".raw": "raw", ".qcow2": "qcow2"}[disk.suffix]
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", form, "-b", disk,
                        self.overlay], check=True)

    def start(self, accel, offline):
        arch = ARCHES[self.chosen.arch]
        cpu = {"kvm": "host", "tcg": arch.emulated}[accel]
        accel = {"tcg": "tcg,tb-size=512"}.get(accel, accel)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        network = f"user,id=n,ipv6=off,hostfwd=tcp:127.0.0.1:{self.port}-:22"
        with self.errors.open("wb") as errors:
            self.qemu = subprocess.Popen(  # setpriv: should we be killed, the machine goes with us
                ["setpriv", "--pdeathsig", "KILL", f"qemu-system-{arch.machine}", *arch.words,
                 "-nodefaults", "-no-reboot", "-display", "none", "-accel", accel, "-cpu", cpu,
                 "-smp", str(self.chosen.cpus),
                 "-m", self.chosen.memory, "-serial", f"file:{self.console}",
                 "-drive", f"file={self.overlay},if=virtio,cache=unsafe,discard=unmap",
                 "-netdev", network + ",restrict=on" * offline,
                 "-device", "virtio-net-pci,netdev=n,romfile=", "-device", "virtio-rng-pci"],
                stdin=subprocess.DEVNULL, stdout=errors, stderr=errors)

    def boot(self, offline=False):
        """Returns once the guest's ssh server greets."""
        for accel in accelerators(self.chosen.arch):
            why = "there is no KVM" if self.chosen.arch == HERE else "it is another processor"
            say(f"booting {self.chosen.suite}" + ", without a network" * offline
                + f" (emulated, for {why}: ten times slower)" * (accel == "tcg"))
            self.start(accel, offline)
            until = time.monotonic() + PATIENCE.get(accel, float("inf"))
            while self.qemu.poll() is None:
                if time.monotonic() > until:
                    self.end()
                    break
                with contextlib.suppress(OSError):
                    with socket.create_connection(("127.0.0.1", self.port), timeout=2) as ssh:
                        if ssh.recv(4) == b"SSH-":
                            return
                time.sleep(0.5)
        said = self.errors.read_text(errors="replace").strip()
        raise Failure(f"QEMU ended: {said}\n{self.last_words()}")

    def ssh(self, line, *words, **more):
        return subprocess.run(
            ["ssh", *words, "-q", "-F", "none", "-i", self.key, "-p", str(self.port),
             "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=no",
             "-o", "UserKnownHostsFile=/dev/null", "-o", "ServerAliveInterval=30",
             "-o", "ServerAliveCountMax=20", "vagrant@127.0.0.1", line], **more).returncode

    def run(self, line):
        """A line of shell in the checkout there, or a shell; its exit status."""
        if not line:
            return self.ssh("cd /vagrant && exec bash -l", "-t")
        say(f"in the guest: {line}")
        return self.ssh(f"cd /vagrant && exec bash -lc {shlex.quote(line)}",
                        stdin=subprocess.DEVNULL)

    def send(self):
        """The checkout as git sees it, changes included, in place of an earlier one."""
        names = subprocess.run(["git", "-C", CHECKOUT, "ls-files", "-z", "--cached", "--others",
                                "--exclude-standard", "--deduplicate"], check=True,
                               capture_output=True).stdout.split(b"\0")
        top = os.fsencode(CHECKOUT) + b"/"
        names = [name for name in names if name and os.path.lexists(top + name)]
        with tempfile.TemporaryFile() as tar:
            subprocess.run(["tar", "-C", CHECKOUT, "--null", "--verbatim-files-from", "-T", "-",
                            "-c"], input=b"\0".join(names), stdout=tar, check=True)
            tar.seek(0)
            # The services of a kept disk would write there meanwhile.
            clear = ("systemctl --user stop crabcan-book crabcan-lab 2>/dev/null; "
                     "find /vagrant -mindepth 1 -maxdepth 1 ! -name .venv -exec rm -rf {} +")
            if self.ssh(f"{clear} && tar -xC /vagrant", stdin=tar):
                raise Failure("the checkout could not be copied into the guest")

    def power_off(self):
        self.ssh("sudo systemctl poweroff", stderr=subprocess.DEVNULL)
        self.qemu.wait()

    def end(self):
        if self.qemu:
            self.qemu.kill()
            self.qemu.wait()

    def last_words(self):
        text = self.console.read_text(errors="replace") if self.console.exists() else ""
        return "\n".join(["The last lines of its console:", *text.splitlines()[-15:]])
