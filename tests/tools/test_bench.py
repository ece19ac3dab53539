"""The benchmarks run and tell, and no careless import slows the start. Nothing here is timed."""
import json
import errno
import os
import re
import shutil
import subprocess
import sys

import pytest

from conftest import CHECKOUT

# All that `crabcan run` loads beyond a bare interpreter's own. Before you add to it, measure what
# the module takes (python3 -X importtime): a start has some 30 ms.
OURS = {"__main__", "ch01_args", "ch02_clone", "ch03_hostname", "ch04_mounts", "ch05_namespaces",
        "ch06_caps", "ch07_seccomp", "ch08_cgroups", "ch09_runtime", "cli", "layer", "linux", "numbers",
        "args", "args.program", "cgroups", "cgroups.quotas", "cgroups.session", "cgroups.sweep",
        "clone", "clone.init", "clone.signals", "clone.start",
        "mounts", "mounts.furniture", "mounts.given", "mounts.parts", "mounts.root",
        "namespaces", "namespaces.ranges", "runtime", "runtime.interpreter", "runtime.sealed", "runtime.terminal",
        "seccomp", "seccomp.cache"}
OTHERS = {"_ctypes", "_prctl", "_struct", "ctypes", "ctypes._endian", "errno", "fcntl", "gc", "prctl", "pwd",
          "resource", "select", "struct", "types"}


def loaded(*words):
    """The modules that an isolated interpreter loads for this."""
    command = ["/usr/bin/python3", "-I", "-S", "-X", "importtime", *words]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    return set(re.findall(r"^import time: .*\| +(\S+)$", result.stderr, re.M)) - {"package"}


def test_a_start_loads_these_modules_and_no_others():
    run = [CHECKOUT / "crabcan_steps/runtime/launcher.py", "run", "/bin/true"]
    loaded(*run)  # the first may have to compile the filters
    found = loaded(*run) - loaded("-c", "import os")
    ours = {name.removeprefix("crabcan_steps.") for name in found if name.startswith("crabcan_steps.")}
    assert ours == OURS
    assert found - {f"crabcan_steps.{name}" for name in OURS} - {"crabcan_steps"} - OTHERS == set()


@pytest.mark.parametrize("path", ["crabcan_steps/runtime/launcher.py", "tools/start.py"])
def test_the_launcher_is_found_where_it_stands_and_where_it_stood(path, tmp_path):
    """In a .venv made by an older checkout, bin/crabcan still asks for the latter."""
    result = subprocess.run(["/usr/bin/python3", "-I", "-S", CHECKOUT / path, "run", "--", "false"], cwd=tmp_path)
    assert result.returncode == 1


def bench(*words):
    return subprocess.run([sys.executable, "-I", CHECKOUT / "benchmarks/bench.py", *words],
                          capture_output=True, text=True, timeout=300)


@pytest.mark.slow
def test_each_benchmark_tells_what_it_found():
    result = bench("--rounds", "1", "--json")
    said = [line for line in result.stderr.splitlines() if "default limits that cannot" not in line]
    assert (result.returncode, said) == (0, [])
    reports, text = [], result.stdout
    while text.strip():
        report, end = json.JSONDecoder().raw_decode(text.lstrip())
        reports.append(report)
        text = text.lstrip()[end:]
    start, scale, memory, filters, oci, network, images = reports
    assert "3 MB: crabcan pull" in images["rows"] or images["notes"][0].startswith("wants ")
    if os.geteuid() == 0:  # ./workshop test installs what it wants
        assert network["rows"]["crabcan, --net bridge, another"]["median"] > 0, network["notes"]
        assert network["rows"]["through our bridge"]["median"] > 0.01
    assert oci["rows"]["crabcan-oci: waiting"]["median"] > 1
    assert {"crabcan, cold", "crabcan, warm", "python, doing nothing"} <= start["rows"].keys()
    for peer in ("runc", "bwrap") if os.geteuid() == 0 else ():  # ./workshop test installs them
        assert peer in start["rows"], start["notes"]
    assert all(row["median"] > 0 for row in start["rows"].values())  # one round says no more than that
    assert ("crabcan, cold / runc" in start["ratios"]) == ("runc" in start["rows"])
    assert scale["ratios"].keys() == {"last / first", "5 at once / 5 times one"}
    assert 1 < memory["rows"]["PSS of a supervisor"]["median"] < 100
    assert filters["rows"]["openat, a tree"]["median"] < filters["rows"]["openat, a chain"]["median"]
    for report in reports:
        assert "processors" in report["machine"]
        assert all(0 < row["min"] <= row["median"] <= row["max"] for row in report["rows"].values())


@pytest.mark.slow
@pytest.mark.parametrize("benchmark", ["memory", "scale"])
def test_what_all_containers_say_is_said_once(benchmark, user):
    """Such as that an ordinary user has no limits on cgroups of version 1."""
    path = f"{CHECKOUT}/benchmarks/bench.py"
    if user.prefix:
        shutil.copytree(CHECKOUT / "benchmarks", f"{user.environment['PYTHONPATH']}/benchmarks",
                        dirs_exist_ok=True)
        shutil.copytree(CHECKOUT / "tools", f"{user.environment['PYTHONPATH']}/tools", dirs_exist_ok=True)
        path = f"{user.environment['PYTHONPATH']}/benchmarks/bench.py"
    result = subprocess.run([*user.python, path, benchmark, "--rounds", "2"], env=user.environment,
                            capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    lines = result.stderr.splitlines()
    assert len(lines) == len(set(lines)) == (0 if user.has_cgroups() else 1), result.stderr


@pytest.mark.slow
def test_the_same_calls_from_c(root):
    """The program that the benchmark makes of a trace starts real containers."""
    if not shutil.which("cc"):
        pytest.skip("no C compiler: the benchmark says so, and goes without")
    report = json.loads(bench("start", "--rounds", "1", "--json").stdout)
    row = report["rows"]["the same calls from C, warm"]
    assert row["median"] > 0  # how much less it is, is the benchmark's to say: one round is noise


def test_the_c_program_removes_only_what_it_makes(tmp_path, root):
    """A trace may hold an rmdir of a cgroup that was still busy, and of what others have left."""
    words = [sys.executable, "-m", "crabcan_steps", "run", "--trace", tmp_path / "trace", "true"]
    subprocess.run(words, cwd=CHECKOUT, check=True)
    events = [json.loads(line) for line in (tmp_path / "trace").read_text().splitlines()]
    at = next(n for n, event in enumerate(events) if event["call"] == "rmdir")
    busy = events[at] | {"errno": errno.EBUSY}
    swept = events[at] | {"args": ["/sys/fs/cgroup/cpu/crabcan-1-0"]}
    sys.path.insert(0, str(CHECKOUT / "benchmarks"))
    import as_c
    own = as_c.program(events, [])
    assert "rmdir_(\"" in own
    for more in (busy, swept):
        assert as_c.program(events[:at] + [more] + events[at:], []) == own
        assert as_c.program([more] + events, []) == own


@pytest.mark.parametrize("words, message", [(["nope"], "no benchmark 'nope'"),
                                            (["--rounds", "0"], "at least 1")])
def test_wrong_words(words, message):
    result = bench(*words)
    assert result.returncode == 2 and message in result.stderr
