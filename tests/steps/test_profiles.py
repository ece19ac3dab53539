"""Seccomp profiles as they are in the world: what other runtimes' files say, holds here as there."""
import json
import os
from pathlib import Path
from types import SimpleNamespace

import pyseccomp
import pytest

from bpfmachine import bpf as machine
from crabcan_steps.oci import filter
from crabcan_steps.seccomp import bpf, chain, profile, rules

SYSTEM = SimpleNamespace(machine="x86_64", release="6.1.0-18-amd64")
INSTALLED = Path("/usr/share/containers/seccomp.json")  # golang-github-containers-common
CALL = """
import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
for word in sys.argv[1:]:
    numbers = [ctypes.c_long(int(n, 0)) for n in word.split(",")]
    print(ctypes.get_errno() if libc.syscall(*numbers) == -1 else 0)
"""


def number(name):
    return pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name)


def rule(*names, action="ALLOW", **more):
    return {"names": list(names), "action": f"SCMP_ACT_{action}", **more}


def whole(*rules, default="ALLOW", **more):
    return json.dumps({"defaultAction": f"SCMP_ACT_{default}", "syscalls": list(rules), **more}).encode()


def plain(*rules, kept=(), system=SYSTEM, **more):
    """The rules that come out, as {name: [(action, args)]}."""
    found = {}
    for words in json.loads(profile.resolved(whole(*rules, **more), kept, system))["syscalls"]:
        for name in words["names"]:
            found.setdefault(name, []).append((words["action"][9:], words.get("errnoRet"), words["args"]))
    return found


def test_a_default_by_name():
    words = json.loads(profile.resolved(whole(default="ERRNO", defaultErrno="ENOSYS"), (), SYSTEM))
    assert words["defaultErrnoRet"] == 38
    words = json.loads(profile.resolved(whole(default="ERRNO", defaultErrno="ENOSYS", defaultErrnoRet=38), (), SYSTEM))
    assert words["defaultErrnoRet"] == 38


@pytest.mark.parametrize("more, word", [
    ({"defaultErrno": "ENOSYS", "defaultErrnoRet": 1}, "ENOSYS"), ({"defaultErrno": "ENOPE"}, "ENOPE"),
    ({"surprise": 1}, "surprise"), ({"flags": ["SECCOMP_FILTER_FLAG_LOG"]}, "flags"),
    ({"listenerPath": "/x"}, "listenerPath")])
def test_what_cannot_be_enforced_is_refused(more, word):
    with pytest.raises(ValueError, match=word):
        profile.resolved(whole(default="ERRNO", **more), (), SYSTEM)


@pytest.mark.parametrize("words, word", [
    (rule("mount", action="ERRNO", errno="ENOPE"), "ENOPE"), (rule("mount", action="ERRNO", errno="EPERM", errnoRet=2), "EPERM"),
    (rule("mount", includes={"users": ["x"]}), "users"), (rule("mount", excludes=["x"]), "excludes"),
    (rule("mount", includes={"minKernel": "new"}), "minKernel"), (rule("mount", priority=3), "priority")])
def test_a_rule_that_is_half_understood_is_refused(words, word):
    with pytest.raises((ValueError, TypeError), match=word):
        profile.resolved(whole(words), (), SYSTEM)


def test_what_only_describes_is_left_out():
    arches = [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]}]
    words = rule("mount", action="ERRNO", errno="EINVAL", args=None, comment="why", includes={}, excludes=None)
    assert plain(words, archMap=arches, comment="all of it", flags=[], listenerPath="") == {
        "mount": [("ERRNO", 22, [])]}
    assert plain({"name": "mount", "action": "SCMP_ACT_KILL_THREAD"}) == {"mount": [("KILL", None, [])]}


