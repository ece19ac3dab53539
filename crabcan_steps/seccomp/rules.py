"""`crabcan seccomp`: which rule of a profile decides about which call, for chapter 7."""
import errno

from .. import linux
from ..ch07_seccomp import files
from .profile import read


def table(profile, kept, calls):
    """Lines about these calls, or all that the profile names, for a container that keeps `kept`."""
    for path, _ in files(profile):
        rows = [*told(linux.read(path, False), kept, linux.uname(), calls)]
        yield f"{path}:"
        for call, answer, line, why in rows:
            yield f"  {call:24}{answer:32} {line}" + (f" does not hold: {why}" if why else "")


def told(source, kept, system, calls):
    """(call, answer, where that stands, why it does not hold), for these calls or all."""
    profile, rules = read(source, kept, system)
    for name in sorted(set(calls or (name for rule in rules for name in rule.words["names"]))):
        for rule in rules:
            if name in rule.words["names"]:
                tests = " and ".join(map(asked, rule.words["args"]))
                does = answer(rule.words, "action", "errnoRet") + (f" if {tests}" if tests else "")
                yield name, does, f"line {rule.line}", rule.why or rule.out.get(name, "")
    yield "any other", answer(profile, "defaultAction", "defaultErrnoRet"), "the default", ""


def answer(words, key, number):
    """What a rule answers: an errno by its name, or the action."""
    kind = words[key].removeprefix("SCMP_ACT_")
    if kind != "ERRNO":
        return kind.lower()
    return errno.errorcode.get(words.get(number, errno.EPERM), "an errno")


def asked(test):
    """A comparison as a reader wants it: arg2 != 9."""
    sign = {"EQ": "==", "NE": "!=", "LT": "<", "LE": "<=", "GT": ">", "GE": ">="}
    op = str(test.get("op")).removeprefix("SCMP_CMP_")
    if op == "MASKED_EQ":
        return f"arg{test.get('index')} & {test.get('value'):#x} == {test.get('valueTwo', 0):#x}"
    return f"arg{test.get('index')} {sign.get(op, op)} {test.get('value')}"
