"""What the checks of a class stand on: what was seen is said, and the machine is listed."""
import json
import re
import subprocess
import sys
import time
from glob import glob
from pathlib import Path

NAMES = ("learner01", "learner02", "learner03")
PLAIN = "http://127.0.0.1:8000"
CHECKOUT = Path(__file__).resolve().parents[2]
BEFORE = Path("/var/tmp/before-the-class.json")
AWAY = ("/proc", "/sys", "/dev", "/run", "/tmp", "/var/log", "/var/cache", "/var/tmp", "/var/lib/systemd",
        "/var/lib/apt", "/var/lib/dpkg", "/root/.cache", str(CHECKOUT))
ASKED = ("cat /etc/passwd /etc/group /etc/subuid /etc/subgid", "nft list ruleset", "ip -br link", "ip netns",
         "dpkg-query -W -f '${binary:Package} ${db:Status-Abbrev}\\n'", "systemctl list-unit-files --no-legend",
         "losetup -a", "sysctl -a 2>/dev/null | grep -E 'userns|ip_forward'", "grep -v cgroup /proc/mounts")
failed = []


def say(good, what, told=""):
    print(f"{'ok  ' if good else 'FAIL'} {what}" + f": {told.strip()[-600:]}" * (not good and bool(told)), flush=True)
    if not good:
        failed.append(what)


def verdict():
    """An exit status, and what it is for."""
    print(f"{len(failed)} failed: {'; '.join(failed)}" if failed else "the class keeps what it promises", flush=True)
    return int(bool(failed))


def shell(line):
    return subprocess.run(line, shell=True, text=True, capture_output=True)


def workshop(*words):
    """`workshop class` with these words must succeed; what it printed."""
    begun = time.monotonic()
    done = subprocess.run([CHECKOUT / "workshop", "class", *words], text=True, capture_output=True, cwd=CHECKOUT)
    say(done.returncode == 0, f"workshop class {' '.join(words)} ({time.monotonic() - begun:.0f} s)",
        done.stdout[-300:] + done.stderr)
    return done.stdout


def patient(question, seconds=300):
    """Whether it comes to be true, within so many seconds."""
    until, last = time.monotonic() + seconds, "it was never true"
    while time.monotonic() < until:
        try:
            if question():
                return True
        except Exception as error:
            last = repr(error)
        time.sleep(2)
    print(f"     {last}")
    return False


def learner(name, address=PLAIN, root=None):
    sys.path += glob(f"{CHECKOUT}/.venv/lib/python*/site-packages")  # the class's: this runs before there is any
    from learners import Learner
    return Learner(address, name, "room", f"own {name}", root)


def people(names=NAMES, address=PLAIN, root=None):
    """Learners who are in, each with a server that answers."""
    found = [learner(name, address, root) for name in names]
    for one in found:
        begun = time.monotonic()
        status, error = one.login()
        one.server()
        say(status == 200 and not error, f"{one.name} comes in ({time.monotonic() - begun:.0f} s)", error)
    return found


def pid(name):
    return shell(f"systemctl show -P MainPID crabcan-class-{name}").stdout.strip()


def listing():
    """What is on the machine: files, accounts, units, links, rules, settings."""
    prune = " -o ".join(f"-path {path}" for path in AWAY)
    found = shell(f"find / -xdev \\( {prune} \\) -prune -o -printf '%p %U:%G %m %l\\n'").stdout.splitlines()
    for line in ASKED:
        found += [f"{line}: {one}" for one in shell(line).stdout.splitlines()]
    return {re.sub(r" +", " ", line) for line in found if "__pycache__" not in line}


def remember():
    BEFORE.write_text(json.dumps(sorted(listing())))


def compare():
    """What --remove left or took is said."""
    before, after = set(json.loads(BEFORE.read_text())), listing()
    say(before == after, "--remove leaves nothing", "\n".join([f"new: {line}" for line in sorted(after - before)[:20]]
                                                            + [f"gone: {line}" for line in sorted(before - after)[:20]]))
    BEFORE.unlink()
