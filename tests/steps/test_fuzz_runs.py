"""What nobody thought of: whole runs.

The cases are the same each time (fuzzing.py): what fails fails again. --long tries many more.
"""
import json
import os
import subprocess

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fuzzing import ODD, cases, text  # noqa: F401

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]  # the long form

INSIDE = """
import json, os
found = {"cwd": os.fsencode(os.getcwd()).hex(), "hostname": os.uname().nodename, "uid": os.getuid(),
         "environ": open("/proc/self/environ", "rb").read().hex(), "files": {}}
for line in open("/proc/self/limits"):
    if line.startswith("Max open files"):
        found["nofile"] = int(line.split()[3])
for path in [bytes.fromhex(x) for x in __import__("sys").argv[1:]]:
    content = open(path + b"/file" if os.path.isdir(path) else path).read()
    found["files"][path.hex()] = [content, bool(os.statvfs(path).f_flag & os.ST_RDONLY)]
print(json.dumps(found))
"""
part = st.sampled_from(["a", "b", "mnt", "tmp", "x y", "é", "\udcff", "\n", "%s", "-", "\\", "'"])
path = st.lists(part | st.sampled_from(["", "."]), min_size=1, max_size=3).map(lambda x: "/" + "/".join(x))
path |= st.sampled_from(["/", "/..", "/usr/share", "/etc", "/dev/x", "/sys", "/nowhere/new", "a", ""])
value = text | st.sampled_from(ODD) | st.builds(lambda x: x.decode("utf-8", "surrogateescape"),
                                                st.binary(max_size=20).map(lambda x: x.replace(b"\0", b"")))
name = st.sampled_from(["A", "B", "a b", "é", "HOME", "HOSTNAME", "\udcff", "x\ny", "", "%"])
hostnames = st.from_regex("[a-z0-9.-]{1,20}", fullmatch=True)
hostnames |= st.text(st.characters(exclude_characters="\0"), max_size=70)
run = st.fixed_dictionaries({"env": st.lists(st.tuples(name, value), max_size=3),
                             "add": st.lists(st.tuples(st.sampled_from(["dir", "file", "none"]), path,
                                                       st.booleans()), max_size=2)},
                            optional={"hostname": hostnames,
                                      "workdir": path, "uid": st.sampled_from(["0", "7", "65536", "-1", "x"]),
                                      "nofile": st.sampled_from(["12", "20", "64", "1048577"]),
                                      "memory": st.sampled_from(["64M", "1G", "1", "2E"]),
                                      "pids": st.sampled_from(["1", "64", "0"]),
                                      "read-only": st.none(), "cap-add": st.sampled_from(["NET_RAW", "é", ""])})

# As odd, but nothing in it is wrong: each of these runs.
good = st.fixed_dictionaries({"env": st.lists(st.tuples(name.filter(bool), value), max_size=3),
                              "add": st.lists(st.tuples(st.sampled_from(["dir", "file"]),
                                                        part.map(lambda x: f"/mnt/x{x}"),
                                                        st.booleans()), max_size=1)},
                             optional={"hostname": st.from_regex("[a-z0-9][a-z0-9.-]{0,63}", fullmatch=True),
                                       "workdir": st.sampled_from(["/", "/tmp/", "/usr/./bin", "//etc"]),
                                       "uid": st.sampled_from(["0", "7"]), "nofile": st.sampled_from(["12", "64"]),
                                       "read-only": st.none(), "cap-add": st.sampled_from(["NET_RAW"])})


def tree(folder):
    """All that is in a directory, with what can change about it."""
    return {p: (p.lstat().st_mode, p.lstat().st_uid, p.is_file() and p.read_bytes())
            for p in sorted(folder.rglob("*"))}


def test_a_run_does_all_that_it_was_told_or_says_why_not(who, folder, cases):
    for place in (folder / "dir", folder / "cwd"):
        place.mkdir()
    (folder / "dir" / "file").write_text("in dir")
    (folder / "file").write_text("in file")
    before, hostname = tree(folder), os.uname().nodename

    @cases(20)
    @given(good)
    @example({"env": [("A", " x\n"), ("B", "\udcff=")], "add": [("dir", "/a", True)], "hostname": "a-b.c",
              "workdir": "/a", "uid": "7", "nofile": "20", "read-only": None})
    @example({"env": [], "add": [("file", "/tmp/x y", False)], "hostname": "x" * 64})
    def all_of_it(run):
        assert check(run) == 0

    @cases(20)
    @given(run)
    def or_why_not(run):
        check(run)

    def check(run):
        argv = [f"--{name}={run[name]}" for name in run if name not in ("env", "add", "read-only")]
        argv += ["--read-only"] if "read-only" in run else []
        argv += [f"--env={key}={value}" for key, value in run["env"]]
        argv += [f"--add={folder}/{host}:{target}{':ro' if ro else ''}" for host, target, ro in run["add"]]
        last = run["add"][-1:]  # what was added before may be covered by it
        asked = [os.fsencode(os.path.normpath(target)).hex() for _, target, _ in last]
        command = who.command("run", *argv, "--", "/usr/bin/python3", "-I", "-S", "-c", INSIDE, *asked)
        result = subprocess.run(command, env=who.environment, capture_output=True, timeout=60,
                                cwd=folder / "cwd", stdin=subprocess.DEVNULL)
        errors = result.stderr.decode()
        assert tree(folder) == before and os.uname().nodename == hostname
        assert result.returncode in (0, 2, 125), errors
        lines = errors.splitlines()
        assert "Traceback" not in errors and len(lines) <= 3, errors
        assert all(line.startswith("crabcan") for line in lines), errors
        if result.returncode:
            assert lines and not result.stdout
            return result.returncode
        found = json.loads(result.stdout)
        environ = dict(x.split(b"=", 1) for x in bytes.fromhex(found["environ"]).split(b"\0") if x)
        for key, value in dict(run["env"]).items():
            assert environ[os.fsencode(key)] == os.fsencode(value)
        assert set(environ) - {os.fsencode(key) for key, _ in run["env"]} <= {b"PATH", b"HOME", b"HOSTNAME"}
        assert found["hostname"] == run.get("hostname", found["hostname"]) != hostname
        assert found["uid"] == int(run.get("uid", 0))
        assert found["nofile"] == int(run.get("nofile", 64))
        workdir = os.fsencode(os.path.normpath(run.get("workdir", "/")).replace("//", "/"))
        assert bytes.fromhex(found["cwd"]) == workdir
        for (host, _, ro), target in zip(last, asked):
            assert found["files"][target] == [f"in {host}", ro]
        return 0
    all_of_it()
    or_why_not()
