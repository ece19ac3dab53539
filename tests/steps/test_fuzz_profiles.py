"""What nobody thought of: seccomp profiles, and what their filters answer.

The cases are the same each time (fuzzing.py): what fails fails again. --long tries many more.
"""
import json
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpfmachine import ARCH, bpf
from crabcan_steps.seccomp.bpf import compiled as bpf_of
from crabcan_steps.seccomp.profile import resolved
from fuzzing import cases  # noqa: F401

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]  # the long form

CALLS = {"mkdir": 83, "socket": 41, "kill": 62, "personality": 135}  # x86_64
ALLOW, X32 = 0x7FFF0000, 0x40000000
ACTIONS = {"SCMP_ACT_ALLOW": ALLOW, "SCMP_ACT_KILL": 0, "SCMP_ACT_KILL_PROCESS": 0x80000000,
           "SCMP_ACT_TRAP": 0x30000, "SCMP_ACT_LOG": 0x7FFC0000}
COMPARE = {"EQ": lambda a, v, w: a == v, "NE": lambda a, v, w: a != v, "LT": lambda a, v, w: a < v,
           "LE": lambda a, v, w: a <= v, "GT": lambda a, v, w: a > v, "GE": lambda a, v, w: a >= v,
           "MASKED_EQ": lambda a, v, w: a & v == w}

junk = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
                    lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(max_size=3), x, max_size=3),
                    max_leaves=5)
number = st.sampled_from([0, 1, 2, 16, 0xFFFFFFFF, 1 << 32, (1 << 63) + 5, (1 << 64) - 1])
number |= st.integers(0, (1 << 64) - 1)
action = st.sampled_from([*ACTIONS, "SCMP_ACT_ERRNO"])
arg = st.fixed_dictionaries({"index": st.integers(0, 5), "value": number,
                             "op": st.sampled_from([f"SCMP_CMP_{op}" for op in COMPARE])},
                            optional={"valueTwo": number})
rule = st.fixed_dictionaries({"names": st.lists(st.sampled_from([*CALLS]), min_size=1, max_size=2),
                              "action": action},
                             optional={"errnoRet": st.integers(0, 4095), "args": st.lists(arg, max_size=2)})
profile = st.fixed_dictionaries({"defaultAction": action, "syscalls": st.lists(rule, max_size=3)},
                                optional={"defaultErrnoRet": st.integers(0, 4095)})

# As odd, but nothing in it is wrong: each of these has to be accepted.
does = st.fixed_dictionaries({"action": st.sampled_from([*ACTIONS])}) | st.fixed_dictionaries(
    {"action": st.just("SCMP_ACT_ERRNO")}, optional={"errnoRet": st.integers(0, 4094)})
default = does.map(lambda words: {"default" + key[0].upper() + key[1:]: value for key, value in words.items()})


def args_of(lowest, highest):
    """Up to two comparisons, of different arguments among these."""
    index, ops = st.integers(lowest, highest), [f"SCMP_CMP_{op}" for op in COMPARE if op != "MASKED_EQ"]
    masked = st.builds(lambda index, value, two: {"index": index, "op": "SCMP_CMP_MASKED_EQ", "value": value,
                                                  "valueTwo": value & two}, index, number, number)
    return st.lists(st.fixed_dictionaries({"index": index, "value": number, "op": st.sampled_from(ops)}) | masked,
                    max_size=2, unique_by=lambda arg: arg["index"])


def made_of(first, second, **more):
    """Good profiles: each call has one action, in a rule or two, which say `more` about it, or not."""
    rules = [st.fixed_dictionaries({"args": args}, optional=more) for args in (first, second)]
    calls = st.sampled_from([("mkdir", "socket"), ("kill",), ("personality",)])
    return st.builds(lambda default, found: {**default, "syscalls": [
        {"names": [*names], **words, **rule} for names, (words, rules) in found.items() for rule in rules]},
        default, st.dictionaries(calls, st.tuples(does, st.tuples(rules[0]) | st.tuples(*rules))))


def compiled(profile):
    """BPF, or None if the profile was refused with one of the errors that prepare() expects."""
    try:
        return bpf_of(json.dumps(profile).encode())
    except (ValueError, KeyError, TypeError) as error:
        assert str(error)
        return None


