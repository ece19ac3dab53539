"""A profile in the form of the OCI specification, compiled to BPF with libseccomp, for chapter 7.

What is not understood is refused: a rule passed over would allow what it forbids.
"""
import errno
import json
import os

import pyseccomp

from .. import linux
from . import chain

KNOWN = {"defaultAction", "defaultErrnoRet", "architectures", "syscalls", "comment"}
KNOWN_IN_RULE = {"names", "action", "errnoRet", "args", "comment"}
KINDS = {list: "a list", dict: "an object", str: "a string", int: "a whole number"}
LONGEST = 4096  # instructions, the kernel's BPF_MAXINSNS


def compiled(source):
    """Compiles a profile to BPF, with libseccomp. Raises ValueError, naming what is wrong in it."""
    try:
        profile = json.loads(source, object_pairs_hook=once)
    except RecursionError:
        raise ValueError("nested too deep") from None
    understood(profile, KNOWN)
    default = action(profile, "defaultAction", "defaultErrnoRet")
    rules = pyseccomp.SyscallFilter(default)
    # i386 and x32 are other doors to the same calls: whoever knocks there is killed.
    rules.set_attr(pyseccomp.Attr.ACT_BADARCH, pyseccomp.KILL_PROCESS)
    rules.set_attr(pyseccomp.Attr.CTL_OPTIMIZE, 2)  # a tree of comparisons, or it would be a chain
    rules_of = {}  # number of a call -> (action, comparisons, and as libseccomp wants them) of each rule
    for rule in value(profile, "syscalls", list):
        understood(rule, KNOWN_IN_RULE)
        does = action(rule, "action", "errnoRet")
        args = value(rule, "args", list, [])
        tests = comparisons(args)
        for name in value(rule, "names", list) or refuse("names", "names no call"):
            number = resolve(name)
            if number is None and does != pyseccomp.ALLOW:
                refuse(name, "libseccomp does not know this call, so it cannot be refused")
            others = rules_of.setdefault(number, [])
            if any(does != other and not apart(args, more) for other, more, _ in others if number is not None):
                refuse(name, "has rules with different actions, and which of them counts?")
            others.append((does, args, tests))
    ours = {}  # calls of which libseccomp would make something else
    for number, told in rules_of.items():
        told = [one for one in told if number is not None and one[0] != default]
        if chain.sure([args for _, args, _ in told]):
            for does, _, tests in told:
                rules.add_rule(does, number, *tests)
        else:
            ours[number] = [(does, args) for does, args, _ in told]
    with open(os.memfd_create("filter"), "w+b") as file:
        rules.export_bpf(file)
        file.seek(0)
        code = chain.before(ours, default, pyseccomp.system_arch()) + file.read()
    if len(code) > 8 * LONGEST:
        refuse("syscalls", f"too many: {len(code) // 8} instructions, the kernel takes {LONGEST}")
    return code


def refuse(word, why):
    raise ValueError(f"{word}: {why}")


def once(pairs):
    """A JSON object, if it says nothing twice: the last word would count, in silence."""
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            refuse(name, "said twice")
    return dict(pairs)


def understood(words, known):
    """Refuses what we would pass over, such as Docker's "includes", which makes a rule conditional.

    `architectures` may stand there: other ABIs stay shut whatever it says."""
    if type(words) is not dict:
        raise TypeError(f"an object is wanted, with keys such as {min(known)}, not {words!r:.60}")
    for word in words:
        if word not in known:
            refuse(word, "not understood, and a rule half understood is none")


def value(words, key, kind, otherwise=None, most=None):
    """A value of just the kind that it must be; `otherwise` if it may be missing and is."""
    found = words.get(key)
    if found is None:
        return refuse(key, "missing") if otherwise is None else otherwise
    if type(found) is not kind:  # True is an int to isinstance
        refuse(key, f"{KINDS[kind]} is wanted, not {found!r:.60}")
    if most is not None and not 0 <= found <= most:  # ctypes would cut off the rest, in silence
        refuse(key, f"must be from 0 to {most}, not {found!r:.60}")
    return found


def action(words, key, errno_key):
    """An action of the specification, such as SCMP_ACT_ERRNO, as libseccomp's number."""
    name = value(words, key, str)
    number = value(words, errno_key, int, -1, most=4094)  # libseccomp takes less than MAX_ERRNO
    kind = name.removeprefix("SCMP_ACT_")
    if kind == "ERRNO":
        return pyseccomp.ERRNO(errno.EPERM if number == -1 else number)
    if kind not in ("ALLOW", "KILL", "KILL_PROCESS", "TRAP", "LOG"):
        raise ValueError(f"unknown action {name}")
    if number != -1:
        refuse(errno_key, f"{name} returns no errno")
    return getattr(pyseccomp, kind)


def comparisons(args):
    """All that a rule asks about a call's arguments; each must be so."""
    tests = [test(words) for words in args]
    indexes = [words["index"] for words in args]
    for index in indexes:
        if indexes.count(index) > 1:
            refuse(f"argument {index}", "libseccomp compares each only once in a rule")
    return tests


def test(words):
    """A comparison with an argument of the call: {"index", "op", "value", "valueTwo"}."""
    understood(words, {"index", "op", "value", "valueTwo"})
    name = value(words, "op", str)
    op = name.removeprefix("SCMP_CMP_")
    one, two = (value(words, key, int, otherwise, most=2**64 - 1)
                for key, otherwise in (("value", None), ("valueTwo", 0)))
    if op not in ("EQ", "NE", "LT", "LE", "GT", "GE", "MASKED_EQ"):
        raise ValueError(f"unknown comparison {name}")
    if two & ~(one if op == "MASKED_EQ" else 0):
        refuse("valueTwo", f"{two} means nothing beside {name} {one}")
    return pyseccomp.Arg(value(words, "index", int, most=5), getattr(pyseccomp, op), one, two)


def apart(args, others):
    """Whether no call can meet both lists of comparisons, as two of one argument exclude each other."""
    return any(one["index"] == other["index"] and (contrary(one, other) or contrary(other, one))
               for one in args for other in others)


def contrary(one, other):
    """Whether the one says "equal", and the other excludes that. If in doubt, it does not."""
    this, that, two = one["value"], other["value"], other.get("valueTwo", 0)
    kinds = [test["op"].removeprefix("SCMP_CMP_") for test in (one, other)]
    if kinds == ["MASKED_EQ", "MASKED_EQ"]:
        return (one.get("valueTwo", 0) ^ two) & this & that != 0
    if kinds[0] != "EQ":
        return False
    return {"EQ": this != that, "NE": this == that, "LT": this >= that, "LE": this > that,
            "GT": this <= that, "GE": this < that, "MASKED_EQ": this & that != two}[kinds[1]]


def resolve(name):
    """A call's number; from our own table if libseccomp is older than the call; None if unknown."""
    if type(name) is not str or not name.isidentifier():  # C would read only as far as a NUL
        refuse("names", f"{name!r:.60} is not the name of a call")
    number = pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name)
    return linux.NUMBERS.get(name) if number == -1 else number
