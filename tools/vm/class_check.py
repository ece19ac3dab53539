#!/usr/bin/env python3
"""Proves `./workshop class` on a machine with systemd, as root: real sessions, attacks, kills, and nothing left.

    workshop guest --timeout 7200 --memory 4G --setup './workshop setup && sudo tools/vm/class_check.py'
"""
import os
import re
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent.parent
PYTHON = CHECKOUT / ".venv/bin/python"
NAMES = ("learner01", "learner02", "learner03")
AWAY = ("/proc", "/sys", "/dev", "/run", "/tmp", "/var/log", "/var/cache", "/var/tmp", "/var/lib/systemd",
        "/var/lib/apt", "/var/lib/dpkg", "/root/.cache", str(CHECKOUT))
failed = []


def say(good, what, told=""):
    print(f"{'ok  ' if good else 'FAIL'} {what}" + f": {told.strip()[-600:]}" * (not good and bool(told)), flush=True)
    if not good:
        failed.append(what)


def shell(line):
    return subprocess.run(line, shell=True, text=True, capture_output=True)


def listing():
    """What is on the machine: files, accounts, units, links, rules, settings."""
    prune = " -o ".join(f"-path {path}" for path in AWAY)
    found = shell(f"find / -xdev \\( {prune} \\) -prune -o -printf '%p %U:%G %m %l\\n'").stdout.splitlines()
    for line in ("cat /etc/passwd /etc/group /etc/subuid /etc/subgid", "nft list ruleset", "ip -br link", "ip netns",
                 "dpkg-query -W -f '${binary:Package} ${db:Status-Abbrev}\\n'", "systemctl list-unit-files --no-legend",
                 "losetup -a", "sysctl -a 2>/dev/null | grep -E 'userns|ip_forward'", "grep -v cgroup /proc/mounts"):
        found += [f"{line}: {one}" for one in shell(line).stdout.splitlines()]
    return {re.sub(r" +", " ", line) for line in found if "__pycache__" not in line}


def workshop(*words):
    begun = time.monotonic()
    done = subprocess.run([CHECKOUT / "workshop", "class", *words], text=True, capture_output=True, cwd=CHECKOUT)
    say(done.returncode == 0, f"workshop class {' '.join(words)} ({time.monotonic() - begun:.0f} s)",
        done.stdout[-300:] + done.stderr)
    return done.stdout


def pid(name):
    return shell(f"systemctl show -P MainPID crabcan-class-{name}").stdout.strip()


def sessions():
    """All learners, at work."""
    from learners import Learner
    people = [Learner("http://127.0.0.1:8000", name, "room", f"own {name}") for name in NAMES]
    for one in people:
        begun = time.monotonic()
        status, error = one.login()
        one.server()
        say(status == 200 and not error, f"{one.name} comes in ({time.monotonic() - begun:.0f} s)", error)
        one.run(f"mark = {one.name!r}; open('../secret.txt', 'w').write('treasure')")
    say(Learner("http://127.0.0.1:8000", NAMES[0], "room", "guess").login()[0] == 403, "nobody comes in with another's name")
    return people


def work(people):
    """Each chapter's check, and a container with limits."""
    one = people[1]
    for number, name in ((3, "hostname"), (8, "cgroups")):
        said = one.shell(f"cp /opt/crabcan-class/crabcan_steps/ch{number:02}_{name}.py ~/my-container/ && workshop check "
                         f"{number} --dir ~/my-container")
        say("exercises 1 and 2 passed" in said, f"check {number} from a cell", said)
    said = one.shell("crabcan run --memory 32m --pids 20 -- sh -c 'cat /sys/fs/cgroup/memory.max; id -u'")
    say("33554432" in said, "a container with limits, without root (chapter 8)", said)
    said = one.shell("cd ~/my-container && workshop pack && python3 -m zipfile -l my-container.zip")
    say("my-container/ch03_hostname.py" in said, "workshop pack", said)


def attack(people):
    from class_attacks import attacks
    one, other = people[0], people[1]
    for name, line, yes, no in attacks(other.name, 2, pid(other.name)):
        said = one.shell(line, 900)
        begun = time.monotonic()
        alive = other.run("print(mark)").strip() == other.name
        say(alive and all(word in said for word in yes) and not any(word in said for word in no),
            f"{name} (the other's cell meanwhile: {time.monotonic() - begun:.1f} s)", said)


def kills(people):
    """kill -9 in the middle: of the Hub, of the door, of a learner's server."""
    one = people[1]
    for unit in ("crabcan-class", "crabcan-class-proxy"):
        shell(f"systemctl kill -s KILL {unit}")
        say(patient(lambda: one.run("print(mark)").strip() == one.name), f"kill -9 of {unit}: the kernel has its variables")
    shell(f"kill -9 {pid(one.name)}")
    one.kernel = None
    say(patient(lambda: one.server() or "treasure" in one.run("print(open('../secret.txt').read())")),
        "kill -9 of a learner's server: the work is there")


def patient(question, seconds=300):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if question():
                return True
        except Exception as error:
            last = error
        time.sleep(2)
    print(f"     {last!r}")
    return False


def main():
    sys.path.insert(0, str(HERE))
    before = listing()
    workshop("--learners", "3", "--password", "room", "--teacher-password", "boss", "--disk", "300", "--memory", "600")
    people = sessions()
    work(people)
    attack(people)
    kills(people)
    workshop("--backup", "/tmp/work.tar.gz")
    say("./learner02/my-container/secret.txt" in shell("tar -tzf /tmp/work.tar.gz").stdout, "the backup has the work")
    workshop("--stop")
    workshop("--start")
    say(patient(lambda: people[1].login()[0] == 200), "after --stop and --start people come in")
    workshop("--remove", "--yes")
    after = listing()
    say(before == after, "--remove leaves nothing", "\n".join([f"new: {line}" for line in sorted(after - before)[:20]]
                                                            + [f"gone: {line}" for line in sorted(before - after)[:20]]))
    os.remove("/tmp/work.tar.gz")
    print(f"{len(failed)} failed: {'; '.join(failed)}" if failed else "the class keeps what it promises")
    return bool(failed)


if __name__ == "__main__":
    if Path(sys.prefix) != PYTHON.parent.parent:
        os.execv(PYTHON, [PYTHON, *sys.argv])
    sys.exit(main())