@pytest.mark.parametrize("conditions, kept, holds", [
    ({"includes": {"caps": ["CAP_SYS_ADMIN"]}}, (), False), ({"includes": {"caps": ["CAP_SYS_ADMIN"]}}, {"SYS_ADMIN"}, True),
    ({"includes": {"caps": ["CAP_SYS_ADMIN", "CAP_CHOWN"]}}, {"CHOWN"}, False),  # all of them
    ({"includes": {"caps": ["CAP_BPF"]}}, None, True),  # chapter 6 is left out: it has all
    ({"excludes": {"caps": ["CAP_SYS_ADMIN", "CAP_CHOWN"]}}, {"CHOWN"}, False), ({"excludes": {"caps": ["CAP_CHOWN"]}}, (), True),
    ({"includes": {"arches": ["amd64", "x32"]}}, (), True), ({"includes": {"arches": ["s390x"]}}, (), False),
    ({"excludes": {"arches": ["amd64"]}}, (), False), ({"excludes": {"arches": ["s390", "s390x"]}}, (), True),
    ({"includes": {"minKernel": "4.8"}}, (), True), ({"includes": {"minKernel": "6.10"}}, (), False),
    ({"includes": {"minKernel": "6.1"}}, (), True), ({"excludes": {"minKernel": "5.0"}}, (), False),
    ({"includes": {"caps": ["CAP_CHOWN"]}, "excludes": {"arches": ["arm64"]}}, {"CHOWN"}, True)])
def test_conditions(conditions, kept, holds):
    assert bool(plain(rule("mount", **conditions), kept=kept)) == holds


def test_a_version_is_no_fraction():
    assert profile.release("4.18.0-513.el8_9.x86_64") > profile.release("4.8") < profile.release("10.0")


def test_an_unknown_call_may_be_missing_where_nothing_hangs_on_it():
    """Allowed, it is refused all the same; refused twice, it is refused once. But never let through."""
    assert bpf.compiled(profile.resolved(whole(rule("no_such_call", "mount"), default="ERRNO"), (), SYSTEM))
    names = plain(rule("no_such_call", "mount", action="ERRNO", errnoRet=1), default="ERRNO", defaultErrnoRet=38)
    assert names == {"mount": [("ERRNO", 1, [])]}
    assert plain(rule("no_such_call", action="ERRNO"), default="ERRNO", defaultErrnoRet=38) == {}
    with pytest.raises(ValueError, match="no_such_call"):
        bpf.compiled(profile.resolved(whole(rule("no_such_call", action="ERRNO")), (), SYSTEM))


def equal(value, index=0):
    return {"index": index, "value": value, "op": "SCMP_CMP_EQ"}


def test_several_comparisons_of_one_argument_are_each_enough():
    """So does runc, whatever one would think: libseccomp has no "or" in a rule."""
    found = plain(rule("socket", action="ERRNO", args=[equal(5), equal(6)]))
    assert [args for _, _, args in found["socket"]] == [[equal(5)], [equal(6)]]
    both = [equal(5), equal(6, 1)]
    assert [args for _, _, args in plain(rule("socket", action="ERRNO", args=both))["socket"]] == [both]


@pytest.mark.parametrize("given, expected", [
    ([rule("mount"), rule("mount", action="ERRNO", errnoRet=1)], [("ALLOW", [])]),
    ([rule("mount", action="ERRNO", errnoRet=1), rule("mount")], [("ERRNO", [])]),
    ([rule("mount", args=[equal(5)]), rule("mount", action="ERRNO", errnoRet=1)], [("ERRNO", [])]),
    ([rule("mount", action="ERRNO", errnoRet=1), rule("mount", args=[equal(5)])], [("ERRNO", [])])])
def test_rules_that_lie_over_each_other_count_as_in_libseccomp(given, expected):
    found = plain(*given, default="ERRNO", defaultErrnoRet=38)["mount"]
    assert [(action, args) for action, _, args in found] == expected
    libseccomp = pyseccomp.SyscallFilter(pyseccomp.ERRNO(38))  # asked itself
    for words in given:
        tests = [pyseccomp.Arg(test["index"], pyseccomp.EQ, test["value"]) for test in words.get("args", ())]
        libseccomp.add_rule({"ALLOW": pyseccomp.ALLOW, "ERRNO": pyseccomp.ERRNO(1)}[words["action"][9:]],
                            number("mount"), *tests)
    with open(os.memfd_create("filter"), "w+b") as file:
        libseccomp.export_bpf(file)
        file.seek(0)
        code = file.read()
    allowed = b"\x06\0\0\0\0\0\xff\x7f"  # return SECCOMP_RET_ALLOW
    assert (allowed in code) == (expected[0][0] == "ALLOW")