def meant(profile, name, args):
    """What the profile says of a call, read by its words alone."""
    def number(action, errno):
        return ACTIONS.get(action, 0x50000 | errno)
    for rule in profile["syscalls"]:
        if name in rule["names"] and all(
                COMPARE[x["op"][9:]](args[x["index"]], x["value"], x.get("valueTwo", 0))
                for x in rule.get("args", ())):
            return number(rule["action"], rule.get("errnoRet", 1))
    return number(profile["defaultAction"], profile.get("defaultErrnoRet", 1))


def test_a_filter_does_what_its_profile_says(cases):
    @cases(30)
    @given(made_of(args_of(0, 2), args_of(3, 5)), st.lists(number, min_size=6, max_size=6))
    def all_of_it(profile, args):
        check(bpf_of(json.dumps(profile).encode()), profile, args)

    @cases(60)
    @given(profile, st.lists(number, min_size=6, max_size=6))
    def or_nothing(profile, args):
        code = compiled(profile)
        if code is not None:
            check(code, profile, args)

    def check(code, profile, args):
        told = [a for rule in profile["syscalls"] for a in rule.get("args", ())]
        for name, call in CALLS.items():
            tries = [args]
            for a in told:  # the numbers that the profile names, and their neighbours
                for value in (a["value"], a["value"] - 1, a["value"] + 1, a.get("valueTwo", 0)):
                    tries.append([*args[:a["index"]], value % (1 << 64), *args[a["index"] + 1:]])
            for args_ in tries:
                assert bpf(code, call, args_) == meant(profile, name, args_), (name, args_)
        assert bpf(code, 39, args) == meant(profile, "getpid", args)
        assert bpf(code, X32 | 83, args) == 0x80000000
        assert bpf(code, 83, args, arch=0x40000003) == 0x80000000  # i386
    all_of_it()
    or_nothing()


