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
    """(events, what /proc says of the child): of a command that ends in sleep, looked at while it sleeps."""
    file = folder / "lines"
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
                child = fold(events)["processes"].get("child", {})
                if str(child.get("program")).endswith("sleep"):
                    return events, kernel.facts(child["pid"])
            raise AssertionError(f"no sleep: {lines[-3:]}")
        finally:
            for pid in [] if process.poll() is not None else children(process.pid):
                os.kill(pid, 9)
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
    found = truth.looks(state, "child", real, strace.before()["namespaces"], {})
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


def bundle(folder):
    """A bundle that needs no image: the host's /usr in it, read-only."""
    root = folder / "rootfs"
    (root / "usr").mkdir(parents=True)
    for name in ("bin", "lib", "lib64"):
        (root / name).symlink_to(f"usr/{name}")
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
