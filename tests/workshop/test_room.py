"""The learner cannot hurt the machine: whatever a chapter's file does, the host is as it was."""
import os
import subprocess
import time
from pathlib import Path

import pytest

from conftest import wait_for
from crabcan_workshop import exercises
from crabcan_workshop.room import patience
from test_exercises import check, complaints

pytestmark = pytest.mark.slow  # left out by --fast

CHAPTER = exercises.chapter(3)
SET = "        linux.sethostname(self.hostname)\n"
DEEDS = {  # what the learner's Hostname.child does -> what the check says would have happened
    "rm -rf /": ("os.system('rm -rf --no-preserve-root / 2>/dev/null')",
                 "files of your machine's would be gone"),
    "umount -l /": ("os.system('umount -l /')", ""),  # the kernel refuses: a room's root is locked
    "umount -l /usr": ("os.system('umount -l /usr')", "would have lost"),
    "mount over /etc": ("os.system('mount -t tmpfs none /etc')",
                        "mounts would have appeared on your machine"),
    "fork bomb": ("while True:\n            try: os.fork()\n            except OSError: pass",
                  "a fork bomb"),
    "endless loop": ("while True: pass", "still running after "),
    "ends everybody": ("os.system('kill -9 -1')", ""),
    "leaves somebody": ("os.spawnlp(os.P_NOWAIT, 'sleep', 'sleep', '77')", ""),
    "all the memory": ("hold = []\n        while True: hold.append(b'x' * (1 << 24))", ""),
    "hostname": (None, "your machine would now be called 'w"),
}


def text(deed):
    if deed is None:
        return CHAPTER.text.replace("    def child(self):\n" + SET,
                                    "    def parent(self, pid, undo):\n" + SET)
    return CHAPTER.text.replace(SET, f"        import os\n        {deed}\n{SET}")


def host(who):
    """What the deeds are after."""
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    return {"name": os.uname().nodename, "mounts": mounts, "root": sorted(os.listdir("/")),
            "usr": sorted(os.listdir("/usr/bin")),
            "home": sorted(os.listdir(who.environment["HOME"])),
            "shared": [line for line in mounts if "shared:" in line]}


@pytest.mark.parametrize("name", DEEDS)
def test_the_host_is_as_it_was(who, name):
    deed, says = DEEDS[name]
    before = host(who)
    data = check(who, 3, text(deed))
    assert host(who) == before
    if says:
        slow = "still running" if name == "rm -rf /" else says  # /usr is long, and read-only
        assert not data["good"]
        assert any(says in why or slow in why for why in complaints(data)), data
    assert subprocess.run(["pgrep", "-fx", "sleep 77"], capture_output=True).returncode == 1


def test_the_network_of_the_host_is_as_it_was(who):
    """Chapter 11's code makes bridges, rules and a router: on the room's own network, whoever asks."""
    def seen():
        said = [subprocess.run(words, capture_output=True, text=True).stdout for words in (
            ["ip", "-brief", "address"], ["ip", "route", "show", "table", "all"], ["nft", "list", "ruleset"])]
        return said, Path("/proc/sys/net/ipv4/ip_forward").read_text(), sorted(os.listdir("/run"))
    before, ours = seen(), exercises.chapter(11).text
    evil = "ip link add evil type veth; nft add table inet evil; echo 1 > /proc/sys/net/ipv4/ip_forward"
    text = ours.replace("        note(self", f"        os.system({evil!r})\n        note(self", 1)
    assert text != ours
    data = check(who, 11, text)
    assert seen() == before
    assert not data["good"] and any("evil" in fact["seen"] for fact in data["facts"]), data


def test_code_outside_of_functions_is_in_the_room_too(root, folder):
    """The file is not even imported outside."""
    mark = folder / "mark"
    data = check(root, 3, f"open({str(mark)!r}, 'w')\n" + CHAPTER.text)
    assert not mark.exists() and not data["good"]