def test_a_profile_with_something_wrong_in_it_is_refused_or_the_same(cases):
    """One thing in a good profile is replaced by anything."""
    good = {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1, "syscalls": [
        {"names": ["mkdir", "kill"], "action": "SCMP_ACT_ALLOW"},
        {"names": ["socket"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5,
         "args": [{"index": 0, "op": "SCMP_CMP_MASKED_EQ", "value": 6, "valueTwo": 2}]}]}
    places = [("defaultAction",), ("defaultErrnoRet",), ("syscalls",), ("syscalls", 0),
              ("syscalls", 0, "names"), ("syscalls", 0, "names", 1), ("syscalls", 0, "action"),
              ("syscalls", 1, "errnoRet"), ("syscalls", 1, "args"), ("syscalls", 1, "args", 0),
              *(("syscalls", 1, "args", 0, key) for key in ("index", "op", "value", "valueTwo"))]
    # What stands for "not there", or may rightly be there; the first test looks what it does.
    fine = {"defaultErrnoRet": lambda x: x is None or type(x) is int and 0 <= x < 4096,
            "errnoRet": lambda x: x is None or type(x) is int and 0 <= x < 4096,
            "args": lambda x: x is None or x == [] and type(x) is list,
            "syscalls": lambda x: x == [] and type(x) is list, "index": lambda x: x in range(6),
            "value": lambda x: 0 <= x < 1 << 64, "valueTwo": lambda x: x is None or 0 <= x < 1 << 64}

    @cases(60)
    @given(st.sampled_from(places), junk)
    def check(place, value):
        profile = json.loads(json.dumps(good))
        inner = profile
        for key in place[:-1]:
            inner = inner[key]
        inner[place[-1]] = value
        if compiled(profile) is not None:
            assert place[-1] in fine and fine[place[-1]](value) and type(value) not in (bool, float) \
                or place[-1] == 1 and type(value) is str, f"accepted: {place} {value!r}"
    check()


def decided(profile, name, args, kept):
    """What a profile with conditions says of a call, read by its words alone, as runc would."""
    def holds(rule):
        includes, excludes = rule.get("includes") or {}, rule.get("excludes") or {}
        return {*(includes.get("caps") or ())} <= kept and not kept & {*(excludes.get("caps") or ())} \
            and "s390x" not in (includes.get("arches") or ()) and "amd64" not in (excludes.get("arches") or ())

    def meets(rule):
        tests = rule["args"]
        indexes = [x["index"] for x in tests]
        enough = any if len(set(indexes)) < len(indexes) else all
        return enough(COMPARE[x["op"][9:]](args[x["index"]], x["value"], x.get("valueTwo", 0)) for x in tests)
    rules = [rule for rule in profile["syscalls"] if name in rule["names"] and holds(rule)]
    rules = [rule for rule in rules if not rule.get("args")] or [rule for rule in rules if meets(rule)]
    found = rules[0] if rules else {"action": profile["defaultAction"],
                                    "errnoRet": profile.get("defaultErrnoRet")}
    return ACTIONS.get(found["action"], 0x50000 | (1 if found.get("errnoRet") is None else found["errnoRet"]))


conditions = st.none() | st.fixed_dictionaries({}, optional={
    "caps": st.none() | st.lists(st.sampled_from(["CAP_CHOWN", "CAP_SYS_ADMIN"]), max_size=2),
    "arches": st.none() | st.sampled_from([["s390x"], []])})
real_rule = st.fixed_dictionaries(
    {"names": st.lists(st.sampled_from([*CALLS]), min_size=1, max_size=2, unique=True), "action": action},
    optional={"errnoRet": st.none() | st.integers(0, 4095), "args": st.none() | st.lists(arg, max_size=2),
              "comment": st.text(max_size=9), "includes": conditions, "excludes": conditions})
real_profile = st.fixed_dictionaries({"defaultAction": action, "syscalls": st.lists(real_rule, max_size=4)},
                                     optional={"defaultErrnoRet": st.integers(0, 4095), "comment": st.text(),
                                               "archMap": st.none() | st.just([{"architecture": "x"}])})


twice = st.fixed_dictionaries({"index": st.just(0), "value": number, "op": st.just("SCMP_CMP_EQ")})
good_real = made_of(st.none() | args_of(0, 2) | st.tuples(twice, twice).map(list), st.none() | args_of(3, 5),
                    comment=st.text(max_size=9), includes=conditions, excludes=conditions)


def test_a_real_profile_means_here_what_it_means_there(cases):
    arguments = st.lists(number, min_size=6, max_size=6), st.sets(st.sampled_from(["CHOWN", "SYS_ADMIN"]))

    @cases(40)
    @given(good_real, *arguments)
    def all_of_it(profile, args, kept):
        check(code_of(profile, kept), profile, args, kept)

    @cases(100)
    @given(real_profile, *arguments)
    def or_nothing(profile, args, kept):
        try:
            code = code_of(profile, kept)
        except (ValueError, TypeError, KeyError) as error:
            assert str(error)
        else:
            check(code, profile, args, kept)

    def code_of(profile, kept):
        system = SimpleNamespace(machine="x86_64", release="6.1")
        return bpf_of(resolved(json.dumps(profile).encode(), kept, system))

    def check(code, profile, args, kept):
        told = [a for rule in profile["syscalls"] for a in rule.get("args") or ()]
        for name, call in CALLS.items():
            tries = [args] + [[*args[:a["index"]], value % (1 << 64), *args[a["index"] + 1:]] for a in told
                              for value in (a["value"], a["value"] - 1, a["value"] + 1, a.get("valueTwo", 0))]
            for args_ in tries:
                caps = {f"CAP_{cap}" for cap in kept}
                assert bpf(code, call, args_) == decided(profile, name, args_, caps), (name, args_)
    all_of_it()
    or_nothing()


def test_a_real_profile_with_anything_in_it_is_refused_in_a_word(cases):
    places = ["flags", "archMap", "defaultErrno", "comment"], ["includes", "excludes", "errno", "name", "comment", "args"]
    inner = [f"{a}.{b}" for a in ("includes", "excludes") for b in ("caps", "arches", "minKernel")]

    @cases(60)
    @given(st.sampled_from([*places[0], *places[1], *inner]), junk)
    def check(place, value):
        rule = {"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}
        profile = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}
        if "." in place:
            rule[place.split(".")[0]] = {place.split(".")[1]: value}
        else:
            (profile if place in places[0] else rule)[place] = value
        try:
            resolved(json.dumps(profile).encode(), set(), SimpleNamespace(machine="x86_64", release="6.1"))
        except (ValueError, TypeError, KeyError) as error:
            assert str(error)
    check()


RULE = '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"%s}%s]}'


@pytest.mark.parametrize("source, words", [
    (RULE % (', "errnoRet": 4096', ""), "errnoRet"), (RULE % (', "errnoRet": 4095', ""), "errnoRet"), (RULE % (', "errnoRet": -1', ""), "errnoRet"),
    (RULE % (', "errnoRet": true', ""), "errnoRet"), (RULE % (', "errnoRet": "1"', ""), "errnoRet"),
    (RULE % (', "args": [{"index": 6, "op": "SCMP_CMP_EQ", "value": 1}]', ""), "index"),
    (RULE % (', "args": [{"index": -1, "op": "SCMP_CMP_EQ", "value": 1}]', ""), "index"),
    (RULE % (', "args": [{"index": 0, "op": "SCMP_CMP_EQ", "value": -1}]', ""), "value"),
    (RULE % (', "args": [{"index": 0, "op": "SCMP_CMP_EQ", "value": 18446744073709551616}]', ""), "value"),
    (RULE % (', "args": [{"index": 0, "op": "SCMP_CMP_EQ", "value": 1, "valueTwo": 2}]', ""), "valueTwo"),
    (RULE % (', "args": [{"index": 0, "op": "SCMP_CMP_EQ", "value": 1, "extra": 2}]', ""), "extra"),
    (RULE % (', "args": [{"index": 0, "op": "SCMP_CMP_MASKED_EQ", "value": 1, "valueTwo": 3}]', ""), "valueTwo"),
    (RULE % (', "args": [{"index": 0, "op": "SCMP_CMP_GT", "value": 1}, '
             '{"index": 0, "op": "SCMP_CMP_LT", "value": 9}]', ""), "argument 0"),
    (RULE % ("", ', {"names": ["mkdir"], "action": "SCMP_ACT_ALLOW"}'), "mkdir"),  # ALLOW is the default
    (RULE % ("", ', {"names": ["mkdir"], "action": "SCMP_ACT_TRAP"}'), "mkdir"),
    (RULE % ("", ', {"names": ["kill"], "action": "SCMP_ACT_TRAP", "errnoRet": 5}'), "errnoRet"),
    (RULE % ("", ', {"names": "kill", "action": "SCMP_ACT_ALLOW"}'), "names"),
    (RULE % ("", ', {"names": [], "action": "SCMP_ACT_TRAP"}'), "names"),
    (RULE % ("", ', {"names": ["kill\\u0000x"], "action": "SCMP_ACT_TRAP"}'), "kill"),
    (RULE % ("", ', {"names": ["kill"], "names": ["mkdir"], "action": "SCMP_ACT_TRAP"}'), "names"),
    (RULE % (', "args": ""', ""), "args"), (RULE % (', "action": 5', ""), "action"),
    ('{"defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 5, "syscalls": []}', "defaultErrnoRet"),
    ('{"defaultAction": "SCMP_ACT_ALLOW"}', "syscalls"), ("[" * 100_000, "deep"), ("\xff", "decode"),
    (RULE % (', "args": [{"index": 0, "op": "SCMP_CMP_EQ", "value": NaN}]', ""), "value"),
    (RULE % ("", "".join(', {"names": ["kill"], "action": "SCMP_ACT_TRAP", "args": [{"index": 0, '
                         f'"op": "SCMP_CMP_EQ", "value": {n * 3}}}]}}' for n in range(5000))), "4096"),
], ids=lambda text: text[-60:] if len(text) < 500 else "long")
def test_a_rule_that_would_be_passed_over_is_refused(source, words):
    with pytest.raises((ValueError, KeyError, TypeError)) as caught:
        bpf_of(source.encode("latin-1"))
    assert words in str(caught.value), caught.value
