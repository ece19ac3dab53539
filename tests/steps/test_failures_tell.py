"""What a failed test says: the layer, what was seen, and a command to see it oneself."""
import json
import re
import shutil
import subprocess

import pytest

from conftest import CHECKOUT, Matrix, wait_for
from crabcan_workshop.measure import evidence, matrix

PLANTED = {  # what is broken: (old, new, checkpoint, property, what the failure must say)
    "the hostname": ("linux.sethostname(self.hostname)", "pass", 3, "name",
                     r"chapter 3 \(hostname\): name .* should be closed in checkpoint 3, and is open\. Seen: "
                     r"inside: hostname is '.*', the host: hostname is '.*Look: crabcan step 3 -- sh -c 'uname"),
    "the filter": ("        linux.prctl(linux.PR_SET_SECCOMP", "        lambda: (linux.PR_SET_SECCOMP", 7, "filter",
                   r"chapter 7 \(seccomp\): filter .* Seen: outside: seccomp is '0'\. "
                   r"Look: crabcan step 7 -- grep Seccomp: /proc/self/status"),
    "a layer too early": ("chapter, name, stage = 6, \"caps\", Stage.CAPABILITIES",
                          "chapter, name, stage = 5, \"caps\", Stage.CAPABILITIES", 5, "no_new",
                          r"no_new .* should be open in checkpoint 5, .* Seen: outside: no_new_privs is True\."),
}


def broken(folder, old, new):
    """A copy of the course with one thing broken in it."""
    for name in ("crabcan_steps", "crabcan_workshop"):
        shutil.copytree(CHECKOUT / name, folder / name)
    places = [path for path in (folder / "crabcan_steps").glob("*.py") if old in path.read_text()]
    assert len(places) == 1, places
    places[0].write_text(places[0].read_text().replace(old, new))


def run(root, folder):
    return subprocess.run(["unshare", "--uts", *root.python, "-m", "crabcan_workshop", "matrix", "--json"],
                          env={**root.environment, "PYTHONPATH": str(folder)}, text=True, capture_output=True, cwd="/")


@pytest.mark.parametrize("what", PLANTED)
def test_a_property_that_fails_says_what_was_seen(root, tmp_path, what):
    old, new, step, name, says = PLANTED[what]
    broken(tmp_path, old, new)
    result = run(root, tmp_path)
    assert result.returncode == 1, result
    found = Matrix(json.loads(result.stdout))
    assert found[step][name] == "wrong" and re.search(says, found.tell(step, name)), found.tell(step, name)


def test_a_step_that_prints_nothing_says_why(root, tmp_path):
    broken(tmp_path, "linux.sethostname(self.hostname)", "linux.chdir('/nowhere')")
    result = run(root, tmp_path)
    assert (result.returncode, result.stdout) == (1, "")
    said = " ".join(result.stderr.split())
    assert "checkpoint 3 did not come up" in said and "chapter 3 (hostname): chdir: No such file" in said


def test_each_property_has_a_command_that_shows_it():
    assert evidence.LOOK.keys() == matrix.PROPERTIES.keys()


@pytest.mark.parametrize("name", [name for name in evidence.LOOK if name not in ("memory", "pids", "cpu")])
def test_the_command_runs(root, name):
    """In the last checkpoint; what is refused there fails, and says so."""
    command = evidence.command(name, 9)
    assert command.startswith("crabcan step 9 ")
    result = subprocess.run(["sh", "-c", command.replace("crabcan ", f"{' '.join(root.python)} -m crabcan_steps ", 1)],
                            env=root.environment, text=True, capture_output=True)
    assert result.returncode in (0, 1, 2) and "command not found" not in result.stderr, result


def test_what_did_not_come_to_be_is_told():
    number = 41
    never = wait_for(lambda: number == 42, seconds=0.05)
    assert not never and "number == 42" in repr(never) and "'number': 41" in repr(never)
