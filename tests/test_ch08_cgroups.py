"""Chapter 8: limits that bite, and a cgroup that is gone afterwards."""
import os
from pathlib import Path

import pytest

from conftest import UNIFIED, closes, end, gone, wait_for
from crabcan_workshop.measure import observe


@pytest.mark.parametrize("name", ["memory", "pids", "cpu", "nofile"])
def test_property(matrix, name):
    closes(matrix, name, 8)


def groups():
    return {str(p) for p in Path("/sys/fs/cgroup").glob("**/crabcan-*")}


def limit(pid, controller, file):
    """What stands in a file of the process's cgroup."""
    paths = observe.cgroups(pid)
    path = f"/sys/fs/cgroup{paths['']}" if UNIFIED else f"/sys/fs/cgroup/{controller}{paths[controller]}"
    return Path(path, file).read_text().split()


def test_the_defaults(who):
    who.need_cgroups()
    with who.start("run", "--", "sh", "-c", "echo ready; read x") as running:
        running.ready()
        memory = limit(running.init, "memory", "memory.max" if UNIFIED else "memory.limit_in_bytes")
        assert memory == [str(1 << 30)]
        assert limit(running.init, "pids", "pids.max") == ["64"]
        try:
            swap = limit(running.init, "memory",
                         "memory.swap.max" if UNIFIED else "memory.memsw.limit_in_bytes")
        except FileNotFoundError:
            swap = None  # this kernel does not account for swap
        assert swap in (None, ["0"] if UNIFIED else memory)
        limits = Path(f"/proc/{running.init}/limits").read_text().splitlines()
        assert [line.split()[-3:-1] for line in limits if "core file" in line] == [["0", "0"]]


def test_a_leftover_of_a_killed_run_is_swept_by_the_next(root):
    with root.start("run", "--cpus", "1", "--", "sh", "-c", "echo ready; read x") as running:
        running.ready()
        ours = {path for path in groups() if f"/crabcan-{running.runtime}-" in path}
        assert ours
        end(running.runtime)
        assert wait_for(lambda: gone(running.init))
    root.run("true")
    assert not groups() & ours


STAYS = """
import ctypes, os, time
ctypes.CDLL(None).prctl(1, 0, 0, 0, 0)  # PR_SET_PDEATHSIG: none
print("ready", flush=True)
time.sleep(60)
"""


def test_what_outlives_a_killed_crabcan_is_ended_by_the_next(root):
    """Its command had taken back what ends it with its parent, as su does, too."""
    with root.start("run", "--", "/usr/bin/python3", "-c", STAYS) as running:
        running.ready()
        end(running.runtime)
        running.process.wait()
        assert not gone(running.init)
        root.run("true")
        assert wait_for(lambda: gone(running.init))


SWEEP = """
import os, sys
from crabcan_steps.cgroups.sweep import hold, sweep
base, what = sys.argv[1:]
path = f"{base}/crabcan-4194303-01234567"  # a number that nobody has in this PID namespace
if what == "nested":
    os.mkdir(path); os.mkdir(path + "/a"); os.mkdir(path + "/a/b"); os.mkdir(path + "/c")
else:
    fd = hold(path)
    held = os.fork()
    if held == 0:
        sweep(base); os._exit(not os.path.exists(path))
    print(os.waitpid(held, 0)[1])
    os.close(fd)
sweep(base)
print(os.path.exists(path))
"""


@pytest.mark.parametrize("what", ["nested", "held"])
def test_a_sweep_takes_inner_groups_first_and_none_of_the_living(root, what):
    """Those of another PID namespace have numbers that say nothing here, and a lock that does."""
    base = "/sys/fs/cgroup" + ("" if UNIFIED else "/pids" + own_path("pids"))
    said = root.script(SWEEP, base, what)
    assert (said.stdout.split(), said.stderr) == (["0"] * (what == "held") + ["False"], "")


SWEEP_HERE = "import sys\nfrom crabcan_steps.cgroups.sweep import sweep\nsweep(sys.argv[1])"


@pytest.fixture
def base(root):
    """A cgroup of the test's own, apart from the sweeps of others."""
    path = Path("/sys/fs/cgroup" + ("" if UNIFIED else "/pids" + own_path("pids")), f"sweep-{os.getpid()}")
    path.mkdir()
    yield path
    for inner in [*path.iterdir(), path]:
        if inner.is_dir():
            inner.rmdir()


