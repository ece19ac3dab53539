"""Other runtimes' containers, recorded by strace: the state in the end is what /proc says of the real one."""
import json
import os
import shutil
import subprocess
import time

import pytest
from crabcan_workshop.explore import kernel, strace, truth
from crabcan_workshop.explore.lines import calls
from crabcan_workshop.explore.reducer import fold

BWRAP = ["bwrap", "--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin", "--symlink", "usr/lib", "/lib",
         "--symlink", "usr/lib64", "/lib64", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--unshare-all",
         "--hostname", "wrapped", "--die-with-parent"]
UNIFIED = "umount /sys/fs/cgroup/unified 2>/dev/null; exec \"$@\""  # crun refuses a host that has both


def need(*programs):
    for program in programs:
        if not shutil.which(program):
            pytest.skip(f"no {program} here")


def held(command, folder, before=(), seconds=20):
    """(events, what /proc says of the container): of a command that ends in sleep, looked at while it sleeps."""
    file, container = folder / "lines", {}
    facts = strace.before() | {"cwd": "/"}
    facts["mountinfo"] = [line for line in facts["mountinfo"] if not (before and "/unified " in line)]
    with subprocess.Popen([*before, "strace", *strace.OPTIONS, "-o", file, "--", *command],
                          stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd="/") as process:
        try:
            end = time.monotonic() + seconds
            while time.monotonic() < end and process.poll() is None:
                time.sleep(0.5)  # more than sleep takes for its own first steps
                lines = file.read_text(errors="surrogateescape").splitlines() if file.exists() else []
                events = strace.translated(lines, facts)
                state = fold(events)
                container = state["processes"].get(state["subject"], {})
                if str(container.get("program")).endswith("sleep"):
                    return events, kernel.facts(container["pid"])
            raise AssertionError(f"no sleep: {lines[-3:]}")
        finally:
            if process.poll() is None:
                for pid in [container["pid"]] if container.get("pid") else children(process.pid):
                    os.kill(pid, 9)  # and whoever has started it ends, too: some are nobody's children any more
            process.wait(20)
            process.stderr.close()


def children(pid):
    """A process's descendants, the youngest first."""
    found = []
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children") as file:
            for child in map(int, file.read().split()):
                found = [*children(child), child, *found]
    return found


def true(events, real, but=()):
    """The state is what the kernel says of the process; but: of what strace does not tell enough."""
    state = fold(events)
    assert state["unknown"] <= len(events) / 50, [e["call"] for e in events][:20]
    found = truth.looks(state, state["subject"], real, strace.before()["namespaces"], {})
    wrong = [f"{what}: {ours!r} is {theirs!r}"[:1500] for what, ours, theirs in found
             if ours != theirs and not any(word in what for word in but)]
    assert not wrong, "\n".join(wrong)
    return state


def test_bubblewrap(root, folder_of_root):
    need("strace", "bwrap")
    events, real = held([*BWRAP, "sleep", "100"], folder_of_root)
    state = true(events, real)
    closed = {name for name, found in state["properties"].items() if found["closed"]}
    assert closed >= {"files", "mounts", "ipc", "network", "no_new", "name"} and "filter" not in closed
    by = events[state["properties"]["files"]["by"]]
    assert (by["side"], by["call"]) == ("bwrap 2", "umount2")


def test_unshare(root, folder_of_root):
    need("strace")
    events, real = held(["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc", "--uts", "--net",
                         "--ipc", "--cgroup", "sleep", "100"], folder_of_root)
    true(events, real)


@pytest.mark.parametrize("runtime", ["runc", "crun"])
def test_runtimes_of_bundles(root, folder_of_root, runtime):
    need("strace", runtime)
    bundle(folder_of_root)
    before = ["unshare", "--mount", "sh", "-c", UNIFIED, "sh"] if runtime == "crun" else []
    events, real = held([runtime, "run", "--bundle", str(folder_of_root), f"crabcan-held-{os.getpid()}"],
                        folder_of_root, before)
    subprocess.run([runtime, "delete", "--force", f"crabcan-held-{os.getpid()}"], capture_output=True)
    state = true(events, real)
    assert state["properties"]["mounts"]["closed"] and state["properties"]["files"]["closed"]


