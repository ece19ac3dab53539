"""Which devices a container may use: version 1's list, and the eBPF program, on both versions."""
import json
import os
import subprocess
from pathlib import Path

import pytest
from bundles import NAME, Refused, bundle, start
from conftest import UNIFIED

from crabcan_steps.layer import LayerError
from crabcan_steps.oci.cgroups import devices, ebpf, tree

pytestmark = pytest.mark.usefixtures("root")
PATH = f"/{NAME}/ruled"
DENY = {"allow": False, "access": "rwm"}
TRY = """
import errno, json, os, stat, sys
found = {}
for kind, major, minor, access in json.loads(sys.argv[1]):
    node = f"/tmp/node-{os.getpid()}"
    try:
        os.mknod(node, 0o600 | (stat.S_IFBLK if kind == "b" else stat.S_IFCHR), os.makedev(major, minor))
        os.close(os.open(node, {"r": os.O_RDONLY, "w": os.O_WRONLY, "rw": os.O_RDWR}[access]))
        said = "yes"
    except OSError as error:
        said = errno.errorcode[error.errno]
    assert said != "EACCES", "a mount without devices decides here"
    found[f"{kind} {major}:{minor} {access}"] = said != "EPERM"  # ENXIO: nothing behind it, but may
    if os.path.exists(node):
        os.unlink(node)
print(json.dumps(found))
"""
ASKED = [("c", 1, 3, "rw"), ("c", 1, 5, "r"), ("c", 5, 0, "rw"), ("c", 1, 11, "r"), ("c", 1, 11, "w"),
         ("c", 1, 11, "rw"), ("c", 1, 1, "r"), ("c", 10, 229, "rw"), ("b", 7, 0, "r"), ("b", 7, 1, "rw")]
ALWAYS = {"c 1:3 rw", "c 1:5 r", "c 5:0 rw"}
RULES = [  # the specification's list, what is allowed besides the usual, whether version 1 can say it
    ([], set(), True),
    ([DENY], set(), True),
    ([DENY, {"allow": True, "type": "c", "major": 1, "minor": 11, "access": "r"}], {"c 1:11 r"}, True),
    ([DENY, {"allow": True, "type": "c", "major": 1, "minor": 11, "access": "r"},
      {"allow": True, "type": "c", "major": 1, "minor": 11, "access": "w"}],
     {"c 1:11 r", "c 1:11 w", "c 1:11 rw"}, True),
    ([DENY, {"allow": True, "type": "b", "major": 7, "access": "rwm"}], {"b 7:0 r", "b 7:1 rw"}, True),
    ([DENY, {"allow": True, "type": "b", "minor": 1, "access": "rwm"}], {"b 7:1 rw"}, True),
    ([{"allow": True, "type": "b", "major": 7, "access": "rwm"}, DENY], set(), True),
    ([DENY, {"allow": True, "type": "b", "major": 7, "minor": 0, "access": "r"},
      {"allow": False, "type": "b", "major": 7, "access": "rw"}], set(), True),
    ([DENY, {"allow": True, "type": "b", "major": 7, "access": "rwm"},
      {"allow": False, "type": "b", "major": 7, "minor": 1, "access": "w"}], {"b 7:0 r"}, False),
    ([{"allow": True, "access": "rwm"}], {"all"}, True),
    ([{"allow": True, "access": "rwm"}, {"allow": False, "type": "b", "major": 7, "access": "w"}],
     {"all", "not b 7:1 rw"}, True),
    ([{"allow": True, "access": "r"}], {"c 1:11 r", "c 1:1 r", "b 7:0 r"}, True),
]


def expected(more):
    everything = {f"{kind} {major}:{minor} {access}" for kind, major, minor, access in ASKED}
    found = everything if "all" in more else ALWAYS | more
    return (found & everything) - {word[4:] for word in more if word.startswith("not ")}


def allowed(join):
    """What somebody in a cgroup may open; `join` has the paths of its cgroup.procs."""
    script = ('mount -t tmpfs tmpfs /tmp; for f in "$@"; do echo $$ > "$f"; done; '
              'exec python3 -c "$TRY" "$ASKED"')  # a /tmp of its own: Debian 13's is nodev
    done = subprocess.run(["unshare", "--mount", "sh", "-c", script, "sh", *join], text=True, check=True,
                          capture_output=True, env={**os.environ, "TRY": TRY, "ASKED": json.dumps(ASKED)})
    return {word for word, may in json.loads(done.stdout).items() if may}


@pytest.fixture
def cgroup():
    """A cgroup of version 2, which this host has anyway: perhaps beside version 1."""
    path = Path(tree.trees()[""][0], f"{NAME}-program")
    path.mkdir()
    yield path
    path.rmdir()


@pytest.mark.parametrize("rules, more, first", RULES)
def test_the_program(cgroup, rules, more, first):
    groups = {"version": 2, "paths": {"": str(cgroup)}, "rules": True}
    devices.apply(groups, rules)
    assert allowed([f"{cgroup}/cgroup.procs"]) == expected(more)


@pytest.mark.skipif(UNIFIED, reason="version 1's list")
@pytest.mark.parametrize("rules, more, first", RULES)
def test_the_list(rules, more, first):
    if not first:
        with pytest.raises(Refused, match="linux.resources.devices: version 1 cannot deny b 7:1"):
            start(path=PATH, resources={"devices": rules})
        return
    with bundle(path=PATH, resources={"devices": rules}) as state:
        assert allowed([f"{state['cgroups']['paths']['devices']}/cgroup.procs"]) == expected(more)


def test_new_rules_replace_the_old_ones(cgroup):
    groups = {"version": 2, "paths": {"": str(cgroup)}, "rules": True}
    for rules, more, _ in RULES:
        devices.apply(groups, rules)
        fd = os.open(cgroup, os.O_RDONLY)
        assert len(ebpf.attached(fd)) == 1
        os.close(fd)
        assert allowed([f"{cgroup}/cgroup.procs"]) == expected(more)


def test_what_is_allowed_before_and_after_is_never_refused():
    """Somebody opens /dev/null all the time, while the rules change."""
    script = ("import os, sys\nfor _ in range(100000):\n try: os.close(os.open('/dev/null', os.O_RDWR))\n"
              " except OSError: os._exit(7)\n")
    with bundle(path=PATH, resources={"devices": [DENY]}) as state:
        groups = state["cgroups"]
        files = [f"{path}/cgroup.procs" for path in tree.unique(groups)]
        words = 'for f in "$@"; do echo $$ > "$f"; done; exec python3 -c "$TRY"'
        other = subprocess.Popen(["sh", "-c", words, "sh", *files], env={**os.environ, "TRY": script})
        while other.poll() is None:
            for rules in [DENY], [DENY, {"allow": True, "type": "c", "major": 1, "access": "rw"}]:
                devices.apply(groups, rules)
        assert other.returncode == 0


@pytest.mark.parametrize("rule", [
    {"allow": True}, {"allow": True, "access": "rx"}, {"allow": True, "type": "p", "access": "r"},
    {"allow": True, "type": "c", "major": 1 << 32, "access": "r"}])
def test_a_rule_that_means_nothing_is_refused(rule):
    with pytest.raises(LayerError, match=r"linux.resources.devices\[1\]"):
        devices.rules([DENY, rule])


def test_in_a_user_namespace_nobody_sets_any(cgroup):
    devices.apply({"version": 2, "paths": {"": str(cgroup)}, "rules": False}, [DENY])
    assert "b 7:0 r" in allowed([f"{cgroup}/cgroup.procs"])
