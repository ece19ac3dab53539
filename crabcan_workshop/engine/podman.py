"""podman: no daemon. Each call reads its settings, does its work, and leaves conmon with the container."""
import os
import signal

from ..measure.peers import podman_groups
from . import image
from .base import Engine, files, remove

SETTINGS = """
[containers]
default_ulimits = ["nofile={files}:{files}", "nproc=4096:4096"]
netns = "none"
log_driver = "k8s-file"
[engine]
runtime = "crabcan"
cgroup_manager = "{cgroups}"
events_logger = "file"
image_default_transport = "docker://"
tmp_dir = "{folder}/tmp"
[engine.runtimes]
crabcan = ["{runtime}"]
"""
STORAGE = """
[storage]
driver = "vfs"
graphroot = "{folder}/graph"
runroot = "{folder}/run"
"""


class Podman(Engine):
    """podman(1), with settings and storage of its own."""
    name, root_only = "podman", False
    packages = {"podman": "podman", "conmon": "conmon"}

    def __init__(self, runtime, trace=True, cgroups="cgroupfs"):
        super().__init__(runtime, trace)
        self.cgroups = cgroups  # who makes them: podman and the runtime (cgroupfs), or systemd

    def start(self):
        self.groups = podman_groups()
        limit = min(files(), 1 << 20)
        for name, text in ("containers", SETTINGS), ("storage", STORAGE):
            (self.folder / f"{name}.conf").write_text(
                text.format(files=limit, folder=self.folder, runtime=self.uses, cgroups=self.cgroups))
        (self.folder / "registries.conf").write_text("")
        for name in "home", "user":
            (self.folder / name).mkdir(mode=0o700)
        self.environment |= {"HOME": str(self.folder / "home"),
                             "CONTAINERS_CONF": str(self.folder / "containers.conf"),
                             "CONTAINERS_STORAGE_CONF": str(self.folder / "storage.conf"),
                             "CONTAINERS_REGISTRIES_CONF": str(self.folder / "registries.conf"),
                             "XDG_CONFIG_HOME": str(self.folder / "home"),
                             "XDG_DATA_HOME": str(self.folder / "home")}
        own, bus = self.folder / "user", f"{os.environ.get('XDG_RUNTIME_DIR')}/bus"
        if os.path.exists(bus):  # where the user's systemd is asked for cgroups
            (own / "bus").symlink_to(bus)
            self.environment["DBUS_SESSION_BUS_ADDRESS"] = f"unix:path={own}/bus"
        self.environment["XDG_RUNTIME_DIR"] = str(own)

    def load(self):
        self.must("load", "--input", self.image())

    def command(self, *words):
        return ["podman", *words]

    def shown(self, words):
        """The call for one container of the image."""
        return ["run", "--rm", image.NAME, *words]

    def stop(self):
        for words in ("pod", "rm", "--all", "--force"), ("rm", "--all", "--force", "--time", "0"):
            try:
                self.call(*words)
            except OSError:
                pass
        if os.geteuid():  # some of it belongs to ids of its user namespace
            self.call("unshare", "rm", "-rf", self.folder / "home/containers", self.folder / "run")
        for place in "tmp", "user/libpod/tmp":  # podman 4's, podman 5's
            try:  # who holds an ordinary user's namespaces
                os.kill(int((self.folder / place / "pause.pid").read_text()), signal.SIGKILL)
            except (FileNotFoundError, ProcessLookupError, ValueError):
                pass

    def sweep(self):
        super().sweep()
        for path in podman_groups():
            if path not in self.groups:
                remove(path)