@pytest.mark.parametrize("runtime", ["crun", "runc"])
def test_podman(root, folder_of_root, runtime, pytestconfig):
    """Ten processes, four programs; the container is in the end nobody's child."""
    need("strace", "podman", runtime)
    if runtime == "runc" and not pytestconfig.getoption("long"):
        pytest.skip("with --long")
    rootfs(folder_of_root)
    own = [f"--{name}={folder_of_root / name}" for name in ("root", "runroot", "tmpdir")]
    limits = ["--ulimit=nofile=1000:1000", "--ulimit=nproc=1000:1000", "--network=none", "--volume=/usr:/usr:ro"]
    before = ["unshare", "--mount", "sh", "-c", UNIFIED, "sh"]
    events, real = held(["podman", *own, "--cgroup-manager=cgroupfs", "--storage-driver=vfs", "--events-backend=none",
                         "--runtime", runtime, "run", "--rm", *limits, "--rootfs", str(folder_of_root / "rootfs"),
                         "sleep", "100"], folder_of_root, before)
    state = true(events, real, but=("mounts",))  # the volume goes where a link leads
    closed = {name for name, found in state["properties"].items() if found["closed"]}
    assert closed >= {"files", "mounts", "pid", "ipc", "network", "filter", "pids"} and "users" not in closed
    assert {name.split()[0] for name in state["processes"]} >= {"parent", "child", "conmon", runtime}


def test_who_has_no_child_is_the_container_itself(root, folder_of_root):
    need("strace")
    rootfs(folder_of_root)
    script = 'mount --bind /usr "$0/usr" && exec chroot "$0" sleep 100'
    events, real = held(["unshare", "--mount", "--net", "sh", "-c", script, str(folder_of_root / "rootfs")], folder_of_root)
    state = true(events, real)
    assert state["subject"] == "parent" and state["properties"]["network"]["closed"]


def test_of_a_start_that_failed_the_child_is_who_was_to_be_it(root):
    need("strace", "bwrap")
    events, status = strace.record([*BWRAP, "nosuch"])
    state = fold(events)
    assert status and state["subject"] == "child" and state["properties"]["network"]["closed"]


def rootfs(folder):
    """The host's /usr is to be mounted in it."""
    (folder / "rootfs" / "usr").mkdir(parents=True)
    for name in ("bin", "lib", "lib64"):
        (folder / "rootfs" / name).symlink_to(f"usr/{name}")


def bundle(folder):
    """A bundle that needs no image: the host's /usr in it, read-only."""
    rootfs(folder)
    subprocess.run(["runc", "spec"], cwd=folder, check=True)
    config = json.loads((folder / "config.json").read_text())
    config["process"] |= {"terminal": False, "args": ["sleep", "100"]}
    config["mounts"].append({"destination": "/usr", "type": "bind", "source": "/usr", "options": ["rbind", "ro"]})
    config["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["keyctl"], "action": "SCMP_ACT_ERRNO"}]}
    (folder / "config.json").write_text(json.dumps(config))


@pytest.fixture
def folder_of_root(root, tmp_path_factory):
    return tmp_path_factory.mktemp("strace")


def test_lines_that_are_cut_or_odd_are_survived():
    lines = ['1 1.0 openat(-100</x>, "/a\\"b, c)", 0x80000) = 3</a"b, c)> <0.000009>', "garbage", "1 2.0 write(3", "",
             "1 3.0 +++ exited with 0 +++", "2 3.0 <... close resumed>) = 0 <0.1>", '1 4.0 execve("/x", ["x"',
             "1 5.0 clone(child_stack=NULL, flags=0x7e020000|17) = 2 /* 77 in strace's PID NS */ <0.1>"]
    found = list(calls(lines))
    assert [call.name for call in found] == ["openat", "exit", "close", "clone"]
    assert found[0].args[1] == '/a"b, c)' and found[0].result == 3
    assert found[3].result == 77
    assert strace.translated(lines) and strace.translated([]) == []


def test_values_of_the_environment_are_not_kept(root):
    need("strace")
    events, status = strace.record(["/bin/true"], env={"PATH": "/usr/bin", "SECRET": "hush"})
    assert status == 0 and "SECRET" in json.dumps(events) and "hush" not in json.dumps(events)
