"""The learner cannot hurt the machine: whatever a chapter's file does, the host is as it was."""
import os
import subprocess
import time
from pathlib import Path

import pytest

from conftest import wait_for
from crabcan_workshop import exercises
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
    "hostname": (None, "your machine would now be called 'mine'"),
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
    tell = "import sys; from crabcan_workshop.room import door as room\n" \
           "print(room.enter(3, {}, shell=f'unshare --mount sh -c \"{sys.argv[1]}\"')['out'])"
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
    assert [patience.factor() for _ in range(3)] == [1, 3, patience.MOST]


def test_the_time_for_a_run_is_longer_on_a_slow_machine(root):
    tell = "from crabcan_workshop.room import patience, door as room\npatience.factor = lambda: 1.4\n" \
           "print(room.enter(3, {}, shell='sleep 100')['err'])"
    assert "still running after 7 s" in root.script(tell).stdout