@pytest.mark.parametrize("name", ["crabcan-4194303-x", "crabcan-a-01234567", "crabcan-1-2", "crabcan-4194303-0123456789",
                                  "sandbox-4194303-01234567", "crabcan-4194303-01234567-x"])
def test_a_sweep_takes_no_name_that_anybody_may_choose(root, base, name):
    """Chapter 10's containers have such cgroups, and nobody holds a lock for them all the time."""
    for other in name, "crabcan-4194303-76543210":  # the latter is what a killed one leaves
        (base / other).mkdir()
    said = root.script(SWEEP_HERE, base)
    assert (said.returncode, said.stderr) == (0, "")
    assert [path.name for path in base.iterdir() if path.is_dir()] == [name]


def own_path(controller):
    return next(path for names, path in observe.cgroups("self").items()
                if controller in names.split(","))


MANY = r"""
import os
from crabcan_steps import ch01_args, ch02_clone, ch09_runtime

def create():  # with nothing of one left when the next begins, so that their ids in Python repeat
    spec = ch01_args.parse(["sleep", "100"])
    return ch02_clone.create(spec, ch09_runtime.assemble(spec, 9))

for _ in range(30):
    ch02_clone.delete(create())
containers = []
for _ in range(20):
    containers.append(create())
    ch02_clone.start(containers[-1])
print(*{open(f"/proc/{c.pid}/cgroup").read() for c in containers}, sep="\n--\n")
for container in containers:
    ch02_clone.delete(container)
"""


def test_many_containers_of_one_caller_have_a_group_each(who):
    who.need_cgroups()
    result = who.script(MANY)
    assert (result.stderr, result.returncode) == ("", 0)
    assert len(result.stdout.split("--")) == 20


def test_limits_asked_for_that_cannot_be_had_are_an_error(user):
    if user.has_cgroups():
        pytest.skip("this user can have limits here")
    result = user.crabcan("run", "--memory", "64M", "true")
    assert result.returncode == 125 and "--memory" in result.stderr


CALLER = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_STACK, (1 << 20, resource.RLIM_INFINITY))
with open("/proc/self/oom_score_adj", "w") as file:
    file.write(sys.argv[1])
os.execv(sys.executable, [sys.executable, "-m", "crabcan_steps", "run", "--",
                          "sh", "-c", "ulimit -s; cat /proc/self/oom_score_adj"])
"""


def test_the_caller_s_own_limits_do_not_matter(who):
    assert who.script(CALLER, 300).stdout.split() == ["8192", "300"]


def test_a_container_is_no_safer_than_usual_when_memory_runs_out(root):
    """Though the daemon that starts it be one that the kernel shall spare."""
    result = root.script(CALLER, -500)
    if "PermissionError" in result.stderr:
        pytest.skip("not even root may ask to be spared here: no CAP_SYS_RESOURCE")
    assert result.stdout.split() == ["8192", "0"]


INOTIFY = """import ctypes, os, time
make, count = ctypes.CDLL(None).inotify_init1, 0
for number in range(40):
    ours, theirs = os.pipe()
    if os.fork() == 0:
        mine = 0
        while mine < 50 and make(0) >= 0: mine += 1
        os.write(theirs, bytes([mine])); time.sleep(3); os._exit(0)
    count += os.read(ours, 1)[0]; os.close(ours); os.close(theirs)
print(count, flush=True)
input()"""


def test_what_is_counted_for_a_user_over_all_namespaces_is_left_to_the_host(who):
    """inotify instances: with default limits one container took all that its user may have."""
    most = int(Path("/proc/sys/fs/inotify/max_user_instances").read_text())
    with who.start("run", "--", "/usr/bin/python3", "-c", INOTIFY) as running:
        taken = int(running.ready())
        left = who.script("import ctypes; print(ctypes.CDLL(None).inotify_init1(0))").stdout
    assert 0 < taken <= max(1, most // 4) and int(left) >= 0


def test_without_namespaces_of_its_own_the_host_s_quotas_stay(root):
    before = Path("/proc/sys/user/max_inotify_instances").read_text()
    root.crabcan("run", "--layers", "all,-namespaces", "true")
    assert Path("/proc/sys/user/max_inotify_instances").read_text() == before