def test_the_hosts_files_are_read_only_and_its_homes_out_of_sight(who, folder):
    (folder / "private").write_text("x")
    script = f"exec 2>/dev/null; ls {folder}; echo \\$?; touch /usr/mark-of-the-room; echo \\$?; " \
             "mount -o remount,bind,rw /usr; " \
             "touch /usr/mark-of-the-room; echo \\$?"
    tell = "import sys; from crabcan_workshop.room import door\n" \
           "print(door.ask(3, {}, f'unshare --mount sh -c \"{sys.argv[1]}\"')['out'])"
    assert who.script(tell, script).stdout.split() == ["2", "1", "1"]
    assert not os.path.exists("/usr/mark-of-the-room")


def test_the_room_is_gone_when_the_check_is_killed(root):
    code = CHAPTER.text.replace(SET, "        while True: pass\n" + SET)
    tell = "import sys; from crabcan_workshop.desk import check; from crabcan_workshop.room import patience\n" \
           "patience.factor = lambda: 20  # it does not end by itself\n" \
           "print('go', flush=True)\ncheck.check(3, text=sys.argv[1])"
    process = subprocess.Popen([*root.python, "-c", tell, code], env=root.environment,
                               stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, cwd="/")
    process.stdout.readline()
    assert wait_for(lambda: len(inside(process.pid)) > 2, 60)  # the room, its first process, a run
    rooms = inside(process.pid)
    process.kill()
    process.communicate()
    for _ in range(100):
        if not [pid for pid in rooms if os.path.exists(f"/proc/{pid}")]:
            break
        time.sleep(0.1)
    assert not [pid for pid in rooms if os.path.exists(f"/proc/{pid}")]


def inside(pid):
    """All that has come of a process."""
    found = []
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        found += [int(child), *inside(child)]
    return found


def test_a_slow_machine_gets_more_time(monkeypatch):
    """Where the processor itself is slow; it is found out each time, and has an end."""
    from crabcan_workshop.room import patience
    clock = iter([0, 0.001, 0, 0.03, 0, 9])
    monkeypatch.setattr(patience.time, "process_time", lambda: next(clock))
    monkeypatch.setattr(patience.os, "getloadavg", lambda: (0, 0, 0))
    assert [patience.factor() for _ in range(3)] == [1, 3, patience.MOST]


def test_the_time_for_a_run_is_longer_on_a_slow_machine(root):
    tell = "from crabcan_workshop.room import door, patience\npatience.factor = lambda: 1.4\n" \
           "print(door.ask(3, {}, 'sleep 100')['err'])"
    assert "still running after 7 s" in root.script(tell).stdout


# ---------------------------------------------------------------- who says so

def mine(deed):
    """A right answer that does something else as well, whenever its module is imported."""
    return CHAPTER.text + "\nimport os as _o\n" + deed


def test_nothing_of_the_learners_runs_in_the_judge(root, folder):
    """Whoever imports it stands in the room: in another PID namespace, and another user's."""
    data = check(root, 3, mine("if _o.path.exists('/proc/1/cmdline') and b'keeper' not in "
                               "open('/proc/1/cmdline', 'rb').read(): _o.kill(_o.getppid(), 9)"))
    assert data["good"]


@pytest.mark.parametrize("text", ['[{"fact": {"state": "right"}}]', "[1]", "null", "NaN", "[" * 5000])
def test_a_forged_answer_is_only_output(root, text):
    """On standard output, on standard error, and in the form of what the starter tells."""
    data = check(root, 3, mine(f"for _fd in 1, 2: _o.write(_fd, b'''\x1e{text}\\n''')"))
    assert data["facts"] and all("forged" not in str(fact) for fact in data["facts"])
    assert not data["error"]


def test_escape_sequences_do_not_reach_the_terminal(root, folder):
    (folder / "ch03_hostname.py").write_text(mine("print('\\033[31mred')"))
    tell = "import sys; from crabcan_workshop.cli import main; sys.exit(main(sys.argv[1:]))"
    root.script("import sys; from crabcan_workshop.desk import workspace\n"
                "workspace.Workspace(sys.argv[1]).start()", folder)
    said = root.script(tell, "check", "3", "--dir", folder)
    assert "\\x1b[31mred" in said.stdout and "\033" not in said.stdout


def test_a_flood_ends_and_is_named(who):
    data = check(who, 3, mine("while True: _o.write(1, b'x' * 65536)"))
    assert any("prints without end" in why for why in complaints(data)), data


