"""Bundles and command lines made up by hypothesis: never a traceback, a hang, or less than was asked for.

What was asked for is looked up from outside, in /proc, once the container's program runs.
"""
import os
import stat
import subprocess

import pytest
from cells import boxes, status, text  # noqa: F401
from conftest import wait_for
from hypothesis import given
from hypothesis import strategies as st

from crabcan_steps.oci import commandline, config
from crabcan_steps.oci.fields import CAPABILITIES
from fuzzing import ODD, cases  # noqa: F401


FILES = {"mount": "mnt", "network": "net"}
KINDS = ("uts", "ipc", "network", "cgroup", "time")
LIMITS = {"NOFILE": "Max open files", "CORE": "Max core file size", "FSIZE": "Max file size", "STACK": "Max stack size",
          "MEMLOCK": "Max locked memory", "AS": "Max address space"}
PLACES = ("/secret", "/hidden", "/hidden/deeper", "/proc/version", "/proc/sys", "/proc/kcore", "/usr/share", "/nowhere",
          "/way", "/dev/pts", "/proc/1", "/hidden/../secret")
caps = st.lists(st.sampled_from(CAPABILITIES), unique=True, max_size=6)
bools = st.booleans()


@st.composite
def wanted(draw):
    """What a container is to be like."""
    bounding = draw(caps)
    some = st.lists(st.sampled_from(bounding), unique=True) if bounding else st.just([])
    return {
        "kinds": draw(st.lists(st.sampled_from(KINDS), unique=True)), "user": draw(bools),
        "sets": {"bounding": bounding, "permitted": draw(some), "effective": draw(some), "inheritable": draw(some),
                 "ambient": draw(some)},
        "nnp": draw(bools), "seccomp": draw(st.sampled_from((None, "SCMP_ACT_ERRNO", "SCMP_ACT_KILL_PROCESS"))),
        "masked": draw(st.lists(st.sampled_from(PLACES), max_size=3)),
        "only": draw(st.lists(st.sampled_from(PLACES), max_size=3)),
        "limits": {name: sorted(draw(st.tuples(*2 * [st.integers(1 << 26, 1 << 40)])))
                   if name in ("AS", "STACK", "FSIZE") else sorted(draw(st.tuples(*2 * [st.integers(16, 200)])))
                   for name in draw(st.lists(st.sampled_from([*LIMITS]), unique=True, max_size=3))},
        "uid": draw(st.sampled_from((0, 1, 1000, 65534))), "gid": draw(st.sampled_from((0, 5, 65534))),
        "groups": draw(st.lists(st.integers(0, 65535), unique=True, max_size=3)),
        "umask": draw(st.integers(0, 0o777)), "oom": draw(st.integers(0, 1000)), "readonly": draw(bools),
        "flags": draw(st.lists(st.sampled_from(("ro", "nosuid", "nodev", "noexec")), unique=True))}


def right(want):
    """The same without what the kernel refuses: each set is in the one that it must be in, and there is
    a right to load a filter."""
    sets = want["sets"]
    permitted, effective, inheritable, ambient = (set(sets[name]) for name in ("permitted", "effective", "inheritable", "ambient"))
    within = {"effective": effective & permitted, "ambient": ambient & inheritable & permitted}
    return want | {"sets": sets | {name: sorted(names) for name, names in within.items()},
                   "nnp": want["nnp"] or bool(want["seccomp"])}


def bundle(want):
    def change(words):
        process, linux = words["process"], words["linux"]
        if want["user"]:
            want["kinds"] = [*want["kinds"], "user"]
            for kind in "uid", "gid":
                linux[f"{kind}Mappings"] = [{"containerID": 0, "hostID": 300000, "size": 65536}]
        linux["namespaces"] = [{"type": kind} for kind in ("pid", "mount", *want["kinds"])]
        if "uts" not in want["kinds"]:
            words.pop("hostname")
        process |= {"capabilities": want["sets"], "noNewPrivileges": want["nnp"], "oomScoreAdj": want["oom"],
                    "user": {"uid": want["uid"], "gid": want["gid"], "additionalGids": want["groups"], "umask": want["umask"]},
                    "rlimits": [{"type": f"RLIMIT_{name}", "soft": soft, "hard": hard}
                                for name, (soft, hard) in want["limits"].items()]}
        linux |= {"maskedPaths": want["masked"], "readonlyPaths": want["only"]}
        if want["seccomp"]:
            linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
                {"names": ["keyctl", "ptrace", "mount"], "action": want["seccomp"]}]}
        words["root"]["readonly"] = want["readonly"]
        words["mounts"].append({"destination": "/flags", "type": "tmpfs", "source": "tmpfs", "options": want["flags"]})
    return change


