"""Chapter 7's two lists as the one filter that a bundle may have.

The allow-list names calls, the deny-list looks at their arguments; the kernel asks both. In one list a
call that is refused for some arguments has to be allowed for all others: the contrary of its rules.
"""
from .. import linux

MASKED = "SCMP_CMP_MASKED_EQ"
ARCHES = {"x86_64": "SCMP_ARCH_X86_64", "aarch64": "SCMP_ARCH_AARCH64"}  # of this machine; others stay shut


def merged(allow, deny):
    """Both lists as one, in the specification's form."""
    denied = {}  # name -> [its comparisons, for each rule that refuses it]
    for rule in deny["syscalls"]:
        for name in rule["names"]:
            denied.setdefault(name, []).append(rule.get("args") or [])
    rules = []
    for rule in allow["syscalls"]:
        rules.append(renamed(rule, [name for name in rule["names"] if name not in denied]))
        for name in denied.keys() & rule["names"]:
            if rule.get("args"):
                raise ValueError(f"{name}: both lists look at its arguments")
            rules += [{"names": [name], "action": rule["action"], "args": args}
                      for args in contrary(denied[name])]
    known = {name for rule in allow["syscalls"] for name in rule["names"]}
    for rule in deny["syscalls"]:  # with its own errno, which the default would not say
        rules.append(renamed(rule, [name for name in rule["names"] if name in known]))
    return {"defaultAction": allow["defaultAction"], "defaultErrnoRet": allow["defaultErrnoRet"],
            "architectures": [ARCHES[linux.MACHINE]], "syscalls": [rule for rule in rules if rule["names"]]}


def renamed(rule, names):
    """A rule for other names, without the words for people."""
    return {key: value for key, value in rule.items() if key != "comment"} | {"names": names}


def contrary(refused):
    """What is left when all these are refused: alternatives, each a list of comparisons."""
    if [] in refused:
        return []  # refused whatever its arguments are
    left = [{}]  # each: argument -> (mask, value) of the bits that are known
    for comparisons in refused:
        more = []
        for index, mask, value in bits(comparisons):
            for known in left:
                old_mask, old_value = known.get(index, (0, 0))
                if not (old_value ^ value) & mask & old_mask:
                    more.append({**known, index: (old_mask | mask, old_value | value)})
        left = [one for one in more if not any(wider(other, one) for other in more)]
        left = [one for place, one in enumerate(left) if one not in left[:place]]
    return [[{"index": index, "value": mask, "valueTwo": value, "op": MASKED}
             for index, (mask, value) in sorted(one.items())] for one in left]


def bits(comparisons):
    """Each single bit that makes one of these comparisons false: (argument, bit, value)."""
    for words in comparisons:
        if words["op"] != MASKED:
            raise ValueError(f"{words['op']}: has no contrary in bits")
        for place in range(64):
            bit = 1 << place
            if words["value"] & bit:
                yield words["index"], bit, ~words["valueTwo"] & bit


def wider(one, other):
    """Tells whether one allows all that another allows, and more."""
    return one != other and all(
        index in other and mask & other[index][0] == mask and other[index][1] & mask == value
        for index, (mask, value) in one.items())