LIFT = """
import os
for name in ("memory/memory.memsw.limit_in_bytes", "memory/memory.limit_in_bytes", "memory.max",
             "memory/cgroup.procs", "memory/memory.use_hierarchy"):
    try:
        with open("/sys/fs/cgroup/" + name, "r+") as file: file.write("-1")
        print("written", name)
    except OSError: pass
"""


def test_the_rooms_own_limits_are_out_of_its_reach(root):
    """Only what one needs to make groups below is given to it (cgroups(7), Delegation)."""
    find = "find /sys/fs/cgroup ! -type d -writable -printf '%f\\n' | sort -u"
    tell = "import shlex, sys; from crabcan_workshop.room import door\n" \
           "print(door.ask(3, {}, f'python3 -c {shlex.quote(sys.argv[1])}; {sys.argv[2]}')['out'])"
    said = root.script(tell, LIFT, f"setpriv --bounding-set=-all --inh-caps=-all {find}").stdout.split()
    assert said and set(said) <= {"tasks", "cgroup.procs", "cgroup.threads", "cgroup.subtree_control"}, said


TAKE = "import os\nfd = os.memfd_create('x')\nwhile True: os.write(fd, b'x' * (1 << 22))"


def test_memory_has_an_end_for_all_together(who):
    """In one process's files, where no limit on a process's own memory sees it."""
    data = check(who, 3, mine(TAKE))
    assert any("took more than 512 MB" in why for why in complaints(data)), data


def test_a_signal_to_the_group_stays_in_the_room(who):
    """kill(0) reaches the process group, in whatever PID namespace its members live."""
    script = "import os, signal, sys\ngot = []\n" \
             "signal.signal(signal.SIGUSR1, lambda *_: got.append(1))\nos.setsid()\n" \
             "from crabcan_workshop.desk import check\n" \
             "check.check(3, text=sys.argv[1])\nprint(len(got))"
    text = CHAPTER.text.replace(SET, "        import os\n        os.kill(0, 10)\n" + SET)
    assert who.script(script, text).stdout == "0\n"


def test_a_stop_does_not_stop_the_check(who):
    text = CHAPTER.text.replace(SET, "        import os\n        os.kill(0, 19)\n" + SET)
    data = check(who, 3, text)
    assert any("still running" in why for why in complaints(data)), data


def test_what_others_do_to_a_bound_file_is_no_harm():
    """ldconfig replaces /etc/ld.so.cache, and mountinfo calls the bound one deleted."""
    from crabcan_workshop.room import harm
    line = "60 50 8:1 /etc/ld.so.cache{} /etc/ld.so.cache ro,relatime shared:3 - ext4 /dev/x rw"
    was = {"name": "x", "file": True, "mounts": [line.format("")]}
    harm.changes(was, was | {"mounts": [line.format("//deleted")]})
    with pytest.raises(harm.Harm, match="lost 1 mounts"):
        harm.changes(was, was | {"mounts": []})
    with pytest.raises(harm.Harm, match="mounts would have appeared"):
        harm.changes(was, was | {"mounts": [line.format("").replace("ro,", "rw,")]})


def test_who_goes_in_cannot_be_named_in_there(root):
    """Of the runtime's parent, which collects its status, the room sees nothing."""
    tell = "from crabcan_workshop.room import door\n" \
           "print(door.ask(3, {}, 'ps -e -o pid=,args=; echo $PPID')['out'])"
    lines = root.script(tell).stdout.strip().splitlines()
    assert lines[-1] == "0" and not any("judge" in line for line in lines)


def test_a_flood_in_a_line_to_try_is_one_line(root):
    tell = "from crabcan_workshop.room import door\nprint(door.ask(3, {}, 'yes')['err'])"
    assert "more than 4 MB of output" in root.script(tell).stdout


@pytest.mark.parametrize("each, longer", [(0, 1), (1, 1), (2, 1), (6, 3), (10, 5)])
def test_on_a_crowded_machine_the_check_is_patient(each, longer):
    """Slow and right is not wrong: so many programs want each processor."""
    assert patience.crowded(each * len(os.sched_getaffinity(0))) == longer
    assert 1 <= patience.factor() <= patience.MOST
