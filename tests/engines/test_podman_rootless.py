"""podman as an ordinary user, with our runtime and with runc: no root anywhere, ids by newuidmap(1)."""
import json

import pytest

from engines import RUNC, need_podman, runtime_for

pytestmark = [pytest.mark.timeout(300), pytest.mark.slow]
LOOK = """
import json, sys
from crabcan_workshop.engine import image
from crabcan_workshop.engine.podman import Podman
ours, runc, cases = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
found = {}
with Podman(ours) as engine:
    for runtime in [], ["--runtime", runc]:
        for name, (options, command) in cases.items():
            said = engine.call(*runtime, "run", "--rm", *options, image.NAME, "sh", "-c", command)
            found.setdefault(name, []).append([said.returncode, said.stdout, said.stderr])
        engine.must(*runtime, "run", "--detach", "--name", "box", image.NAME, "sleep", "100")
        one = engine.call("exec", "box", "sh", "-c", "id -u; exit 5")
        two = engine.call("exec", "--user", "7", "box", "id", "-u")
        stop = engine.call("stop", "--time", "1", "box")
        ended = engine.must("inspect", "--format", "{{.State.ExitCode}}", "box")
        engine.must("rm", "box")
        found.setdefault("exec", []).append([one.returncode, one.stdout, ended + two.stdout])
    found["calls"] = [[call.command, call.status] for call in engine.calls()]
print(json.dumps(found))
"""
CASES = {
    "who": ([], "id -u; id -g; cat /proc/self/uid_map | wc -l; hostname | wc -c"),
    "status": ([], "exit 7"),
    "privileges": ([], "grep -E 'Cap|NoNewPrivs|Seccomp:' /proc/self/status"),
    "another user": (["--user", "1000:1000"], "id -u; id -g; touch /tmp/x; stat -c %u /tmp/x"),
    "own id": (["--userns", "keep-id"], "id -u >/dev/null; cat /proc/self/uid_map | wc -l"),
    "read-only": (["--read-only", "--tmpfs", "/t"], "touch /x; echo $?; touch /t/y; echo $?"),
    "devices": ([], "cd /dev; for f in null zero full random tty; do stat -c '%n %t %T' $f; done; echo x >/dev/full"),
    "mounts": ([], "cut -d' ' -f2,3 /proc/mounts | grep -v -e '^/ ' -e /etc/ -e /run/ -e /sys/fs/cgroup | sort"),
    "init": (["--init"], "tr '\\\\0' ' ' </proc/1/cmdline"),
}


@pytest.fixture(scope="module")
def found(user):
    need_podman("newuidmap")
    result = user.script(LOOK, runtime_for(user), RUNC, json.dumps(CASES), timeout=250)
    assert result.returncode == 0, result.stderr[-3000:]
    return json.loads(result.stdout)


@pytest.mark.parametrize("name", [*CASES, "exec"])
def test_the_same_as_with_runc(found, name):
    ours, runc = found[name]
    assert ours[:2] == runc[:2], (ours, runc)
    wanted = {"status": 7, "exec": 5, "devices": 1}
    assert ours[0] == wanted.get(name, 0), ours
    if name == "exec":
        assert ours[2] == runc[2] == "1377\n"


def test_the_runtime_was_ours(found):
    commands = [command for command, _ in found["calls"]]
    assert commands.count("create") == len(CASES) + 1 and "exec" in commands and "delete" in commands
    assert not [call for call in found["calls"] if call[1] and call[0] not in ("delete", "kill")]
