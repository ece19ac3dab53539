#!/usr/bin/env python3
"""Proves `./workshop class` on a machine with systemd that may be broken, as root: from nothing to nothing.

    workshop guest --timeout 7200 --memory 4G --setup 'sudo tools/vm/class_check.py' sudo tools/vm/class_check.py after

The first half makes a class of three from a checkout where nothing was set up yet: sessions, attacks, kills,
certificates, idle servers. It ends as a machine does whose plug is pulled. The second half looks whether all is there
after the start, without a network, and takes the class away. Words: which parts, of those named in HALVES."""
import os
import sys
import time

sys.dont_write_bytecode = True
import class_after  # noqa: E402
import class_door  # noqa: E402
from class_ground import NAMES, PLAIN, patient, people, pid, remember, say, shell, verdict, workshop  # noqa: E402

SMALL = ("--password", "room", "--teacher-password", "boss", "--disk", "300", "--memory", "600")


def made():
    """The two commands of the page. The first installs what any command does, and stays: so it comes before the list."""
    begun = time.monotonic()
    said = workshop("--learners", "3", *SMALL, "--dry-run")
    say("would account class-learner03" in said and not os.path.exists("/etc/crabcan-class"), "--dry-run only says", said)
    installed = time.monotonic() - begun
    remember()
    begun = time.monotonic()
    workshop("--learners", "3", *SMALL)
    people(NAMES[:1])
    say(True, f"from a clone to the first login: {installed + time.monotonic() - begun:.0f} s")


def sessions():
    for one in (all_of_them := people()):
        one.run(f"mark = {one.name!r}; open('../secret.txt', 'w').write('treasure')")
    other = type(all_of_them[0])(PLAIN, NAMES[0], "room", "guess")
    say(other.login()[0] == 403, "nobody comes in with another's name")
    return all_of_them


def work():
    """Checks of chapters, and a container with limits."""
    one = people(NAMES[1:2])[0]
    for number, name in ((3, "hostname"), (8, "cgroups")):
        said = one.shell(f"cp /opt/crabcan-class/crabcan_steps/ch{number:02}_{name}.py ~/my-container/ && workshop check "
                         f"{number} --dir ~/my-container")
        say("exercises 1 and 2 passed" in said, f"check {number} from a cell", said)
    said = one.shell("crabcan run --memory 32m --pids 20 -- sh -c 'cat /sys/fs/cgroup/memory.max; id -u'")
    say("33554432" in said, "a container with limits, without root (chapter 8)", said)
    said = one.shell("cd ~/my-container && workshop pack && python3 -m zipfile -l my-container.zip")
    say("my-container/ch03_hostname.py" in said, "workshop pack", said)


def attack():
    from class_attacks import attacks
    one, other = sessions()[:2]
    for name, line, yes, no in attacks(other.name, 2, pid(other.name)):
        said = one.shell(line, 900)
        begun = time.monotonic()
        alive = other.run("print(mark)").strip() == other.name
        say(alive and all(word in said for word in yes) and not any(word in said for word in no),
            f"{name} (the other's cell meanwhile: {time.monotonic() - begun:.1f} s)", said)


def kills():
    """kill -9 in the middle: of the Hub, of the door, of a learner's server. And the class is made once more."""
    one = sessions()[1]
    for unit in ("crabcan-class", "crabcan-class-proxy"):
        shell(f"systemctl kill -s KILL {unit}")
        say(patient(lambda: one.run("print(mark)").strip() == one.name), f"kill -9 of {unit}: the kernel has its variables")
    workshop("--learners", "4")
    say(patient(lambda: one.run("print(mark)").strip() == one.name), "one learner more: who works is not disturbed")
    shell(f"kill -9 {pid(one.name)}")
    one.kernel = None
    say(patient(lambda: one.server() or "treasure" in one.run("print(open('../secret.txt').read())")),
        "kill -9 of a learner's server: the work is there")


HALVES = {"before": (made, work, attack, kills, class_door.certificates, class_door.idle, class_after.unplugged),
          "after": (class_after.restarted, class_after.stopped, class_after.removed)}


def main(words):
    parts = {part.__name__: part for half in HALVES.values() for part in half}
    for word in words or ["before"]:
        for part in HALVES.get(word) or [parts[word]]:
            print(f"-- {part.__name__}", flush=True)
            part()
    return verdict()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
