"""crabcan-oci, stopped before each call that looks at a name, with a name exchanged there (ptrace(2)).

What the tests of chapter 4 do with `run`, for a bundle: nothing outside is seen or written, nothing
hangs. (CVE-2021-30465, CVE-2024-45310: a mount's target was exchanged for a link while it was made.)
"""
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cells import boxes  # noqa: F401

pytestmark = pytest.mark.slow  # left out by --fast

TRACER = Path(__file__).resolve().parent.parent / "steps/exchange.py"
KINDS = ("link", "relative link", "fifo", "other file", "other directory", "link into proc")
VICTIMS = ("data", "data/x", "data/t", "new", "proc", "sys", "dev", "dev/null", "masked", "only", "work", "etc", "etc/passwd")
OWN = re.compile(r"(?!/(proc|sys|etc|dev|usr|root|home)?(/|$)).*|.*pytest-of-")
LOOK = """for p in /data /data/x /data/t /new /masked /only /work /dev /proc /sys /etc .; do
cat $p/secret; echo planted >$p/planted; done 2>/dev/null; [ -p /masked ] || cat /masked; true"""


class Stage:
    """A bundle, what must not be reached, and what may be put in the place of a name."""

    def __init__(self, boxes):
        self.box = boxes.box(self.change)
        self.root, self.alt, self.beyond = self.box.rootfs, boxes.folder / "alt", boxes.folder / "outside"
        for name in ("data/x", "data/t/in", "proc", "sys", "dev", "only", "work", "etc"):
            (self.root / name).mkdir(parents=True)
        (self.root / "data/t/in/file").write_text("copied\n")
        (self.root / "etc/passwd").write_text("root:x:0:0:root:/work:/bin/sh\n")
        (self.root / "masked").write_text("hidden\n")
        (self.root / "dev/null").write_text("")
        self.beyond.mkdir()
        (self.beyond / "secret").write_text("canary\n")
        self.alt.mkdir()
        (self.alt / "link").symlink_to(self.beyond)
        (self.alt / "relative link").symlink_to("../" * 12 + str(self.beyond)[1:])
        (self.alt / "link into proc").symlink_to("/proc/1/root" + str(self.beyond))
        os.mkfifo(self.alt / "fifo")
        (self.alt / "other file").write_text("other\n")
        (self.alt / "other directory").mkdir()
        self.before = self.outside()

    def change(self, config):
        config["process"] |= {"cwd": "/work", "args": ["sh", "-c", LOOK]}
        config["mounts"] = [mount for mount in config["mounts"] if not mount["destination"].startswith("/dev")]
        config["mounts"] += [
            {"destination": "/data/x", "type": "bind", "source": "/etc/apt", "options": ["rbind", "ro"]},
            {"destination": "/data/t", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup"]},
            {"destination": "/new/place", "type": "tmpfs", "source": "tmpfs"},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["ro"]}]
        config["linux"] |= {"maskedPaths": ["/masked", "/proc/version"], "readonlyPaths": ["/only"],
                            "devices": [{"path": "/dev/more/null", "type": "c", "major": 1, "minor": 3}]}

    def outside(self):
        return {(str(p), p.lstat().st_mode, p.lstat().st_uid) for p in (self.beyond, *self.beyond.rglob("*"))}

    def trace(self, times):
        box, boxes = self.box, self.box.boxes
        job = {"words": boxes.words("run", "--bundle", box.folder, box.name), "marker": str(box.folder),
               "environment": boxes.options()["env"], "times": times}
        result = subprocess.run([sys.executable, TRACER], input=json.dumps(job), text=True, capture_output=True,
                                cwd="/", timeout=60 + 10 * len(times))
        assert result.returncode == 0, result.stderr
        return [json.loads(line) for line in result.stdout.splitlines()]

    def deeds(self):
        """(name, deed): each name by each kind, if it is there to be exchanged."""
        for number, name in enumerate(VICTIMS):
            for kind in KINDS[number % 2::2] if name != "data/x" else KINDS:
                if os.path.lexists(self.root / name):
                    yield f"{name}, {kind}", ["swap", str(self.root / name), str(self.alt / kind)]


@pytest.mark.timeout(0)
def test_a_name_exchanged_before_any_call(boxes, request):  # noqa: F811
    stage = Stage(boxes)
    calm = stage.trace([[None, None]])[0]
    assert calm["status"] == 0 and "hidden" not in calm["out"] and "canary" not in calm["out"], calm
    calls = calm["calls"]
    stops = [at for at, (name, path) in enumerate(calls) if name not in ("fstat", "newfstatat") and OWN.match(path)]
    assert len(stops) > 60, calls
    every, tried, late = 1 if request.config.getoption("long") else 140, 0, 0
    for number, (name, deed) in enumerate(stage.deeds()):
        for answer in stage.trace([[at, deed] for at in stops[(number * 7) % every::every]]):
            where = (name, answer["at"], answer["calls"])
            tried, late = tried + 1, late + (not answer["done"])
            assert "canary" not in answer["out"] + answer["err"], (where, answer)
            assert answer["status"] in (0, 1, 2), (where, answer)
            assert "Traceback" not in answer["err"] and answer["err"].count("crabcan-oci:") < 2, (where, answer)
            assert stage.outside() == stage.before, (where, stage.outside() - stage.before)
            stage.box.call("delete", options=["--force"])
            assert not stage.box.left(), where
    assert late * 10 < tried
    print(f"{len(calls)} calls, {len(stops)} stops, {tried} exchanges, {late} too late")


def test_after_the_change_of_root_nothing_of_python_s_is_opened(boxes):  # noqa: F811
    """What is looked up then, the container has put there: its files must not run as us."""
    stage = Stage(boxes)
    calls = stage.trace([[None, None]])[0]["calls"]
    pivot = next(at for at, (name, _) in enumerate(calls) if name == "pivot_root")
    seen = [path for name, path in calls[pivot:] if name.startswith("open") and re.search(r"\.(py|pyc|so|pth|mo|cfg)\b|locale", path)]
    end = next(at for at, (name, _) in enumerate(calls) if name == "execve" and at > pivot)
    assert not seen and end > pivot
