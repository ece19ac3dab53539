"""docker and containerd: a daemon of one's own, in a mount and a PID namespace of its own.

So its mounts, shims and containers are gone when its first process is, even if we are killed.
"""
import json
import os
import signal
import subprocess
import time

from . import image
from .base import Engine
from .errors import EngineError

APART = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--propagation", "private", "--pid",
         "--fork", "--kill-child=KILL", "--mount-proc", "sh", "-c"]
# Where shims and plugins keep their sockets, whatever the daemon is told; and a process 1 that
# collects whoever has ended.
FIRST = """
for place in /run/containerd /run/docker; do
    [ -d $place ] || mkdir -p $place
    mount -t tmpfs tmpfs $place
done
"$@" &
trap "kill -TERM $!" TERM INT
while kill -0 $! 2>/dev/null; do wait $!; done
"""
PATIENCE = 40  # seconds for a daemon to begin or to end


class Daemon(Engine):
    """An engine that is a daemon, and a program that talks to it through a socket."""

    def start(self):
        self.socket, self.log = self.folder / "socket", self.folder / "log"
        with open(self.log, "w") as log:
            self.daemon = subprocess.Popen([*APART, FIRST, "sh", *self.words()], env=self.environment,
                                           stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                           start_new_session=True, cwd="/")
        end = time.monotonic() + PATIENCE
        while not self.ready():
            if self.daemon.poll() is not None or time.monotonic() > end:
                raise EngineError(f"{self.name}: its daemon does not begin here: {self.last()}")
            time.sleep(0.1)

    def last(self):
        """The last that the daemon said, for an error."""
        lines = [line for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        return lines[-1][-300:] if lines else "it said nothing"

    def words(self):
        """What starts the daemon."""
        raise NotImplementedError

    def ready(self):
        return self.socket.exists() and not self.call("version", seconds=20).returncode

    def stop(self):
        if getattr(self, "daemon", None) is None:
            return
        try:
            if self.daemon.poll() is None:
                self.end_containers()
        except EngineError:
            pass
        os.killpg(self.daemon.pid, signal.SIGKILL)  # the kernel ends the rest with their process 1
        self.daemon.wait()

    def end_containers(self):
        """Ends the containers in the usual way, so that the runtime removes what is theirs."""


class Docker(Daemon):
    """dockerd(8), without a network: that would change the machine's firewall."""
    name = "docker"
    packages = {"dockerd": "docker.io", "docker": "docker.io", "containerd": "containerd"}

    def words(self):
        settings = self.folder / "daemon.json"
        settings.write_text(json.dumps({"runtimes": {"crabcan": {"path": str(self.uses)}},
                                        "default-runtime": "crabcan"}))
        (self.folder / "client").mkdir()
        self.environment |= {"DOCKER_HOST": f"unix://{self.socket}", "DOCKER_CONFIG": f"{self.folder}/client"}
        return ["dockerd", "--config-file", str(settings), "--data-root", f"{self.folder}/data",
                "--exec-root", f"{self.folder}/exec", "--pidfile", f"{self.folder}/pid",
                "--host", f"unix://{self.socket}", "--storage-driver", "vfs", "--bridge", "none",
                "--cgroup-parent", self.parent, "--exec-opt", "native.cgroupdriver=cgroupfs",
                *(f"--{what}=false" for what in ("iptables", "ip6tables", "ip-forward", "ip-masq"))]

    def load(self):
        self.must("load", "--input", self.image())

    def command(self, *words):
        return ["docker", *words]

    def shown(self, words):
        return ["run", "--rm", "--network", "none", image.NAME, *words]

    def end_containers(self):
        for name in self.call("ps", "--all", "--quiet").stdout.split():
            self.call("rm", "--force", name)


class Containerd(Daemon):
    """containerd(8), and ctr(8), which talks to it."""
    name = "containerd"
    packages = {"containerd": "containerd", "ctr": "containerd"}

    def words(self):
        settings = self.folder / "config.toml"
        settings.write_text(f"""version = 2
root = "{self.folder}/data"
state = "{self.folder}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "{self.socket}"
[plugins."io.containerd.internal.v1.opt"]
path = "{self.folder}/opt"
""")
        return ["containerd", "--config", str(settings)]

    def load(self):
        self.must("images", "import", "--snapshotter", "native", self.image())

    def command(self, *words):
        return ["ctr", "--address", str(self.socket), *words]

    def shown(self, words, *options, name="shown"):
        return ["run", "--rm", "--snapshotter", "native", "--cgroup", f"{self.parent}/{name}",
                "--fifo-dir", f"{self.folder}/fifo", "--runc-binary", str(self.uses), *options, image.NAME, name, *words]

    def end_containers(self):
        for name in self.call("tasks", "ls", "--quiet").stdout.split():
            self.call("tasks", "kill", "--signal", "KILL", "--all", name)
            self.call("tasks", "delete", "--force", name)