def masked(mask, value):
    return {"index": 0, "value": mask, "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ"}


def compare(op, value):
    return {"index": 0, "value": value, "op": f"SCMP_CMP_{op}"}


@pytest.mark.parametrize("one, other, apart", [
    ([equal(5)], [equal(6)], True), ([equal(5)], [equal(5)], False), ([equal(5)], [compare("NE", 5)], True),
    ([equal(5)], [compare("NE", 6)], False), ([equal(5)], [compare("LT", 5)], True), ([equal(5)], [compare("LE", 5)], False),
    ([compare("GT", 5)], [equal(5)], True), ([compare("GE", 5)], [equal(5)], False), ([equal(5)], [masked(1, 0)], True),
    ([equal(5)], [masked(1, 1)], False), ([masked(3, 1)], [masked(1, 0)], True), ([masked(2, 2)], [masked(1, 0)], False),
    ([equal(5)], [equal(6, 1)], False), ([equal(5), equal(9, 2)], [compare("NE", 9) | {"index": 2}], True), ([], [], False)])
def test_two_answers_to_a_call_only_if_no_call_gets_both(one, other, apart):
    given = [rule("socket", args=one), rule("socket", action="ERRNO", args=other)]
    if apart:
        assert bpf.compiled(whole(*given, default="TRAP"))
    else:
        with pytest.raises(ValueError, match="which of them counts"):
            bpf.compiled(whole(*given, default="TRAP"))


# ---------------------------------------------------------------- tried

CONDITIONAL = whole(
    rule("sethostname", includes={"caps": ["CAP_SYS_ADMIN"]}),
    rule("sethostname", action="ERRNO", errno="EXDEV", excludes={"caps": ["CAP_SYS_ADMIN"]}),
    rule("setdomainname", action="ERRNO", errno="EDOM", args=[equal(7, 1), equal(8, 1)]))


def test_what_the_container_keeps_decides(root, tmp_path):
    (tmp_path / "p.json").write_bytes(CONDITIONAL)
    host, domain = number("sethostname"), number("setdomainname")
    words = ["/usr/bin/python3", "-c", CALL, f"{host},0,-1", f"{domain},0,7", f"{domain},0,8", f"{domain},0,-1"]
    for more, first in (([], 18), (["--cap-add", "SYS_ADMIN"], 22), (["--cap-add", "CHOWN"], 18)):
        out = root.run(*words, options=["--seccomp", tmp_path / "p.json", *more])  # the cache follows
        assert out.split() == [str(first), "33", "33", out.split()[3]] and out.split()[3] in ("1", "22"), more


@pytest.mark.skipif(not INSTALLED.exists(), reason="podman's profile is not installed")
def test_podman_s_own(who):
    words = ["--seccomp", INSTALLED]
    assert who.run("grep", "Seccomp:", "/proc/self/status", options=words).split() == ["Seccomp:", "2"]
    calls = [f"{number('bpf')},0,0,0", f"{number('socket')},16,3,9", f"{number('keyctl')},0,-3,1", "9999"]
    out = who.run("/usr/bin/python3", "-c", CALL, *calls, options=words).split()
    assert out[0] == "1" and out[1] == "22" and out[3] == "38"
    assert who.run("/usr/bin/python3", "-c", "import threading as t; x = t.Thread(target=print); x.start()", options=words)


def test_unconfined_is_no_filter(who):
    for words in (["--seccomp", "unconfined"], ["--security-opt", "seccomp=unconfined"]):
        assert who.run("grep", "Seccomp:", "/proc/self/status", options=words).split() == ["Seccomp:", "0"]


