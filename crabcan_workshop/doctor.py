"""What this machine can and cannot do for each chapter, and the cure for what it cannot."""
import ctypes.util
import importlib.util
import json
import os
import platform
import pwd
import subprocess
import sys
from pathlib import Path

from . import words

KERNEL = (5, 12)  # mount_setattr; the other calls are older
MACHINES = ("x86_64", "aarch64")
CGROUP = Path("/sys/fs/cgroup")
SETTINGS = {  # sysctl: the value that stops user namespaces
    "kernel.unprivileged_userns_clone": "0",
    "kernel.apparmor_restrict_unprivileged_userns": "1",
    "user.max_user_namespaces": "0",
}


WATCH = "and a check only looks ten times a second what memory your code takes"


def good(text):
    return True, text, ""


def bad(text, cure):
    return False, text, cure


def limited(text, cure):
    """Not a failure: the chapter runs, with less."""
    return None, text, cure


def version(text):
    """(6, 1) of 6.1.0-31-amd64: as numbers, for 4.18 is younger than 4.8."""
    words = text.split("-")[0].split(".")
    return int(words[0]), int("".join(c for c in words[1] if c.isdigit()) or 0)


def sysctl(name):
    try:
        return Path("/proc/sys", *name.split(".")).read_text().strip()
    except OSError:
        return None


def check_python():
    if sys.version_info < (3, 11):
        return bad(f"Python {platform.python_version()}", "the course wants 3.11 or newer")
    return good(f"Python {platform.python_version()}")


def check_kernel():
    if platform.system() != "Linux":
        return bad(platform.system(), "use the VM: vagrant up")
    if version(platform.release()) < KERNEL:
        return bad(f"Linux {platform.release()}", "5.12 or newer is needed: use the VM")
    return good(f"Linux {platform.release()}")


def check_machine():
    if platform.machine() not in MACHINES:
        return bad(platform.machine(), f"only {' and '.join(MACHINES)} have been tried")
    return good(platform.machine())


def attempt(*flags, command=("true",)):
    """Runs `true` in new namespaces, as chapters 2 to 5 do; its own words if that fails."""
    result = subprocess.run(["unshare", *flags, *command], capture_output=True, text=True)
    return (result.stderr.strip().splitlines() or ["?"])[-1] if result.returncode else ""


def check_users():
    for name, value in SETTINGS.items():
        if os.geteuid() != 0 and sysctl(name) == value:
            other = "0" if value == "1" else "1" if value == "0" and "clone" in name else "10000"
            return bad(f"{name} is {value}", f"sudo sysctl {name}={other}")
    words = attempt("--user", "--map-root-user", "--mount", "--pid", "--fork", "--mount-proc")
    if words:
        cure = "is a container around us? Then it must allow user namespaces and a full /proc"
        return bad(f"no user namespace: {words}", cure)
    return good("user namespaces, with a /proc of their own")


def check_clone():
    if os.geteuid() == 0:
        words = attempt("--pid", "--fork", "--uts", "--mount", "--ipc", "--net", "--cgroup")
        return bad(words, "root without CAP_SYS_ADMIN? Use the VM") if words else good(
            "namespaces, as root")
    return limited("not root: chapters 2 to 4 borrow a user namespace", "nothing to do")


FEW = "the container has one user only, and keeps your other groups"


def check_ids():
    if os.geteuid() == 0:
        return good("root maps the container to ids that nobody has")
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = str(os.getuid())
    missing = [p for p in ("/usr/bin/newuidmap", "/usr/bin/newgidmap") if not os.path.exists(p)]
    if missing:
        return limited(f"no {missing[0]}: {FEW}",
                       "sudo apt-get install uidmap")
    for file in ("/etc/subuid", "/etc/subgid"):
        try:
            lines = Path(file).read_text().splitlines()
        except OSError:
            lines = []
        if not any(line.split(":")[0] in (name, str(os.getuid())) for line in lines):
            return limited(f"{file} has no ids for {name}: {FEW}",
                           f"sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {name}")
    return good("a range of ids in /etc/subuid and /etc/subgid")


def check_time():
    return good("time namespaces") if os.path.exists("/proc/self/ns/time") else limited(
        "no time namespaces", "a kernel from 5.6 with CONFIG_TIME_NS; the chapter runs without")


def check_caps():
    if importlib.util.find_spec("prctl") is None:
        return bad("no python-prctl", "sudo apt-get install python3-prctl")
    return good("python-prctl")


def check_seccomp():
    if importlib.util.find_spec("pyseccomp") is None or not ctypes.util.find_library("seccomp"):
        return bad("no pyseccomp or libseccomp", f"{words.NAME} setup")
    actions = sysctl("kernel.seccomp.actions_avail")
    if not actions or "errno" not in actions:
        return bad("the kernel has no seccomp filters", "CONFIG_SECCOMP_FILTER, or the VM")
    if "\nSeccomp:\t0\n" not in Path("/proc/self/status").read_text(errors="surrogateescape"):
        return limited("a filter is active already, as in a container: two facts of the checks cannot be tried",
                       "nothing to do: they are left out; on a machine without one they are tried")
    return good("seccomp filters, libseccomp")


def check_cgroups():
    if (CGROUP / "cgroup.controllers").exists():
        return check_unified()
    if not (CGROUP / "memory").exists():
        return bad("no cgroups at /sys/fs/cgroup", "mount -t cgroup2 none /sys/fs/cgroup")
    if os.geteuid() != 0:
        return limited(f"cgroup version 1: limits for root only, {WATCH}",
                       "sudo, or the VM, which has version 2: then the kernel limits both")
    missing = [name for name in ("memory", "pids", "cpu") if not (CGROUP / name).exists()]
    if missing:
        return bad(f"cgroup version 1 without {', '.join(missing)}", "see cgroups(7)")
    return good("cgroup version 1: memory, pids, cpu")