def furnish(box, owner):
    (box.rootfs / "secret").write_text("secret")
    (box.rootfs / "hidden/deeper").mkdir(parents=True)
    (box.rootfs / "hidden/deeper/file").write_text("secret")
    (box.rootfs / "way").symlink_to("hidden/deeper")
    for name in "flags", "proc", "dev", "usr":
        (box.rootfs / name).mkdir(exist_ok=True)
    subprocess.run(["chown", "-R", "-h", str(owner), box.rootfs], check=True)
    box.folder.parent.chmod(0o755)


def mask(names):
    return sum(1 << CAPABILITIES.index(name) for name in names)


def less(pid, want):
    """Which of what was asked for is not there."""
    seen, root = status(pid), f"/proc/{pid}/root"
    for kind in ("pid", "mount", *want["kinds"]):
        if os.readlink(f"/proc/{pid}/ns/{FILES.get(kind, kind)}") == os.readlink(f"/proc/self/ns/{FILES.get(kind, kind)}"):
            yield f"the {kind} namespace is the machine's"
    asked = {name: mask(names) for name, names in want["sets"].items()}
    have = {name: int(seen[f"Cap{name}"], 16) for name in ("Bnd", "Prm", "Eff", "Inh", "Amb")}
    root_gains = asked["bounding"] | asked["inheritable"] if want["uid"] == 0 else asked["ambient"]
    for name, most in (("Bnd", asked["bounding"]), ("Inh", asked["inheritable"]), ("Amb", asked["ambient"]),
                       ("Prm", root_gains), ("Eff", root_gains)):
        if have[name] & ~most:
            yield f"{name} has {have[name]:x}, and {most:x} was asked for"
    expected = {"NoNewPrivs": str(int(want["nnp"])), "Umask": f"{want['umask']:04o}"}
    if want["seccomp"]:
        expected["Seccomp"] = "2"
    shift = 300000 if want["user"] else 0
    expected["Uid"], expected["Gid"] = ("\t".join([str(want[k] + shift)] * 4) for k in ("uid", "gid"))
    expected["Groups"] = " ".join(map(str, sorted(group + shift for group in want["groups"])))
    for name, value in expected.items():
        if seen[name].strip() != value:
            yield f"{name} is {seen[name]}, not {value}"
    said = {line[:26].strip(): line[26:].split()[:2] for line in text(f"/proc/{pid}/limits").splitlines()}
    for name, pair in want["limits"].items():
        if said[LIMITS[name]] != [str(number) for number in pair]:
            yield f"the limit {name} is {said[LIMITS[name]]}"
    if text(f"/proc/{pid}/oom_score_adj").strip() != str(want["oom"]):
        yield "oom_score_adj"
    yield from places(root, want)


def places(root, want):
    masked = {os.path.normpath(path) for path in want["masked"]}
    for path in want["masked"]:
        place = root + os.path.normpath(path)
        if not os.path.exists(place) or path == "/way":
            continue
        found = os.stat(place)
        if stat.S_ISDIR(found.st_mode) and os.listdir(place) or not stat.S_ISDIR(found.st_mode) and found.st_rdev != 0x103:
            if not any(other != path and other.startswith(path + "/") for other in masked):
                yield f"{path} is not masked"
    for path in want["only"]:
        place = root + os.path.normpath(path)
        if os.path.exists(place) and path != "/way" and not os.statvfs(place).f_flag & os.ST_RDONLY and path not in masked:
            yield f"{path} can be written"
    if want["readonly"] and not os.statvfs(root).f_flag & os.ST_RDONLY:
        yield "the root can be written"
    flags = os.statvfs(f"{root}/flags").f_flag
    for word, bit in (("ro", os.ST_RDONLY), ("nosuid", os.ST_NOSUID), ("nodev", os.ST_NODEV), ("noexec", os.ST_NOEXEC)):
        if word in want["flags"] and not flags & bit:
            yield f"/flags is not {word}"


@pytest.mark.timeout(0)
def test_no_less_isolation_than_asked(boxes, cases):  # noqa: F811
    @cases(8)
    @given(wanted().map(right))
    def all_of_it(want):
        result = check(want)
        assert result.returncode == 0, (result, want)

    @cases(8)
    @given(wanted())
    def or_refused(want):
        result = check(want)
        if result.returncode:
            assert result.returncode == 1 and result.stderr.count("\n") == 1 and "rror:" not in result.stderr, result

    def check(want):
        box = boxes.box(bundle(want))
        furnish(box, 300000 if want["user"] else 0)
        result = box.call("create")
        if not result.returncode:
            box.must("start")
            pid = box.record["pid"]
            assert wait_for(lambda: text(f"/proc/{pid}/comm") == "sleep\n"), text(f"/proc/{pid}/comm")
            wrong = list(less(pid, want))
            assert not wrong, (wrong, want)
            box.must("delete", options=["--force"])
        assert not box.left(), box.left()
        return result
    all_of_it()
    or_refused()


