"""What a network costs when a container starts, and how much goes through it, beside podman's.

All of it in network namespaces of its own: the host is one, and behind a cable is another with iperf3's
server in it. As root; where there is podman, with its bridge (CNI's or netavark's), too.
"""
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # for the part that runs apart
from common import FLAGS, LAUNCHER, clock, machine, progress, ratio, spread  # noqa: E402

SERVER, NOBODY, SECONDS = "192.0.2.1", 65534, 1
ALONE, FIRST, MORE = "crabcan, no network", "crabcan, --net bridge, first", "crabcan, --net bridge, another"
PODMAN, PODMAN_NET = "podman, no network", "podman, its bridge"
OURS, THEIRS = "through our bridge", "through podman's bridge"
USERS, THEIR_USERS = "through --net pasta", "through podman's pasta, or slirp4netns"
BY_HAND = "through the same pasta by hand"
SET_UP = f"""
mount -t tmpfs none /run && mount -t tmpfs none /dev/net && mknod -m 666 /dev/net/tun c 10 200
ip link set lo up
ip link add up0 type veth peer name eth0 netns $1
ip address add 192.0.2.2/24 dev up0 && ip link set up0 up && ip route add default via {SERVER}
nsenter --target $1 --net sh -c 'ip link set lo up; ip address add {SERVER}/24 dev eth0; ip link set eth0 up'
"""
SETTINGS = """[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
tmp_dir = "{0}/tmp"
[network]
network_config_dir = "{0}/networks"
"""
STORAGE = '[storage]\ndriver = "vfs"\ngraphroot = "{0}/graph"\nrunroot = "{0}/run"\n'


def podman(folder):
    """The words before a network's name, and those behind it: a root of links, and the host's /usr."""
    root = folder / "root"
    for name in ("usr", "proc", "dev", "etc", "sys", "tmp"):
        (root / name).mkdir(parents=True)
    for name in ("bin", "lib", "lib64", "sbin"):
        (root / name).symlink_to(f"usr/{name}")
    for name, text in ("containers", SETTINGS), ("storage", STORAGE):
        (folder / f"{name}.conf").write_text(text.format(folder))
        os.environ[f"CONTAINERS{'_STORAGE' * (name == 'storage')}_CONF"] = str(folder / f"{name}.conf")
    return ["podman", "run", "--rm", "--network"], ["-v", "/usr:/usr:ro", "--rootfs", str(root)]


def commands(folder):
    """(what starts, what iperf3 goes through): name -> the words before the program's."""
    ours, user = [*LAUNCHER, "run", "--net"], ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    starts = {ALONE: [*ours, "none"], MORE: [*ours, "bridge"]}
    ways = {OURS: [*ours, "bridge"]}
    if shutil.which("podman"):
        before, behind = podman(folder)
        starts |= {PODMAN: [*before, "none", *behind], PODMAN_NET: [*before, "bridge", *behind]}
        ways |= {THEIRS: [*before, "bridge", *behind]}
    if shutil.which("pasta"):
        closed = ["--config-net", "--quiet", "--no-map-gw", *"-t none -u none -T none -U none".split(), "--"]
        ways |= {USERS: [*user, *ours, "pasta"], BY_HAND: [*user, "pasta", *closed]}
    if shutil.which("podman"):
        version = tuple(map(int, call(["podman", "--version"])[1].split()[-1].split(".")[:2]))
        ways |= {THEIR_USERS: [*before, "pasta" if version >= (4, 4) else "slirp4netns", *behind]}
    return starts, ways


def call(words):
    """Seconds that a command takes, and what it prints. Exits if it fails."""
    begin = clock()
    try:
        result = subprocess.run(words, stdin=subprocess.PIPE, capture_output=True, text=True, timeout=30)
    except subprocess.TimeoutExpired:
        sys.exit(f"{' '.join(words)}: no end")
    seconds = clock() - begin
    if result.returncode:
        sys.exit(f"{' '.join(words)}: {(result.stdout + result.stderr)[-400:]}")
    return seconds, result.stdout