def check_unified():
    path = CGROUP
    if os.geteuid() != 0:
        path = CGROUP / f"user.slice/user-{os.getuid()}.slice/user@{os.getuid()}.service"
        if not path.exists() or not os.environ.get("XDG_RUNTIME_DIR"):
            return limited(f"no systemd of your own (user@.service): no limits, {WATCH}",
                           f"log in through ssh or a console, or: sudo loginctl enable-linger {os.getuid()}")
        if not os.path.exists(os.environ["XDG_RUNTIME_DIR"] + "/bus"):
            return limited(f"no D-Bus of your own to ask systemd over: no limits, {WATCH}",
                           "sudo apt-get install dbus-user-session, and log in again")
    have = (path / "cgroup.controllers").read_text().split()
    missing = [name for name in ("memory", "pids", "cpu") if name not in have]
    if missing:
        return limited(f"cgroup version 2 without {', '.join(missing)}",
                       "systemctl edit user@.service: [Service] Delegate=memory pids cpu io")
    return good(f"cgroup version 2: {', '.join(have)}")


def check_overlay():
    known = "overlay" in Path("/proc/filesystems").read_text()
    return good("overlayfs") if known else limited(
        "overlayfs is not loaded", "sudo modprobe overlay; without it images are copied")


NETWORK = """
from crabcan_steps.net import addresses, bridge, links, rules
from crabcan_steps.net.netlink import Netlink
ours = Netlink()
links.add_bridge(ours, bridge.BRIDGE, addresses.mac_of("10.211.0", 1), 1500)
here = open("/proc/self/ns/net")
links.add_veth(ours, "crabcan2", bridge.BRIDGE, "eth0", here.fileno(), "02:cc:00:00:00:02", 1500)
network = {"range": "10.211.0", "prefix": None}
rules.Nft(rules.tables(bridge.words(network), ["ipv4"])).wait()
if open("/proc/sys/net/ipv4/ip_forward", "r+").write("1") != 1:
    raise OSError("ip_forward")
"""


NFT = ("/usr/sbin/nft", "/sbin/nft", "/usr/local/sbin/nft")


def there(*paths):
    return any(os.access(path, os.X_OK) for path in paths)


def check_bridge():
    """Tries all of it, in a network namespace of its own: a switch, a cable, rules, and ip_forward."""
    if not there(*NFT):
        return limited("no nft: no --net bridge, and no checks of this chapter", "sudo apt-get install nftables")
    user = () if os.geteuid() == 0 else ("--user", "--map-root-user")
    said = attempt(*user, "--net", command=[sys.executable, "-P", "-c", NETWORK])
    if "not supported" in said:
        return limited(f"this kernel cannot: {said}", "sudo modprobe -a bridge veth nf_tables")
    if "Read-only" in said:
        return limited("/proc/sys is read-only: are we in a container?", "one with --privileged, or the VM")
    if said:
        return limited(f"no bridge: {said}", "the VM; the chapter's code can be read without")
    if os.geteuid() == 0 and abandoned():
        return limited("crabcan0 is here, of containers that were killed together with who tidies up after them; "
                       "ip_forward may still be on", "crabcan run --net bridge true")
    return good("a bridge, cables, NAT")


def abandoned():
    """Tells whether there is a network of ours, and nobody has a lease in it any more."""
    from crabcan_steps.net.leases import Leases
    leases = Leases()
    if not os.path.exists(f"{leases.path}/network"):
        return False
    with leases:
        return not leases.living()


def check_way_out():
    """Who else filters packets here, for root; for a user the program in between."""
    if os.geteuid() != 0:
        if not there("/usr/bin/pasta", "/usr/bin/slirp4netns"):
            return limited("no pasta: a user's container has no way out", "sudo apt-get install passt")
        if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
            return limited("/dev/net/tun is not there for you: pasta needs it", "sudo chmod 666 /dev/net/tun")
        return good("pasta, for a user's container")
    if not there(*NFT):
        return limited("without nft nobody can tell what this machine's filters drop", "sudo apt-get install nftables")
    from crabcan_steps.net import bridge, firewall
    for obstacle in firewall.obstacles(firewall.look(), bridge.BRIDGE):
        text, _, cure = obstacle.partition(": allow it: ")
        return limited(text, cure)
    return good("no filter here drops what is forwarded")


CHECKS = ((0, check_kernel), (0, check_machine), (0, check_python),
          (2, check_clone), (5, check_users), (5, check_ids), (5, check_time), (6, check_caps),
          (7, check_seccomp), (8, check_cgroups), (11, check_bridge), (11, check_way_out), (12, check_overlay))


def main(options):
    """The command; 0 if every chapter can run here."""
    from rich.console import Console
    from rich.markup import escape
    console = Console(highlight=False, soft_wrap=True)
    results = []
    for chapter, check in CHECKS:
        try:
            passed, text, cure = check()
        except Exception as error:  # a doctor must not fall ill: an odd machine is a finding
            passed, text, cure = bad(f"{check.__name__}: {error}", "please tell us")
        results.append({"chapter": chapter, "ok": passed, "finding": text, "cure": cure})
        if options.json:
            continue
        sign = {True: "[green]ok[/]     ", None: "[yellow]limited[/]", False: "[red]no[/]     "}[passed]
        place = f"chapter {chapter:<2}" if chapter else "all       "
        console.print(f"{place}  {sign}  {escape(text)}")
        if not passed and cure != "nothing to do":
            console.print(f"{'':21}cure: [bold]{escape(cure)}[/]")
    if options.json:
        print(json.dumps(results, indent=1))
    return 1 if any(r["ok"] is False for r in results) else 0
