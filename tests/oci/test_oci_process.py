"""process and what else the kernel is to make of it, all at once, in containers that run."""
import os
import subprocess

from cells import boxes  # noqa: F401


def test_what_else_a_process_may_have_goes_with_a_filter(boxes):  # noqa: F811
    """All at once, as each is a call of its own: numbers of calls are the machine's, whatever uname(2) says."""
    def change(config):
        config["process"] |= {"args": ["sh", "-c", "uname -m; ionice; chrt -p $$; grep -m1 -o 'bind:0' /proc/self/numa_maps; "
                                       "grep Seccomp: /proc/self/status; mkdir /dev/x"],
                              "ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 3}, "scheduler": {"policy": "SCHED_BATCH"}}
        config["linux"] |= {"personality": {"domain": "LINUX32"}, "memoryPolicy": {"mode": "MPOL_BIND", "nodes": "0"},
                            "seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
                                {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 69}]}}
    box = boxes.box(change)
    said = box.call("run")
    assert "Srmount error" in said.stderr, said
    assert [word for word in ("i686", "armv8l", "best-effort: prio 3", "SCHED_BATCH", "bind:0", "Seccomp:\t2")
            if word in said.stdout][-4:] == ["best-effort: prio 3", "SCHED_BATCH", "bind:0", "Seccomp:\t2"], said
    assert said.stdout.split("\n")[0] in ("i686", "armv8l")


def test_below_setarch(boxes, root):  # noqa: F811
    """Who poses as a machine of 32 bits makes the same calls."""
    words = ["setarch", "linux32", *boxes.words("run", "--bundle", boxes.box(
        lambda config: config["process"].update(args=["uname", "-m"])).folder, "posing")]
    result = subprocess.run(words, **boxes.options(stdin=subprocess.DEVNULL))
    assert (result.returncode, result.stdout) == (0, "i686\n" if os.uname().machine == "x86_64" else "armv8l\n"), result
    result = subprocess.run(["setarch", "linux32", *root.command("run", "true")], env=root.environment, capture_output=True)
    assert result.returncode == 0, result


def test_what_the_kernel_refuses_is_explained(boxes):  # noqa: F811
    box = boxes.box(lambda config: config["process"].update(scheduler={"policy": "SCHED_FIFO", "priority": 5}))
    said = box.call("run")
    assert said.returncode == 0 or "linux.resources.cpu.realtimeRuntime, too" in said.stderr, said
    boxes.oci("delete", "--force", box.name)
    box = boxes.box().up()
    for command, words in ("exec", ["--cwd", "/nowhere"]), ("exec", ["--cwd", "/usr/bin/env"]):
        said = box.call(command, "true", options=words)
        assert said.returncode == 255 and "no chdir to process.cwd, or --cwd" in said.stderr, said


def test_a_poststop_hook_that_fails_is_a_warning(boxes):  # noqa: F811
    """As the specification wants it, and where an engine looks for it; the next one has its turn."""
    log, told = boxes.folder / "log", boxes.folder / "told"
    box = boxes.box(lambda config: config.update(hooks={"poststop": [
        {"path": "/bin/false"}, {"path": "/bin/sh", "args": ["sh", "-c", f"echo so >{told}"]}]})).up()
    said = boxes.oci("--log", log, "--log-format", "json", "delete", "--force", box.name)
    assert said.returncode == 0 and "warning: error running hook poststop #0 (/bin/false)" in said.stderr, said
    assert '"level":"warning","msg":"error running hook poststop' in log.read_text() and told.read_text() == "so\n"


def test_exec_has_the_filter_that_the_container_was_made_with(boxes):  # noqa: F811
    """Not one that is compiled anew; but for a container of an older crabcan, which has kept none."""
    def forbid(config):
        config["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 69}]}
    box = boxes.box(forbid).up()
    kept = boxes.root / box.name / "filter.bpf"
    assert "Srmount error" in box.call("exec", "mkdir", "/dev/x").stderr
    code = kept.read_bytes()
    kept.write_bytes(code.replace((0x50000 | 69).to_bytes(4, "little"), (0x50000 | 68).to_bytes(4, "little")))
    assert kept.read_bytes() != code and "Advertise error" in box.call("exec", "mkdir", "/dev/x").stderr
    kept.unlink()
    assert "Srmount error" in box.call("exec", "mkdir", "/dev/x").stderr
    box.must("delete", options=["--force"])
    assert not box.left()