def through(words):
    """Gbit/s, from the container to the server."""
    said = json.loads(call([*words, "iperf3", "--json", "--time", str(SECONDS), "--client", SERVER])[1])
    if "error" in said:
        sys.exit(said["error"])
    return said["end"]["sum_received"]["bits_per_second"] / 1e9


def able(ways, measured):
    """Those that run here; the others with their last words."""
    for name, words in list(ways.items()):
        try:
            measured(words)
        except SystemExit as error:
            yield f"does not run here: {name}: {str(error).strip().splitlines()[-1][-160:]}"
            del ways[name]


def rounds_of(ways, measured, rounds):
    """name -> values; each round has one turn of each, so that all have the same noise."""
    values = {name: [] for name in ways}
    for turn in range(rounds):
        for name, words in ways.items():
            progress(f"network: {name}, {turn + 1} of {rounds}")
            values[name].append(measured(words))
    return values


def inside(rounds):
    """In namespaces of our own: measures, and returns all values by their names, and the notes."""
    processes = []

    def begin(*words):
        processes.append(subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                          stderr=subprocess.DEVNULL))
        time.sleep(0.5)
        return str(processes[-1].pid)

    def start(words):
        return call([*words, "/bin/true"])[0]
    try:
        world = begin("unshare", "--net", "sleep", "3600")
        subprocess.run(["sh", "-ec", SET_UP, "sh", world], check=True)
        begin("nsenter", "--target", world, "--net", "iperf3", "--server")
        with tempfile.TemporaryDirectory(prefix="crabcan-bench-") as folder:
            starts, ways = commands(Path(folder))
            notes = [*able(starts, start), *able(ways, through)]
            first = rounds_of({FIRST: starts[MORE]}, start, rounds)
            begin(*starts[MORE], "sleep", "3600")  # one that stays, while the others come and go
            return first | rounds_of(starts, start, rounds) | rounds_of(ways, through, min(rounds, 5)), notes
    finally:
        for process in reversed(processes):
            process.kill()
            process.wait()


def measure(rounds):
    """The report."""
    missing = [name for name in ("iperf3", "nft", "ip") if not shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")]
    if os.geteuid() != 0 or missing:
        return {"about": "What a network costs", "machine": machine(), "rows": {}, "ratios": {},
                "notes": [f"wants {' and '.join(missing) or 'root'}"]}
    result = subprocess.run(["unshare", "--net", "--mount", sys.executable, *FLAGS,
                             __file__, str(rounds)], stdout=subprocess.PIPE, text=True, timeout=600)
    if result.returncode:
        sys.exit("network: could not be measured")
    found, notes = json.loads(result.stdout.splitlines()[-1])
    return report(found, notes, rounds)


def report(found, notes, rounds):
    rows = {name: spread(values) for name, values in found.items() if not name.startswith("through")}
    rows |= {name: spread([value / 1000 for value in values]) for name, values in found.items()
             if name.startswith("through")}  # as if seconds
    cost = {who: statistics.median(found[more]) - statistics.median(found[none])
            for who, none, more in (("crabcan", ALONE, MORE), ("podman", PODMAN, PODMAN_NET)) if none in found and more in found}
    notes = [*(f"a network costs {who} {1000 * seconds:.1f} ms" for who, seconds in cost.items()), *notes]
    ratios = {}
    if "podman" in cost:
        ratios["a network: ours / podman's"] = {"ratio": cost["crabcan"] / cost["podman"], "aim": 0.25}
    for name, ours, theirs in ("bridge: podman's Gbit/s / ours", OURS, THEIRS), \
            ("a user's: podman's Gbit/s / ours", USERS, THEIR_USERS), ("a user's: by hand / ours", USERS, BY_HAND):
        if ours in found and theirs in found:
            ratios[name] = ratio(found[theirs], found[ours], 1.05)
    return {"about": f"Start to end of /bin/true with a network, milliseconds, {rounds} rounds; what goes through it, "
            "Gbit/s", "machine": machine(), "rows": rows, "ratios": ratios, "notes": notes}


if __name__ == "__main__":
    print(json.dumps(inside(int(sys.argv[1]))))
