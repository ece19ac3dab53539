"""How to start a command in other container runtimes, each with its own defaults.

All of their state goes to one temporary folder, so nothing of theirs is left behind, and nothing
that you run with them is touched.
"""
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

LINKS = ("bin", "sbin", "lib", "lib32", "lib64")
CGROUPS = Path("/sys/fs/cgroup")
# crun refuses a host that has both versions of cgroups: so it does not see version 2.
HIDE_UNIFIED = ["unshare", "--mount", "sh", "-c",
                'umount --lazy /sys/fs/cgroup/unified; exec "$@"', "sh"]


def usr_links():
    return {name: os.readlink(f"/{name}") for name in LINKS if os.path.islink(f"/{name}")}


def make_root(folder):
    """A root directory with nothing in it but where the host's /usr goes."""
    root = folder / "rootfs"
    for name in ("usr", "proc", "dev", "sys", "etc", "tmp", "run"):
        (root / name).mkdir(parents=True)
    for name, target in usr_links().items():
        (root / name).symlink_to(target)
    return root


def environment(folder):
    """Keeps what podman writes for a user in the folder as well."""
    for name in ("home", "run"):
        (folder / name).mkdir(mode=0o700, exist_ok=True)
    settings = {"HOME": str(folder / "home"), "XDG_DATA_HOME": "", "XDG_CONFIG_HOME": ""}
    return settings | {"XDG_RUNTIME_DIR": os.environ.get("XDG_RUNTIME_DIR", str(folder / "run"))}


def none(folder, words):
    return words


def crabcan(folder, words):
    return [sys.executable, "-m", "crabcan_steps", "run", "--", *words]


def runc(folder, words):
    """The bundle is what `runc spec` writes, with our command, no terminal, and /usr."""
    (folder / "config.json").unlink(missing_ok=True)
    rootless = [] if os.geteuid() == 0 else ["--rootless"]
    subprocess.run(["runc", "spec", *rootless], cwd=folder, check=True, capture_output=True)
    config = json.loads((folder / "config.json").read_text())
    config["process"] |= {"terminal": False, "args": words}
    config["mounts"].insert(0, {"destination": "/usr", "type": "bind", "source": "/usr",
                                "options": ["rbind", "ro"]})
    (folder / "config.json").write_text(json.dumps(config))
    return ["runc", "--root", f"{folder}/state", "run", "--bundle", str(folder), name(folder)]


def name(folder):
    return f"compare-{folder.name}"


def podman(folder, words, *options):
    # No network is asked for: the usual one would leave a bridge and firewall rules on the host.
    return [*podman_itself(folder), "run", "--rm", "--interactive", "--network", "none", *options,
            "--volume", "/usr:/usr:ro", "--rootfs", str(folder / "rootfs"), *words]


def podman_itself(folder):
    return ["podman", "--root", f"{folder}/podman", "--runroot", f"{folder}/podman-run",
            "--tmpdir", f"{folder}/podman-tmp", "--storage-driver", "vfs"]


def our_limits():
    """podman wants more open files than a root without CAP_SYS_RESOURCE may give."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return ["--ulimit", f"nofile={files}:{files}", "--ulimit", "nproc=4096:4096"]


def podman_runc(folder, words):
    return podman(folder, words, "--runtime", "runc")


def podman_ulimit(folder, words):
    return podman(folder, words, *our_limits())


def podman_ulimit_runc(folder, words):
    return podman(folder, words, "--runtime", "runc", *our_limits())


def podman_ulimit_hidden(folder, words):
    return HIDE_UNIFIED + podman_ulimit(folder, words)


def bwrap(folder, words):
    links = [word for name, target in usr_links().items()
             for word in ("--symlink", target, f"/{name}")]
    return ["bwrap", "--unshare-all", "--ro-bind", "/usr", "/usr", *links, "--proc", "/proc",
            "--dev", "/dev", "--tmpfs", "/tmp", *words]


# runtime: (its program, ways to start it, the nearest to its defaults first: (what to note, how))
RUNTIMES = {
    "no container": (None, [("", none)]),
    "crabcan": (None, [("", crabcan)]),
    "runc": ("runc", [("", runc)]),
    "podman": ("podman", [
        ("with --network none", podman),
        ("with --network none --runtime runc", podman_runc),
        ("with --network none and our own --ulimit", podman_ulimit),
        ("with --network none, cgroup v2 hidden from crun, our own --ulimit", podman_ulimit_hidden),
        ("with --network none --runtime runc and our own --ulimit", podman_ulimit_runc)]),
    "bubblewrap": ("bwrap", [("", bwrap)])}


def podman_groups():
    """podman's own directories in the trees of cgroups, deepest first; it never removes them."""
    # os.walk, not glob: that fails if somebody else's goes meanwhile.
    return [Path(path) for path, _, _ in os.walk(CGROUPS, topdown=False) if "/libpod_parent" in path]


def clean_up(folder, groups):
    """Ends what a killed runtime has left, and removes its cgroups; `groups` were there before."""
    if shutil.which("runc"):
        quietly("runc", "--root", f"{folder}/state", "delete", "--force", name(folder))
    if (folder / "podman").exists():
        settings = os.environ | environment(folder)
        quietly(*podman_itself(folder), "rm", "--all", "--force", env=settings)
    for file in folder.glob("podman-tmp/pause.pid"):  # holds an ordinary user's namespaces
        try:
            os.kill(int(file.read_text()), signal.SIGKILL)
        except (ProcessLookupError, ValueError):
            pass
    quietly(*crabcan(folder, ["true"]))  # sweeps after the one that was killed
    for path in podman_groups():
        if path not in groups:
            try:
                path.rmdir()
            except OSError:
                pass  # somebody else's now


def quietly(*command, **settings):
    subprocess.run(command, capture_output=True, timeout=60, **settings)
