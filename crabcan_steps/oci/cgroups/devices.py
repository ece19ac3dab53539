"""Which devices a container may read (r), write (w) and make (m): linux.resources.devices.

The last rule about a device counts. Version 1 has a list of its own kind, version 2 asks a program.
"""
from ... import linux
from . import ebpf
from .ebpf import R1, R2, R3, R4, R5, and_, answer, copy, jump_if, jump_unless, load, shift_right
from .words import refused

MAY = {"m": 1, "r": 2, "w": 4}  # BPF_DEVCG_ACC_*, <linux/bpf.h>
KINDS = {"b": 1, "c": 2}        # BPF_DEVCG_DEV_*
ANY = None                      # in the place of a number: all of them
ALWAYS = [("c", ANY, ANY, "m"), ("b", ANY, ANY, "m")] + [  # a node alone opens nothing
    ("c", major, minor, "rwm") for major, minor in (
        (1, 3), (1, 5), (1, 7), (1, 8), (1, 9),  # null, zero, full, random, urandom
        (5, 0), (5, 2), (136, ANY),              # tty, ptmx, pts/*
        (10, 200))]                              # net/tun: not asked for by those who need it


def rules(devices):
    """The specification's list as (allow, kind, major, minor, access), and what is always allowed.

    Nothing is allowed before the first. Kind "a" is both kinds; it stays in the list where a rule
    is about everything, for that is a new beginning."""
    found = []
    for index, one in enumerate(devices or ()):
        kind, access = one.get("type") or "a", one.get("access") or ""
        if "a" in access and not one.get("allow"):
            access = "rwm"  # all of it, as some write it; what is denied may be more
        if not access or set(access) - set(MAY) or kind not in "abc":
            raise refused(f"devices[{index}]", f"type '{kind}', access '{access}': the one must be a, "
                                               "b or c, the other some of r, w and m")
        numbers = [ANY if one.get(key) in (None, -1) else one[key] for key in ("major", "minor")]
        for number in numbers:
            if number is not ANY and not 0 <= number < 1 << 32:
                raise refused(f"devices[{index}]", f"{number} is not the number of a device")
        access = "".join(sorted(set(access)))
        everything = (kind, *numbers, access) == ("a", ANY, ANY, "mrw")
        for each in "cb" if kind == "a" and not everything else kind:
            found.append((bool(one.get("allow")), each, *numbers, access))
    return found + [(True, *rule) for rule in ALWAYS]


def apply(groups, devices):
    """Sets the rules of a container's cgroup, in the place of those before."""
    if not groups.get("rules", True):
        return  # in a user namespace nobody may, and no device is to be had there anyway
    if "devices" in groups["paths"]:
        first(groups["paths"]["devices"], rules(devices))
    elif "" in groups["paths"]:
        try:
            ebpf.attach(groups["paths"][""], program(rules(devices)))
        except OSError as error:
            raise refused("devices", "an eBPF program is what version 2 takes", error.errno) from error
    else:
        raise refused("devices", "this host has no controller of devices")


def program(rules):
    """The rules as a program, the last one first: struct bpf_cgroup_dev_ctx has what is asked.

    R3 is what is still to be allowed of the access that somebody wants, a bit each."""
    code = [load(R2, R1, 0), and_(R2, 0xFFFF),       # kind
            load(R3, R1, 0), shift_right(R3, 16),    # access
            load(R4, R1, 4), load(R5, R1, 8)]        # major, minor
    for allow, kind, major, minor, access in reversed(rules):
        bits = sum(MAY[letter] for letter in access)
        if allow:
            block = [and_(R3, 7 & ~bits), jump_unless(R3, 0, 2), *answer(1)]
        else:
            block = [copy(R1, R3), and_(R1, bits), jump_if(R1, 0, 2), *answer(0)]
        for register, number in (R5, minor), (R4, major), (R2, KINDS.get(kind, ANY)):
            if number is not ANY:
                block.insert(0, jump_unless(register, number, len(block)))
        code += block
    return code + answer(0)


def first(path, rules):
    """Version 1: changes the list from what it is to what it shall be, step by step.

    So nothing that is allowed before and after is refused in between."""
    allowed, wanted = state(path), listed(rules)
    remove, add = ("allow", "deny") if wanted[0] else ("deny", "allow")
    try:
        if allowed[0] or wanted[0]:  # what is excepted from everything, the kernel does not tell
            linux.write(f"{path}/devices.{remove}", "a")
            allowed = (wanted[0], {})
        for word, these, those in (remove, allowed[1], wanted[1]), (add, wanted[1], allowed[1]):
            for key, access in these.items():
                if more := "".join(sorted(set(access) - set(those.get(key, "")))):
                    linux.write(f"{path}/devices.{word}", f"{text(key)} {more}")
    except OSError as error:
        raise refused("devices", f"{path} is within others, or has some within", error.errno) from error
    if state(path) != (wanted if not wanted[0] else (True, {})):
        raise refused("devices", f"{path} did not become what was asked for")


def text(key):
    kind, *numbers = key
    return f"{kind} " + ":".join("*" if number is ANY else str(number) for number in numbers)


def state(path):
    """A cgroup's list: whether all is allowed, and {(kind, major, minor): access} otherwise."""
    found = {}
    for line in linux.read(f"{path}/devices.list").splitlines():
        kind, numbers, access = line.split()
        if kind == "a":
            return True, {}  # exceptions to that are not told
        found[kind, *(ANY if one == "*" else int(one) for one in numbers.split(":"))] = \
            "".join(sorted(access))
    return False, found


def listed(rules):
    """Rules as version 1 has them: all or nothing is allowed, but for exceptions.

    An exception to an exception is more than it can say, and is refused."""
    everything, found = False, {}
    for allow, *key, access in rules:
        key = tuple(key)
        if key[0] == "a":
            everything, found = allow, {}
        elif allow != everything:
            found[key] = "".join(sorted({*found.get(key, ""), *access}))
        else:
            for other in list(found):
                if covers(key, other):
                    found[other] = "".join(sorted(set(found[other]) - set(access)))
                elif meets(key, other) and set(found[other]) & set(access):
                    raise refused("devices", f"version 1 cannot {'allow' if allow else 'deny'} "
                                             f"{text(key)} within {text(other)}")
            found = {other: left for other, left in found.items() if left}
    return everything, found


def covers(key, other):
    return all(one is ANY or one == two for one, two in zip(key, other))


def meets(key, other):
    return all(ANY in (one, two) or one == two for one, two in zip(key, other))