JUNK = st.one_of(st.none(), bools, st.integers(-(1 << 70), 1 << 70), st.sampled_from((0, -1, 2**31, 2**32 - 1, 2**63, 2**64 - 1)),
                 st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=9), st.sampled_from([w for w in ODD if len(w) < 99]),
                 st.just([]), st.just({}), st.just([{}]), st.just([None]), st.just("/"), st.just("/proc/self/fd/3"))
ROWS = [row for row in config.TABLE if not row[0].startswith("hooks") and "sysctl" not in row[0] and row[3] != "nobody"]


@st.composite
def changed(draw):
    """A field of the table, and a value: mostly one of the right type."""
    path, kind, allowed, _, _ = draw(st.sampled_from(ROWS))
    outer, _, inner = kind.rstrip("!").rpartition(" of ")
    values = {"bool": bools, "object": st.just({}), "text": st.text(max_size=9)}.get(
        inner, st.integers(0, 70000) if "int" in inner else st.sampled_from(("", "/", "a", "/x/y", "..", "0-1", "0", "é")))
    if allowed is not None and allowed:
        values = st.sampled_from(allowed)
    if outer == "list":
        values = st.lists(values, max_size=2)
    elif outer == "map":
        values = st.dictionaries(st.sampled_from(("a", "memory.max", "boottime")), values, max_size=2)
    return path, draw(values if draw(st.integers(0, 3)) else JUNK)


LEAST = {"type": "c", "destination": "/new", "path": "/new", "policy": "SCHED_OTHER", "class": "IOPRIO_CLASS_BE",
         "names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "op": "SCMP_CMP_EQ", "pageSize": "2MB", "name": "lo",
         "mode": "MPOL_LOCAL"}


def new(shape):
    """An object with what it must have, so that it is looked at further."""
    known = {row[0].rpartition(".")[2]: row for row in config.TABLE if row[0].rpartition(".")[0] == shape}
    return {name: LEAST.get(name, 1) if not known[name][2] or LEAST.get(name) in known[name][2] else known[name][2][0]
            for name in config.FORM.required.get(shape, ())}


def put(words, path, value):
    """Sets a field, all that leads to it made."""
    parts, shape = path.replace("[]", ".[]").split("."), ""
    for part, after in zip(parts, parts[1:]):
        shape = shape + part if part == "[]" else f"{shape}.{part}".lstrip(".")
        empty = [] if after == "[]" else new(shape)
        if part == "[]":
            words[:1] = [words[0] if words and isinstance(words[0], type(empty)) else empty]
            words = words[0]
        else:
            part = "boottime" if part == "*" else part
            if not isinstance(words.get(part), type(empty)):
                words[part] = empty
            words = words[part]
    if isinstance(words, list):
        words[:1] = [value]
    else:
        words["boottime" if parts[-1] == "*" else parts[-1]] = value


@pytest.mark.timeout(0)
def test_junk_in_any_field(boxes, cases):  # noqa: F811
    """It is refused by one line, or the container is made, and can be deleted."""
    @cases(20)
    @given(st.lists(changed(), min_size=1, max_size=2))
    def each(junk):
        def change(words):
            for path, value in junk:
                put(words, path, value)
        box = boxes.box(change)
        result = box.call("create")
        lines = [line for line in result.stderr.splitlines() if "warning:" not in line]
        assert result.returncode in (0, 1) and "Traceback" not in result.stderr, (junk, result)
        assert len(lines) == result.returncode and "rror: " not in result.stderr, (junk, result)
        box.must("delete", options=["--force"])
        assert not box.left(), (junk, box.left())
    each()


WORDS = st.one_of(st.sampled_from([word for word in ODD if "\0" not in word and len(word) < 6000]), st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=9), st.sampled_from(
    ["--" + name for table in commandline.COMMANDS.values() for name in commandline.options_of(table[2])]))


@pytest.mark.timeout(0)
def test_malformed_command_lines(boxes, cases):  # noqa: F811
    """A status and one line, for every command."""
    box = boxes.box()
    (boxes.folder / "empty").mkdir()

    @cases(30)
    @given(st.sampled_from([*commandline.COMMANDS, "", "nonsense", "--root", "--debug"]), st.lists(WORDS, max_size=4), bools)
    def each(command, words, named):
        line = [command, *words, *([box.name] if named else [])]
        result = boxes.oci(*line, cwd=str(boxes.folder / "empty"))
        assert result.returncode in (0, 1, 255), (line, result)
        assert "Traceback" not in result.stderr and "rror: " not in result.stderr, (line, result)
        assert result.stderr.count("\n") <= 1 and bool(result.stderr) == bool(result.returncode), (line, result)
        (boxes.folder / "empty/config.json").unlink(missing_ok=True)
    each()
    assert not os.listdir(boxes.root) if boxes.root.exists() else True
