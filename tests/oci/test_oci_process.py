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
