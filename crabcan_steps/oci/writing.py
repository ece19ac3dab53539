"""What `crabcan run` would run, written down as a bundle: the container is its file.

The layers of chapters 3 to 8 prepare themselves as for a start, and what they have decided is said in
the specification's words.
"""
import json
import os
import stat

from .. import __version__, linux
from ..ch03_hostname import Hostname
from ..ch05_namespaces import Identity, Users
from ..ch06_caps import Choice
from ..ch07_seccomp import files
from ..ch08_cgroups import RLIMITS, UNLIMITED
from ..layer import Undo, warn
from ..mounts import furniture
from ..mounts.parts import DEVICE, Bind, Entry, FileSystem
from ..seccomp.profile import resolved
from .last import NAME_OF_FILE
from .onefilter import merged
from .state import Refused

WORDS = ((1, "ro"), (2, "nosuid"), (4, "nodev"), (8, "noexec"))  # MOUNT_ATTR_*
SPACES = ("pid", "uts", "mount", "user", "ipc", "network", "cgroup")
PERIOD = 100_000  # microseconds


def bundle_of(spec, root, identity=Identity):
    """The configuration (a dict) of a Spec, whose root file system will be at `root`."""
    with Undo() as undo:
        users, identity = Users(), identity()
        for layer in Hostname(), users, identity, Choice():
            layer.prepare(spec, undo)
    kept = sorted(f"CAP_{name}" for name in spec.kept)
    return {
        "ociVersion": "1.0.2",
        "process": {
            "terminal": os.isatty(0) and os.isatty(1), "cwd": spec.workdir, "noNewPrivileges": True,
            "user": {"uid": identity.uid, "gid": identity.gid, "additionalGids": list(identity.groups)}, "args": list(spec.command) or ["/bin/sh"],
            "env": [f"{name}={value}" for name, value in spec.environment().items()],
            "capabilities": {which: kept for which in ("bounding", "effective", "permitted",
                                                       "inheritable", "ambient")},
            "rlimits": list(rlimits(spec))},
        "root": {"path": root, "readonly": spec.read_only},
        "hostname": spec.hostname, "mounts": list(mounts(spec)),
        "annotations": {"org.opencontainers.image.ref.name": f"crabcan {__version__}"},
        "linux": {
            "namespaces": [{"type": kind} for kind in SPACES],
            **{f"{kind}Mappings": [{"containerID": inside, "hostID": outside, "size": count}
                                   for inside, outside, count in users.maps[kind]]
               for kind in ("uid", "gid")},
            "resources": resources(spec), "seccomp": seccomp(spec),
            "sysctl": {"net.ipv4.ip_unprivileged_port_start": "0",
                       "net.ipv4.ping_group_range": f"0 {spec.ids - 1}"},
            "maskedPaths": list(furniture.HIDDEN), "readonlyPaths": list(furniture.STEERING)}}


def rlimits(spec):
    """Chapter 8's, in the specification's words; no higher than our own."""
    import resource
    asked = {name: (soft, hard) for name, soft, hard in spec.ulimit}
    wanted = {name: (value, value) for name, value in (RLIMITS | {"NOFILE": spec.nofile}).items()}
    for name, pair in (wanted | asked).items():
        own = resource.getrlimit(getattr(resource, f"RLIMIT_{name}"))[1]
        soft, hard = (own if value == UNLIMITED or own != UNLIMITED and value > own else value
                      for value in pair)
        if (soft, hard) != (UNLIMITED, UNLIMITED):
            yield {"type": f"RLIMIT_{name}", "soft": soft, "hard": hard}


def resources(spec):
    """Chapter 8's limits. An ordinary user of version 1 has none to give."""
    found = {"devices": [{"allow": False, "access": "rwm"}, *map(usable, spec.device)]}
    if spec.memory is not None:
        found["memory"] = {"limit": spec.memory, "swap": spec.memory_swap or spec.memory}
    if spec.pids is not None:
        found["pids"] = {"limit": spec.pids}
    if spec.cpus is not None:
        found["cpu"] = {"quota": int(spec.cpus * PERIOD), "period": PERIOD}
    if os.geteuid() and not os.path.exists("/sys/fs/cgroup/cgroup.controllers"):
        warn("--write-bundle: without limits of a cgroup: version 1 gives an ordinary user none")
        return {}
    return found