def test_a_reader_sees_which_line_decides(root, tmp_path):
    text = json.dumps(json.loads(CONDITIONAL), indent=1)
    (tmp_path / "p.json").write_text(text)
    lines = [at for at, line in enumerate(text.splitlines(), 1) if '"names"' in line]
    out = root.crabcan("seccomp", tmp_path / "p.json", "sethostname", "setdomainname").stdout.splitlines()
    assert [line.split() for line in out[1:]] == [
        ["setdomainname", "EDOM", "if", "arg1", "==", "7", "and", "arg1", "==", "8", "line", str(lines[2])],
        f"sethostname allow line {lines[0]} does not hold: only with CAP_SYS_ADMIN".split(),
        f"sethostname EXDEV line {lines[1]}".split(), "any other allow the default".split()]
    out = root.crabcan("seccomp", "--cap-add", "SYS_ADMIN", tmp_path / "p.json", "sethostname").stdout
    assert f"line {lines[1]} does not hold: not with CAP_SYS_ADMIN" in out
    result = root.crabcan("seccomp", tmp_path / "none.json")
    assert result.returncode == 125 and "none.json" in result.stderr and result.stdout == ""
    assert "clone3" in root.crabcan("seccomp", "default").stdout
    assert [*rules.told(whole(rule("mount", action="LOG")), None, SYSTEM, ["mount"])][0][1] == "log"


@pytest.mark.parametrize("op, sign", [("EQ", "=="), ("NE", "!="), ("LT", "<"), ("LE", "<="), ("GT", ">"), ("GE", ">=")])
def test_a_reader_sees_each_comparison(op, sign):
    assert rules.asked({"index": 2, "op": f"SCMP_CMP_{op}", "value": 9}) == f"arg2 {sign} 9"


def test_a_reader_sees_the_mask():
    test = {"index": 0, "op": "SCMP_CMP_MASKED_EQ", "value": 0xF0}
    assert rules.asked(test | {"valueTwo": 0x10}) == "arg0 & 0xf0 == 0x10" and rules.asked(test) == "arg0 & 0xf0 == 0x0"


@pytest.mark.parametrize("told, ours", [
    ([[compare("LT", 1)], [compare("GE", 1 << 32)]], True), ([[compare("NE", 3), equal(1, 1)], [compare("NE", 4)]], True),
    ([[compare("NE", 0), compare("NE", 38) | {"index": 1}], [compare("NE", 38), compare("NE", 1) | {"index": 1}],
      [compare("NE", 38), compare("NE", 1 << 32) | {"index": 1}]], True),
    ([[compare("LT", 38)], [equal(39)], [compare("GT", 40)]], False), ([[masked(1, 1)], [equal(1 << 33)]], False),
    ([[compare("GT", 1)], [compare("LT", 1 << 32) | {"index": 1}]], False)])
def test_what_libseccomp_mistakes_is_compiled_by_us(told, ours):
    """Of the first, libseccomp makes "allow 1", too; of the third, nothing, for ever."""
    assert chain.sure(told) != ours
    given = whole(*(rule("socket", args=args) for args in told), default="ERRNO")
    for code in bpf.compiled(given), filter.compiled(json.loads(given)):
        for one in (0, 1, 2, 3, 4, 37, 38, 39, 40, 41, 1 << 32, 1 << 33):
            for two in (0, 1, 38, 1 << 32):
                meant = any(all(meets(words, [one, two]) for words in args) for args in told)
                assert (machine(code, number("socket"), [one, two, 0, 0, 0, 0]) == 0x7FFF0000) == meant, (one, two)
        assert machine(code, number("socket"), [0] * 6, arch=0x40000003) == 0x80000000  # i386


def meets(words, args):
    arg, value = args[words["index"]], words["value"]
    return {"EQ": arg == value, "NE": arg != value, "LT": arg < value, "GE": arg >= value, "GT": arg > value,
            "MASKED_EQ": arg & value == words.get("valueTwo")}[words["op"].removeprefix("SCMP_CMP_")]


# ---------------------------------------------------------------- how long a call waits for its answer

def test_a_tree_of_comparisons_not_a_chain(root):
    """libseccomp's CTL_OPTIMIZE 2: about 15 instructions a call, where a chain of 316 took 200."""
    import sys
    from conftest import CHECKOUT
    sys.path.insert(0, str(CHECKOUT / "benchmarks"))
    import filters
    found = filters.measure(1)
    assert found["rows"]["openat, a tree"]["median"] < 30 < 150 < found["rows"]["openat, a chain"]["median"]