def usable(device):
    """The rule that a device of --device needs."""
    status = os.stat(device[0])
    return {"allow": True, "type": "b" if stat.S_ISBLK(status.st_mode) else "c", "access": "rwm",
            "major": os.major(status.st_rdev), "minor": os.minor(status.st_rdev)}


def seccomp(spec):
    """Chapter 7's filter as the one that a bundle has. What is conditional in the user's is decided
    now: another runtime would pass over the condition."""
    lists = []
    for path, own in files(spec.seccomp):
        source = linux.read(path, False)
        lists.append(json.loads(source if own else resolved(source, spec.kept, linux.uname())))
    if len(lists) == 2:
        return merged(*lists)
    return lists[0] if lists else {"defaultAction": "SCMP_ACT_ALLOW"}


def mounts(spec):
    """Chapter 4's parts; what a runtime makes anyway, such as the devices, is left out."""
    parts = [*furniture.furniture(), *furniture.places(spec)]
    parts += [Bind(host, target, DEVICE) for host, target in spec.device]
    parts += [Bind(os.path.realpath(host), target, 3 if read_only else 2)
              for host, target, read_only in spec.add]
    if spec.mount is None:
        parts[:0] = [part for part in furniture.own_root(spec)[1] if isinstance(part, Bind)]
    made = {"/dev/" + name for name in furniture.DEVICES}
    for part in parts:
        if isinstance(part, Bind) and part.target not in made:
            yield {"destination": part.target, "source": part.source, "type": "bind",
                   "options": ["rbind", "rprivate", *words(part.attributes | os.statvfs(part.source).f_flag)]}
        elif isinstance(part, FileSystem):
            yield {"destination": part.target, "source": part.fstype, "type": part.fstype,
                   "options": words(part.attributes) + [f"{key}={value}" for key, value in part.settings.items()]}


def words(bits):
    """Options of a mount. What the host's own mount forbids is said, too: a runtime that sets all that
    it is told and nothing else would ask for less, which a user namespace must not."""
    return [word for bit, word in WORDS if bits & bit]


def write(spec, folder):
    """Writes config.json and, if the root is our own, rootfs/ into a directory that is not there yet."""
    for option, value in (("--layers", spec.layers != "all"), ("--init", spec.init), ("--io-weight", spec.io_weight),
                          ("--net", spec.net != "none")):
        if value:
            raise Refused(f"--write-bundle: a bundle cannot say what {option} says")
    try:
        os.mkdir(folder)
    except FileExistsError:
        if os.listdir(folder):
            raise Refused(f"--write-bundle {folder}: is there, and not empty") from None
    if spec.mount:
        warn("--write-bundle: a bundle cannot say that owners are shifted: files of the host's root "
             "belong to nobody in there, unless you chown them")
    config = bundle_of(spec, os.path.realpath(spec.mount) if spec.mount else "rootfs")
    if not spec.mount:
        owner = config["linux"]["uidMappings"][0]["hostID"]
        furnish(f"{folder}/rootfs", furniture.own_root(spec)[1], owner)
    with open(f"{folder}/{NAME_OF_FILE}", "x") as file:
        json.dump(config, file, indent=2)
        file.write("\n")


def furnish(root, parts, owner):
    """The directories, links and small files of our own root, as files; they are the container root's."""
    os.mkdir(root, 0o755)
    made = [root]
    for part in parts:
        path = root + part.target
        if isinstance(part, Entry) and part.link is not None:
            os.symlink(part.link, path)
        elif isinstance(part, Entry) and part.text is not None:
            with open(path, "x") as file:
                file.write(part.text)
        elif isinstance(part, Entry):
            os.mkdir(path)
            os.chmod(path, part.mode)
        elif os.path.isdir(part.source):
            os.makedirs(path, exist_ok=True)
        else:
            open(path, "x").close()
        made.append(path)
    if os.geteuid() == 0:
        for path in made:
            os.chown(path, owner, owner, follow_symlinks=False)
